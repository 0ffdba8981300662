"""The rules by which a turn numbers tasks, pure: no clock, no storage, no process.

A turn feeds the SDK's replay with events and reads back the list of every action that the orchestrator has yielded so
far. `TaskTable` turns that list into numbered tasks. Three rules carry the weight:

1. Ids follow the SDK's own numbering: one for each activity, sub-orchestration, timer and request to an entity in the
   order of the list, none for a wait for an event. The SDK keeps its tasks by these ids, so a different number would
   complete the wrong task.
2. A retried task takes further ids by itself: a failure takes the next id for a timer, a fired retry timer the next
   one for the new attempt (after the last attempt: none, but its timer still exists). Within a turn they come before
   the ids of newly yielded actions, because the SDK handles the event before it resumes the generator. With several
   events in one turn the two would interleave, hence one event a turn.
3. The list only grows. An action that changed its kind or name, or vanished, means that the orchestrator is not
   deterministic, and the instance fails with a sentence instead of hanging.

Rejected: the real extension's own numbering (a second, asynchronous walk over the list). It differs from the SDK's in
corner cases of retries inside task_any and task_all, and there the real host hangs; azure_compatibility.py sees them.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from devhost.execution.actions import (
    ACTIVITY,
    CALL,
    CONTINUE,
    NUMBERED,
    SIGNAL,
    SUB_ORCHESTRATION,
    TIMER,
    WAIT,
    Action,
    Listed,
    OrchestrationFault,
    Retry,
    Task,
    describe,
    flatten,
    listed,
    make,
)
from devhost.history.events import Event

COMPLETES = {
    "TaskCompleted": "TaskScheduledId",
    "TaskFailed": "TaskScheduledId",
    "SubOrchestrationInstanceCompleted": "TaskScheduledId",
    "SubOrchestrationInstanceFailed": "TaskScheduledId",
    "TimerFired": "TimerId",
}
FAILURES = ("TaskFailed", "SubOrchestrationInstanceFailed")
CREATES = {
    "TaskScheduled": ACTIVITY,
    "SubOrchestrationInstanceCreated": SUB_ORCHESTRATION,
    "TimerCreated": TIMER,
    "EventSent": CALL,  # or SIGNAL, see _stored
}


class EventTaken(NamedTuple):
    """An event: its name if it was raised, or the id of the task that it ends; `again`: the id of that task's retry."""

    raised: str | None
    ended: int | None
    again: int | None


class TaskYielded(NamedTuple):
    """A task of a yield, with its number if it took one. `step`: the place of the yield; `whole`: its whole action."""

    step: int
    whole: Action
    task: Task


class TimerCancelled(NamedTuple):
    number: int


Fact = EventTaken | TaskYielded | TimerCancelled
"""The facts of a turn, in their order; azure_compatibility.py reads them."""


