"""The processes that a fault plan may end: only those that the product has started.

The parent of the sandbox also starts the processes that the sandbox may kill: `dev.py start` its devhost, a test its
victim. A process may be killed when the sandbox's parent is among its ancestors. That is checked when a plan is set,
so that the plan can be refused with a sentence, and again before the kill, because the system reuses process ids.
"""

import os
import sys

import psutil

INIT = 1  # the parent of every process that has lost its own


def _starter() -> int:
    """The process that started this one. On Windows a launcher of the environment is between the two."""
    launched = os.name == "nt" and sys.prefix != sys.base_prefix
    return psutil.Process(os.getppid()).ppid() if launched else os.getppid()


STARTED_BY = _starter()


def is_of_the_product(pid: int) -> bool:
    """Whether a living process of this id has the sandbox's parent among its ancestors."""
    try:
        return STARTED_BY > INIT and STARTED_BY in {parent.pid for parent in psutil.Process(pid).parents()}
    except (psutil.Error, OverflowError):
        return False


def is_a_strangers(pid: int) -> bool:
    """Whether a process of another program has this id. An id without a process is harmless."""
    return _exists(pid) and not is_of_the_product(pid)


def kill(pid: int) -> None:
    """End a process of the product at once, if it is alive."""
    if is_of_the_product(pid):
        psutil.Process(pid).kill()
    elif _exists(pid):
        print(f"Process {pid} was not killed: the product has not started it.", file=sys.stderr, flush=True)


def _exists(pid: int) -> bool:
    try:
        return psutil.pid_exists(pid)
    except OverflowError:  # an id that no process can have
        return False
