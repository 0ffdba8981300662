"""Prints for the person at the terminal."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print at once. If the reader is gone (a closed terminal, a closed pipe), work and stopping continue."""
    try:
        sys.stdout.write(
            text + "\n"
        )  # in one write: print writes the end of a line separately, and other threads could write in between
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
