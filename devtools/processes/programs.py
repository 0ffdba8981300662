"""Programs that are started, and stopped in order.

Each has a session of its own, so the terminal's Ctrl-C reaches its parent alone. A program dies with this process even
when this process is killed (Linux: a parent-death signal).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from devtools.places import LINUX, ROOT, WINDOWS, Word
from devtools.processes import signals


def launch(
    command: Sequence[Word],
    log: Path | None,
    environment: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    death: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, with output appended to `log`, or without one to the terminal.

    `death` is the signal that Linux sends to the program when this process is gone.
    """
    with contextlib.ExitStack() as files:
        sink = None if log is None else files.enter_context(_appending(log))
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=None if environment is None else dict(environment),
            stdin=None if log is None else subprocess.DEVNULL,
            stdout=sink,
            stderr=None if log is None else subprocess.STDOUT,
            start_new_session=not WINDOWS,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            preexec_fn=_parent_death_signal(death),  # noqa: PLW1509 - what it does is safe after a fork
        )


def _appending(log: Path) -> IO[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


def _parent_death_signal(number: int) -> Callable[[], None] | None:
    """A function that a child runs before its program: it asks Linux for `number` when this process is gone."""
    if not LINUX:
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(1, number)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # this process died before the request
            os.kill(os.getpid(), number)

    return ask


def ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))


def kill_all_of(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all processes of its session."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM when only a zombie is left
            os.killpg(process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes], patience: float) -> bool:
    """Signal, wait, then kill all processes of the session. Returns whether the signal was enough."""
    ask_to_stop(process)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        return False
    else:
        return True
    finally:
        kill_all_of(process)
        process.wait()


def manner_of_end(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def run_in_front(command: Sequence[Word], environment: Mapping[str, str] | None = None, cwd: Path = ROOT) -> int:
    """Run a program at the terminal; a signal to this process becomes a Ctrl-C for the program, to clean up."""
    process = launch(command, None, environment, cwd, death=signal.SIGINT)
    passed_on = 0
    while process.poll() is None:
        if len(signals.received) > passed_on:
            passed_on += 1
            process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
        time.sleep(0.05)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode
