"""What the person at the terminal reads."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print at once. The reader may be gone (a closed terminal, a closed pipe): work and stopping go on without one."""
    try:
        sys.stdout.write(text + "\n")  # in one piece: print writes the end of a line by itself, and threads get between
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
