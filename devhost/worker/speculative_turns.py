"""Turns that the worker takes ahead: the one that an activity's end will cause, answered together with the activity.

In a saga one step follows the other, and the worker that has just ended an activity has the execution warm as well. It
takes the next turn at once instead of waiting to be asked for it, which saves a trip through both processes. The host
uses that turn if nothing else happened in between, and else asks for another (verdict.py). It decides when what comes
of the turn is done: not before the activity's result is on record.

A turn that takes long keeps no activity from being answered: after half a second the answer goes out without it, and
says that its thread is busy. When the thread is not any more, a second frame says so: see Worker.settle.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from devhost.history.events import Event, sdk_cells, task_completed

PATIENCE_S = 0.5

Answer = tuple[dict[str, Any], bytes]
OVER: Answer = ({"ok": True}, b"")
GoOn = Callable[[dict[str, Any], list[dict[str, Any]]], Answer]


class TurnsAhead:
    """`go_on` takes a turn of a warm execution, `send` answers a call; `slots` bounds how many turns run at once."""

    def __init__(self, go_on: GoOn, send: Callable[[int, Answer], None], slots: threading.Semaphore) -> None:
        self._go_on, self._send, self._slots = go_on, send, slots
        self._waiting: dict[int, tuple[float, Answer]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="turns ahead", daemon=True).start()

    def answer(self, call_id: int, then: dict[str, Any], ended: dict[str, Any], result: bytes) -> None:
        """Answer an activity, with the turn that follows it. The failure of an activity is left to the host."""
        if not ended["ok"] or not self._slots.acquire(blocking=False):
            self._send(call_id, (ended, result))
            return
        alone = ended, result
        with self._lock:
            self._waiting[call_id] = time.monotonic(), alone
        answer = alone
        try:
            # Whatever goes wrong: the host asks again, and is told.
            with contextlib.suppress(BaseException):
                turn, state = self._go_on(then, causes(then, ended["at"], result))
                answer = {**ended, "turn": {**turn, "after": len(result)}}, result + state
        finally:
            self._slots.release()
        with self._lock:
            is_due = self._waiting.pop(call_id, None) is not None
        self._send(call_id, answer if is_due else OVER)

    def _watch(self) -> None:
        while True:
            time.sleep(PATIENCE_S)
            for call_id, (ended, result) in self._overdue():
                self._send(call_id, ({**ended, "busy": True}, result))

    def _overdue(self) -> list[tuple[int, Answer]]:
        late = time.monotonic() - PATIENCE_S
        with self._lock:
            found = [(call_id, answer) for call_id, (since, answer) in self._waiting.items() if since < late]
            for call_id, _ in found:
                del self._waiting[call_id]
        return found


def causes(then: dict[str, Any], ended_at: str, result: bytes) -> list[dict[str, Any]]:
    """The events of the turn that the end of an activity causes, dated like it."""
    at = datetime.fromisoformat(ended_at)
    events = [Event("OrchestratorStarted", at), task_completed(then["task"], result.decode(), at)]
    return [sdk_cells(event) for event in events]
