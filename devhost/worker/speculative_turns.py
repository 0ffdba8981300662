"""Speculative turns: the turn that an activity's end will cause, run at once and answered together with the activity.

In a saga one step follows the other, and the worker that has just run an activity mostly has the extended session of
its orchestration too. The worker runs the next turn without a call from the host, which saves a trip through both
processes. The host uses that turn if no other event arrived before it, and otherwise asks for another
(execution/speculative_turns.py). The host carries out the turn's decisions only after the activity's result is stored.

A slow turn delays no activity: after half a second the answer is sent without the turn.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from devhost.history.builders import task_completed
from devhost.history.events import Event, sdk_cells
from devhost.worker.answers import Answer

PATIENCE_S = 0.5

RunTurn = Callable[[dict[str, Any], list[dict[str, Any]]], Answer]


class SpeculativeTurns:
    """`run_turn` runs the turn that `then` names, `send` answers a call; `slots` bounds how many turns run at once."""

    def __init__(self, run_turn: RunTurn, send: Callable[[int, Answer], None], slots: threading.Semaphore) -> None:
        self._run_turn, self._send, self._slots = run_turn, send, slots
        self._waiting: dict[int, tuple[float, Answer]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="speculative turns", daemon=True).start()

    def answer(self, call_id: int, then: dict[str, Any], ended: dict[str, Any], result: bytes) -> None:
        """Answer an activity, with the turn that follows it. After a failed activity the host asks for the turn."""
        alone = ended, result
        if not ended["ok"] or not self._slots.acquire(blocking=False):
            self._send(call_id, alone)
            return
        with self._lock:
            self._waiting[call_id] = time.monotonic(), alone
        answer = alone
        try:
            # If the turn fails in any way, the host asks for the turn again and gets the fault as the answer.
            with contextlib.suppress(BaseException):
                turn, state = self._run_turn(then, causes(then, ended["at"], result))
                answer = {**ended, "turn": {**turn, "after": len(result)}}, result + state
        finally:
            self._slots.release()
        with self._lock:
            is_due = self._waiting.pop(call_id, None) is not None
        if is_due:
            self._send(call_id, answer)

    def _watch(self) -> None:
        while True:
            time.sleep(PATIENCE_S)
            for call_id, answer in self._overdue():
                self._send(call_id, answer)

    def _overdue(self) -> list[tuple[int, Answer]]:
        late = time.monotonic() - PATIENCE_S
        with self._lock:
            overdue = [(call_id, answer) for call_id, (since, answer) in self._waiting.items() if since < late]
            for call_id, _ in overdue:
                del self._waiting[call_id]
        return overdue


def causes(then: dict[str, Any], ended_at: str, result: bytes) -> list[dict[str, Any]]:
    """The events of the turn that the end of an activity causes, with its time."""
    at = datetime.fromisoformat(ended_at)
    events = [Event("OrchestratorStarted", at), task_completed(then["task"], result.decode(), at)]
    return [sdk_cells(event) for event in events]
