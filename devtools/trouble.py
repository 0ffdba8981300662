"""Faults of this machine that the person at the terminal can mend, as one sentence each.

A fault of the file system is a kind: any file that is read or written can be damaged, unreadable, a folder, on a full
disk or on a disk that is read-only. So the sentence is made in one place, from the error, and `dev.py` prints it for
every file.
"""

from __future__ import annotations

import contextlib
import errno
import sys
from collections.abc import Callable, Iterator
from pathlib import Path


class Trouble(Exception):
    """A fault that the person at the terminal can mend; the text is one clear sentence for them."""


# The fault of a file and the way out, as the end of a sentence that begins with the file's path.
FAULTS = {
    errno.ENOSPC: "cannot be written, because the disk is full: free some space on it",
    errno.EDQUOT: "cannot be written, because your quota of the disk is used up: free some space on it",
    errno.EROFS: "cannot be written, because its disk is read-only: use a folder on another disk",
    errno.EACCES: "cannot be used, because you have no right to it: change its owner or its mode (`ls -ld` shows both)",
    errno.EPERM: "cannot be changed, because it is not yours: change its owner (`ls -ld` shows it)",
    errno.EISDIR: "is a folder where a file is needed: move it away",
    errno.ENOTDIR: "cannot be used, because a part of its path is a file and no folder: move that file away",
    errno.EEXIST: "is a file where a folder is needed: move it away, or name another folder",
    errno.ENOENT: "is missing: put it back",
    errno.ENAMETOOLONG: "has a name that is too long for this disk: choose a shorter one",
    errno.ELOOP: "is a symbolic link that leads back to itself: remove it",
    errno.EIO: "cannot be read or written, because the disk reports a fault: check the disk",
    errno.EMFILE: "cannot be opened, because too many files are open: raise the limit (`ulimit -n`)",
}


def sentence_of(fault: OSError) -> str | None:
    """The sentence for a fault of a file; None for one that is not about a file, such as a refused connection."""
    if fault.filename is None:
        return None
    predicate = FAULTS.get(fault.errno or 0, f"cannot be used ({fault.strerror}): mend that")
    return f"{fault.filename} {predicate}, and run this again."


@contextlib.contextmanager
def naming(file: Path) -> Iterator[None]:
    """Add the file's name to a fault: a write to a full disk fails without it."""
    try:
        yield
    except OSError as fault:
        if fault.filename is not None:
            raise
        raise OSError(fault.errno, fault.strerror, str(file)) from fault


def exit_status_of(work: Callable[[], int]) -> int:
    """Run a command; Trouble, and a fault of a file, become one sentence on the standard error and status 1."""
    try:
        return work()
    except Trouble as found:
        print(f"dev.py: {found}", file=sys.stderr)
    except OSError as fault:
        sentence = sentence_of(fault)
        if sentence is None:
            raise
        print(f"dev.py: {sentence}", file=sys.stderr)
    return 1
