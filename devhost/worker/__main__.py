"""The worker: the child process that imports the app and runs its functions.

It reads calls as frames on its stdin and answers on its original stdout. The app's file descriptor 1 points at stderr,
so a print in a function cannot corrupt a frame. The worker ends when its stdin closes, so it never outlives its host.
calls.py runs the calls.
"""

import ctypes
import logging
import os
import signal
import sys
import warnings

from devhost.worker.calls import Calls

PR_SET_PDEATHSIG = 1


def main() -> None:
    """`argv[1]` is the app's folder: first on sys.path, and the working directory."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the host decides
    answers_fd = os.dup(1)
    os.dup2(2, 1)
    frames = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    configure_logging()
    os.chdir(sys.argv[1])
    sys.path.insert(0, sys.argv[1])
    Calls(frames, answers_fd).run()


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere the end of stdin ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def configure_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    # An Azure client logs ten lines for each request, which would bury the app's own lines.
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    # Correct replays of SDK 1.7 cause these two warnings: a buffered event, and a codec without declared types.
    warnings.filterwarnings("ignore", message="Potential duplicate Task completion")
    warnings.filterwarnings("ignore", message=".*df_loads.*")
