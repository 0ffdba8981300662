"""What the person at the terminal reads."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print at once. The reader may be gone (a closed terminal, a closed pipe): work and stopping go on without one."""
    try:
        print(text, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