class TaskTable:
    """The numbered tasks of one execution. Grows by `observe` (an event) and `accept` (the SDK's actions).

    `restart` is the action that continues the execution as a new one, once it was yielded.
    """

    def __init__(self) -> None:
        self.next_id = 0
        self.open: dict[int, Task] = {}
        self.restart: Task | None = None
        self._facts: list[Fact] = []
        self._steps = 0
        self._known: list[tuple[str, str]] = []
        self._open_timers: dict[int, int] = {}
        self._answers: dict[str, int] = {}

    def sent(self, event: Event) -> None:
        """Take an EventSent: the answer to a call is an event whose name is the id of the request."""
        self._answers[json.loads(event.fields["Input"])["id"]] = event.event_id

    def ended_by(self, event: Event) -> int | None:
        """The id of the task that an event ends, whether the task is open or not."""
        if event.type == "EventRaised":
            return self._answers.get(event.fields["Name"])
        column = COMPLETES.get(event.type)
        return None if column is None else event.fields[column]

    def observe(self, event: Event, now: datetime) -> list[Task]:
        """Take an event that completes a task; returns the tasks of the retry that it causes, numbered."""
        ended = self.ended_by(event)
        task = None if ended is None else self.open.pop(ended, None)
        again = self._next_attempt(task.retry, event, now) if task and task.retry else []
        raised = event.fields["Name"] if event.type == "EventRaised" else None
        self._facts.append(EventTaken(raised, task.id if task else None, again[0].id if again else None))
        return again

    def take_facts(self) -> list[Fact]:
        """The facts since the last call."""
        facts, self._facts = self._facts, []
        return facts

    def accept(self, actions: list[Action]) -> list[Task]:
        """Compare the SDK's list with the known actions and number its new tail; the new tasks, in id order."""
        flat = flatten(actions)
        self.refuse_changes(flat)
        cancelled = [index for index in self._open_timers if flat[index].get("isCanceled")]
        return self._extend(listed(actions)[len(self._known) :], cancelled)

    def extend(self, actions: list[Action], cancelled: Iterable[int]) -> list[Task]:
        """Number the actions of new yields; the tasks, in order of their ids. `cancelled`: the places of timers that
        are now cancelled, counted from the first action.
        """
        return self._extend(listed(actions, self._steps), cancelled)

    def _extend(self, new: list[Listed], cancelled: Iterable[int]) -> list[Task]:
        for index in cancelled:
            task = self.open.get(self._open_timers.pop(index, -1))
            if task:
                task.cancelled = True
                self._facts.append(TimerCancelled(task.id))
        fresh = [self._admit(index, each) for index, each in enumerate(new, len(self._known))]
        return [task for task in fresh if task.kind in NUMBERED]

    @property
    def known(self) -> int:
        """How many of the SDK's actions have been taken."""
        return len(self._known)

    def admit_until(self, created: Event, flat: list[Listed]) -> None:
        """Number the listed actions up to the one that a stored event created. Raises OrchestrationFault."""
        stored = _stored(created)
        task: Task | None = None
        while self.next_id <= created.event_id:
            index = len(self._known)
            current = ("nothing", "") if index >= len(flat) else _kind_and_name(make(flat[index].action))
            if current[0] not in (stored[0], WAIT):
                raise OrchestrationFault(_non_deterministic(index, stored, describe(*current)))
            task = self._admit(index, flat[index])
        task = task or self.open[created.event_id]
        if _kind_and_name(task) != stored:
            raise OrchestrationFault(_non_deterministic(created.event_id, stored, describe(*_kind_and_name(task))))

    def undecided(self, actions: list[Action]) -> bool:
        """Whether the SDK's list holds an action beyond the known ones that needs a row or a restart."""
        return any(make(action).kind != WAIT for action in flatten(actions)[len(self._known) :])

    @property
    def blocking(self) -> bool:
        """Whether a task is open that must end before the instance may end. A cancelled timer need not, and the answer
        of an entity is a wait for an event.
        """
        return any(not task.cancelled and task.kind != CALL for task in self.open.values())

    @property
    def only_waits_until(self) -> datetime | None:
        """The time at which the last open timer fires, if the instance waits only for timers."""
        waiting = [task for task in self.open.values() if not task.cancelled]
        times = [task.fire_at for task in waiting if task.fire_at]
        return max(times) if times and len(times) == len(waiting) else None

    def _number(self, task: Task) -> Task:
        task.id = self.next_id
        self.next_id += 1
        self.open[task.id] = task
        return task

    def _admit(self, index: int, new: Listed) -> Task:
        task = make(new.action)
        self._known.append(_kind_and_name(task))
        self._steps = new.step + 1
        if task.kind == CONTINUE:
            self.restart = task
        if task.kind in NUMBERED:
            self._number(task)
        self._facts.append(TaskYielded(new.step, new.whole, task))
        if task.kind == SIGNAL:
            del self.open[task.id]  # nothing answers it
        if task.kind == TIMER:
            self._admit_timer(index, task)
        return task

    def _admit_timer(self, index: int, timer: Task) -> None:
        timer.cancelled = bool(timer.action.get("isCanceled"))
        if timer.cancelled:
            self._facts.append(TimerCancelled(timer.id))
        else:
            self._open_timers[index] = timer.id

    def _next_attempt(self, retry: Retry, event: Event, now: datetime) -> list[Task]:
        if event.type in FAILURES:
            # After the last attempt the pause is zero, but its timer exists: the SDK waits for it before it raises.
            pause = timedelta(0) if retry.exhausted else retry.first_interval
            return [self._number(Task(-1, TIMER, fire_at=now + pause, retry=retry))]
        if event.type == "TimerFired" and not retry.exhausted:
            again = make(retry.action)
            retry.attempts += 1
            again.retry = retry
            return [self._number(again)]
        return []

    def refuse_changes(self, flat: list[Action]) -> None:
        for index, known in enumerate(self._known):
            if index >= len(flat):
                raise OrchestrationFault(_non_deterministic(index, known, "nothing"))
            current = _kind_and_name(make(flat[index]))
            if current != known:
                raise OrchestrationFault(_non_deterministic(index, known, describe(*current)))


def _kind_and_name(task: Task) -> tuple[str, str]:
    return task.kind, task.name.lower()


def _stored(created: Event) -> tuple[str, str]:
    if created.type == "EventSent":
        request = json.loads(created.fields["Input"])
        return SIGNAL if request.get("signal") else CALL, f"{request['op']} of {created.fields['InstanceId']}".lower()
    return CREATES[created.type], str(created.fields.get("Name") or "").lower()


def _non_deterministic(index: int, known: tuple[str, str], now: str) -> str:
    return (
        f"Non-Deterministic workflow detected: step {index + 1} was {describe(*known)} when it was first run, and is "
        f"{now} now. Orchestrator code must decide only by its input, the results of its tasks and the context."
    )


def rebuild(events: list[Event], actions: list[Action]) -> TaskTable:
    """The task table of a stored history. `actions` is the SDK's list for exactly this history."""
    table, flat, now = TaskTable(), listed(actions), datetime.min.replace(tzinfo=UTC)
    for event in events:
        if event.type == "OrchestratorStarted":
            now = event.at
        elif event.type in CREATES:
            table.admit_until(event, flat)
            if event.type == "EventSent":
                table.sent(event)
        else:
            table.observe(event, now)
    table.take_facts()  # a history does not say when a wait for an event began: nothing follows from them
    return table
