"""A durable context that is driven by hand: every outcome is scripted, and everything the saga asks for is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.messages import SAGA_VERSION
from orchestrators import steps
from orchestrators.order_saga import order_saga
from orchestrators.steps import CLOSE_ORDER

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
TOTAL = {"amount_minor": 25800, "currency": "gbp"}
DONE: dict[str, Any] = {"kind": "done"}
RESOLVED = {"kind": "done", "resolved": True}
PRICED = {"kind": "done", "total": TOTAL}
REFUSED = {"kind": "refused", "reason": "because"}
UNKNOWN = {"kind": "unknown"}
CANCELLED = {"kind": "cancelled"}
FAULT = RuntimeError("Activity function 'x' failed:  Unavailable: storage did not answer")
# The activity does not answer before its deadline.
LATE = "late"

ROWS = (*steps.STEPS, CLOSE_ORDER)
DEADLINE = {row.activity: row.deadline_s for row in ROWS} | {row.undo: row.deadline_s for row in ROWS if row.undo}


def waiting(number: int, seconds: float = 60) -> dict[str, Any]:
    """What an order says that waits for a decision, the `asked`th time that it was asked."""
    deadline = (BEGINNING + timedelta(seconds=seconds)).isoformat()
    return {"kind": "waiting", "total": TOTAL, "deadline": deadline, "wake": f"decision:{number}"}


class ScheduledTask:
    """A task that the saga has made: an activity, a timer or a wait for an event."""

    def __init__(self, kind: str, target: Any) -> None:
        self.kind, self.target, self.result = kind, target, None
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Parked(Exception):
    """The saga waits for an event that does not come."""


class FakeDurableContext:
    """A durable context that answers each activity from a script: a list of outcomes, its last one repeated.

    `events`: what comes as soon as it is waited for, by name, with what it changes in the context; else a timer fires.
    """

    def __init__(
        self,
        script: dict[str, list[Any]] | None = None,
        limits: dict[str, Any] | None = None,
        events: Mapping[str, Callable[[FakeDurableContext], object]] | None = None,
        version: int | None = SAGA_VERSION,
        etag: str | None = None,
    ) -> None:
        self.script = defaultdict(lambda: [DONE], {"validate_order": [PRICED]}, **(script or {}))
        self.limits = {"step_retry_s": 30, "undo_retry_s": 900, **(limits or {})}
        self.events = events or {}
        self.version, self.etag = version, etag
        self.current_utc_datetime = BEGINNING
        self.calls: list[str] = []
        self.tasks: dict[str, list[Any]] = defaultdict(list)
        self.timers: list[ScheduledTask] = []
        self.fired: list[float] = []
        self.deadlines: list[tuple[str, float]] = []
        self.waited_for: list[str] = []
        self.published: list[dict[str, Any]] = []

    # The context.

    def get_input(self) -> dict[str, Any]:
        input_ = {"order_id": "order-1", "limits": self.limits, **({"etag": self.etag} if self.etag else {})}
        return input_ if self.version is None else {**input_, "version": self.version}

    def call_activity(self, name: str, task: Any) -> ScheduledTask:
        self.calls.append(name)
        self.tasks[name].append(task)
        return ScheduledTask("activity", name)

    def create_timer(self, at: datetime) -> ScheduledTask:
        self.timers.append(ScheduledTask("timer", at))
        return self.timers[-1]

    def wait_for_external_event(self, name: str) -> ScheduledTask:
        self.waited_for.append(name)
        return ScheduledTask("event", name)

    def task_any(self, tasks: list[ScheduledTask]) -> list[ScheduledTask]:
        first, timer = tasks
        if first.kind == "activity":
            self.deadlines.append((first.target, self._until(timer)))
        return tasks

    def set_custom_status(self, status: dict[str, Any]) -> None:
        self.published.append(status)

    # Playing.

    def play(self) -> dict[str, Any]:
        """The saga's output. Raises Parked."""
        saga = order_saga(self)
        yielded: Any = next(saga)
        while True:
            try:
                yielded = (
                    self._answer_any(saga, yielded) if isinstance(yielded, list) else self._answer_one(saga, yielded)
                )
            except StopIteration as end:
                return dict(end.value)

    def park(self) -> dict[str, Any]:
        """The view of a saga that waits for its operator."""
        with pytest.raises(Parked):
            self.play()
        return self.published[-1]

    @property
    def waits(self) -> list[float]:
        """Seconds of each timer that fired."""
        return self.fired

    def _until(self, timer: ScheduledTask) -> float:
        return float((timer.target - self.current_utc_datetime).total_seconds())

    def _answer_any(self, saga: Any, tasks: list[ScheduledTask]) -> Any:
        """The activity or event, or the timer that goes with it."""
        first, timer = tasks
        first.result = self._outcome(first.target) if first.kind == "activity" else None
        happened = first.result != LATE if first.kind == "activity" else self._take_event(first.target)
        if not happened:
            self._fire(timer)
        return saga.send(first if happened else timer)

    def _answer_one(self, saga: Any, task: ScheduledTask) -> Any:
        if task.kind == "timer":
            self._fire(task)
            return saga.send(None)
        if task.kind == "event":
            if not self._take_event(task.target):
                raise Parked(task.target)
            return saga.send("{}")
        outcome = self._outcome(task.target)
        return saga.throw(outcome) if isinstance(outcome, Exception) else saga.send(outcome)

    def _fire(self, timer: ScheduledTask) -> None:
        self.fired.append(self._until(timer))
        self.current_utc_datetime = max(timer.target, self.current_utc_datetime)

    def _take_event(self, event: str) -> bool:
        if event in self.events:
            self.events[event](self)
        return event in self.events

    def _outcome(self, name: str) -> Any:
        outcomes = self.script[name]
        return outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]


def ignore(context: FakeDurableContext) -> None:
    """An event that changes nothing."""


def then(**script: list[Any]) -> Callable[[FakeDurableContext], object]:
    """An event after which activities answer otherwise."""
    return lambda context: context.script.update(script)


def statuses(view: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["status"] for step in view["steps"]}
