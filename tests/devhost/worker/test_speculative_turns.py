"""A turn that is taken ahead is answered with its activity, and never keeps it from being answered."""

import json
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from devhost.worker import speculative_turns
from devhost.worker.answers import Answer
from devhost.worker.extended_sessions import ExtendedSessions
from devhost.worker.speculative_turns import SpeculativeTurns
from tests.devhost.support.hosts import until

THEN = {"session": "order execution", "turn": 3, "task": 2}
ENDED = {"ok": True, "at": "2026-01-01T12:00:00.5Z"}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than any machine is busy. A test that runs out of it sets its own."""
    monkeypatch.setattr(speculative_turns, "PATIENCE_S", 600)


@dataclass
class HeldTurns:
    """Turns that end when `free` is set; the calls that came, and what was sent."""

    slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))
    free: threading.Event = field(default_factory=threading.Event)
    calls: list[Any] = field(default_factory=list)
    sent: list[tuple[int, Answer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ahead = SpeculativeTurns(
            self.run_turn, lambda call_id, answer: self.sent.append((call_id, answer)), self.slots
        )

    def run_turn(self, then: dict[str, Any], events: list[dict[str, Any]]) -> Answer:
        self.calls.append((then, events))
        assert self.free.wait(30)
        return {"ok": True, "first": 1}, b"the state"


def test_an_activity_is_answered_with_the_turn_that_follows_it() -> None:
    turns = HeldTurns()
    turns.free.set()
    turns.ahead.answer(7, THEN, ENDED, b'"result"')
    turn = {"ok": True, "first": 1, "after": len('"result"')}
    assert turns.sent == [(7, ({**ENDED, "turn": turn}, b'"result"the state'))]
    ((then, (started, completed)),) = turns.calls
    assert then == THEN
    assert (started["EventType"], started["Timestamp"]) == (12, ENDED["at"])
    assert (completed["EventType"], completed["TaskScheduledId"], completed["Result"]) == (5, 2, '"result"')
    assert json.dumps(completed)


def test_a_turn_that_takes_long_is_not_waited_for(monkeypatch: Any) -> None:
    monkeypatch.setattr(speculative_turns, "PATIENCE_S", 0.05)
    turns = HeldTurns()
    thread = threading.Thread(target=turns.ahead.answer, args=(7, THEN, ENDED, b"1"))
    thread.start()
    until(lambda: turns.sent)
    turns.free.set()
    thread.join(30)
    assert turns.sent == [(7, (ENDED, b"1"))], "once, without the turn"


def test_no_turn_is_taken_after_a_failure_or_when_as_many_run_as_may() -> None:
    turns = HeldTurns()
    failed = {"ok": False, "error": "ValueError: no"}
    turns.ahead.answer(7, THEN, failed, b"")
    turns.slots.acquire()
    turns.ahead.answer(8, THEN, ENDED, b"1")
    assert turns.calls == []
    assert turns.sent == [(7, (failed, b"")), (8, (ENDED, b"1"))]


def test_a_turn_that_fails_is_left_to_the_host_and_gives_its_place_back(monkeypatch: Any) -> None:
    turns = HeldTurns()

    def run_turn(then: dict[str, Any], events: list[dict[str, Any]]) -> Answer:
        raise SystemExit(3)

    monkeypatch.setattr(turns.ahead, "_run_turn", run_turn)
    turns.ahead.answer(7, THEN, ENDED, b"1")
    assert turns.sent == [(7, (ENDED, b"1"))]
    assert turns.slots.acquire(blocking=False)


def kept(turn: int) -> ExtendedSessions:
    sessions = ExtendedSessions()
    sessions.keep("key", SimpleNamespace(turn=turn, used=time.monotonic(), ended=False))  # type: ignore[arg-type]
    return sessions


def test_an_execution_stays_warm_when_a_turn_ahead_comes_too_late() -> None:
    sessions = kept(turn=3)
    assert not sessions.has_next_turn("key", 3), "another turn has come before it"
    assert sessions.has_next_turn("key", 4)
    assert sessions.take("key", 4)


def test_an_execution_that_is_ahead_of_the_host_is_let_go() -> None:
    sessions = kept(turn=3)
    assert sessions.take("key", 3) is None
    assert sessions.take("key", 4) is None
