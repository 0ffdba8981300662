"""Signals only set a flag, which every wait looks at.

An exception thrown by a signal handler can arrive between starting a process and noting that it was started.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType


class Interrupted(Exception):
    """Ctrl-C, SIGTERM or SIGHUP arrived; everything must be stopped in order."""


HEARD = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
received: list[int] = []


def listen() -> None:
    for name in HEARD:
        number = getattr(signal, name, None)
        # Under nohup a hang-up stays ignored. SIGINT does not: a shell's `&` ignores it, and `kill -INT` is meant.
        if number is not None and (name == "SIGINT" or signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, _note_signal)


def hear_each_as_ctrl_c() -> None:
    """Undo `listen`, for a program that handles only Ctrl-C."""
    for name in HEARD:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _note_signal:
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _note_signal(number: int, _frame: FrameType | None) -> None:
    received.append(number)


def pause(seconds: float = 0.05) -> None:
    if received:
        raise Interrupted
    time.sleep(seconds)


def wait_until(done: Callable[[], object], patience: float) -> bool:
    """Whether the condition became true in time."""
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            return False
        pause()
    return True
