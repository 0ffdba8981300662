"""The processes that a fault plan may end: those that the product has started, and no other.

The parent of the sandbox also starts what the sandbox may kill: `dev.py start` its devhost, a test its victim. A
process may be killed when the sandbox's own parent is among its ancestors. That is checked when a plan is set, so that
the plan can be refused with a sentence, and again before the kill, because the system reuses the numbers of processes.
"""

import os
import sys

import psutil

INIT = 1  # whose child is every process that has lost its parent


def _starter() -> int:
    """The process that started this one. On Windows a launcher of the environment stands between the two."""
    launched = os.name == "nt" and sys.prefix != sys.base_prefix
    return psutil.Process(os.getppid()).ppid() if launched else os.getppid()


STARTED_BY = _starter()


def is_of_the_product(pid: int) -> bool:
    """Whether a living process of this number was started by who started the sandbox."""
    try:
        return STARTED_BY > INIT and STARTED_BY in {parent.pid for parent in psutil.Process(pid).parents()}
    except (psutil.Error, OverflowError):
        return False


def is_a_strangers(pid: int) -> bool:
    """Whether somebody else's process has this number. A number of nobody is harmless."""
    return _exists(pid) and not is_of_the_product(pid)


def kill(pid: int) -> None:
    """End a process of the product at once; one that is dead already is as it should be."""
    if is_of_the_product(pid):
        psutil.Process(pid).kill()
    elif _exists(pid):
        print(f"Process {pid} was not killed: the product has not started it.", file=sys.stderr, flush=True)


def _exists(pid: int) -> bool:
    try:
        return psutil.pid_exists(pid)
    except OverflowError:  # a number that no process can have
        return False
