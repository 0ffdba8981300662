"""One orchestration instance in memory: its history, its table of tasks, and what is waiting to be told to it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from devhost.history.builders import Parent
from devhost.history.events import Event, compact_json, to_sdk
from devhost.orchestration.task_table import ACTIVITY, COMPLETES, CREATES, HTTP_ACTIVITY, TIMER, Task, TaskTable
from devhost.worker_protocol import Reply

LIMITS = (
    '"upperSchemaVersion":1,"upperSchemaVersionNew":2,"longRunningTimerIntervalDuration":"3.00:00:00",'
    '"maximumShortTimerDuration":"6.00:00:00","defaultHttpAsyncRequestSleepTimeMillseconds":30000}'
)


@dataclass(frozen=True)
class SpeculativeTurn:
    """A turn that the worker takes before it is asked to: the turn's number, and the worker's answer to come.

    `after`: what the worker has to know to take it after an activity; None for the first turn of all.
    """

    turn: int
    reply: "asyncio.Future[Reply]"
    after: dict[str, Any] | None = None


@dataclass(frozen=True)
class ActivityRun:
    """An activity that is to be run for an execution, and the turn after it, if the worker takes that ahead."""

    execution_id: str
    task: Task
    ahead: SpeculativeTurn | None


@dataclass
class Message:
    """An event for an instance; None asks for a turn without one, or (`row_only`) for its Instances row to be written.

    `taken` is answered once the event is durable (True) or can no longer be taken (False). `execution_id` binds the end
    of a task to the execution that scheduled it: the ids of a later one are its own. `ahead`: the worker takes the turn
    about this very event by itself.
    """

    event: Event | None
    taken: "asyncio.Future[bool] | None" = None
    execution_id: str | None = None
    row_only: bool = False
    ahead: "SpeculativeTurn | None" = None

    @property
    def is_answer(self) -> bool:
        """Whether it is the answer of an entity, which a call of this very execution waits for."""
        return self.event is not None and self.event.type == "EventRaised" and self.execution_id is not None

    def answer(self, taken: bool) -> None:
        if self.taken and not self.taken.done():
            self.taken.set_result(taken)

    def fail(self, fault: Exception) -> None:
        if self.taken and not self.taken.done():
            self.taken.set_exception(fault)


@dataclass
class Instance:
    """`row` is the Instances row as it is to be; `unwritten` are the columns that storage has yet to be told.

    `stored`: whether there is a row at all. While an instance is suspended, `held` are the events that it has on record
    and has not decided about, and `later` what it has yet to record. `ended` is set with its end. `outgoing` are the
    requests that entities have yet to put on record, `entities` those to which this execution has sent any. `turns`
    counts how often the SDK was asked in this execution. `next_run` is an activity that is due and not yet running.
    """

    id: str
    name: str = ""
    execution_id: str = ""
    parent: Parent | None = None
    started: Event | None = None
    tasks: TaskTable = field(default_factory=TaskTable)
    inbox: deque[Message] = field(default_factory=deque)
    row: dict[str, Any] = field(default_factory=dict)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    finished: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    suspended: bool = False
    held: list[Event] = field(default_factory=list)
    later: list[Message] = field(default_factory=list)
    stored: bool = False
    unwritten: dict[str, Any] = field(default_factory=dict)
    late_row: asyncio.TimerHandle | None = None
    turns: int = 0
    next_run: ActivityRun | None = None
    timers: dict[int, asyncio.TimerHandle] = field(default_factory=dict)
    outgoing: "dict[str, asyncio.Future[None]]" = field(default_factory=dict)
    entities: set[str] = field(default_factory=set)
    _events: list[Event] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _unseen: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.idle.set()

    def takes_together(self, message: Message) -> bool:
        """Whether the event may share a turn with others. The end of a retried task may not: it numbers a task itself,
        and where among the others' that falls only the SDK knows.
        """
        event = message.event
        if event is None or event.type not in COMPLETES:
            return event is not None and event.type == "EventRaised"
        task = self.tasks.open.get(event.fields[COMPLETES[event.type]])
        return task is not None and task.retry is None

    def row_says(self, status: str, custom_status: str) -> bool:
        """Whether a turn that leaves this behind changes nothing in the Instances row; the rest follows from the
        execution.
        """
        row = self.row
        told = row.get("RuntimeStatus"), row.get("CustomStatus"), row.get("ExecutionId")
        return told == (status, custom_status, self.execution_id)

    @property
    def custom_status(self) -> str:
        return self.row.get("CustomStatus") or "null"

    def expects(self, message: Message) -> bool:
        """Whether a message still concerns this execution: the end of a task that is open, or anything from outside."""
        if message.event is None or (message.event.type not in COMPLETES and not message.is_answer):
            return True
        is_of_this = message.execution_id in (None, self.execution_id)
        return is_of_this and self.tasks.ended_by(message.event) in self.tasks.open

    def begin(self, started: Event) -> None:
        """Make this the execution that an ExecutionStarted event describes, with an empty history."""
        self.started, self.name = started, started.fields["Name"]
        self.execution_id = started.fields["OrchestrationInstance"]["ExecutionId"]
        self.parent = Parent.from_json(started.fields["ParentInstance"])
        self.tasks, self._events, self._texts, self._unseen = TaskTable(), [], [], []
        self.suspended, self.held, self.later, self.turns, self.entities = False, [], [], 0, set()
        self.cancel_timers()

    def waits_only_for(self, task: Task) -> bool:
        """Whether the end of an activity is all but sure to be the next event: only timers run beside it.

        The end of a retried task is not meant: it may number a task before the SDK is asked.
        """
        beside = (other.kind for other in self.tasks.open.values() if other is not task)
        is_activity = task.kind == ACTIVITY and task.retry is None and task.name != HTTP_ACTIVITY
        return is_activity and not self.suspended and not self._unseen and all(kind == TIMER for kind in beside)

    def cancel_timers(self) -> None:
        for handle in self.timers.values():
            handle.cancel()
        self.timers.clear()

    def cancel_late_row(self) -> None:
        if self.late_row:
            self.late_row.cancel()
            self.late_row = None

    def take_next_run(self) -> ActivityRun | None:
        run, self.next_run = self.next_run, None
        return run

    @property
    def event_count(self) -> int:
        return len(self._events)

    @property
    def ids_on_record(self) -> int:
        """How many ids the tasks of the stored events have taken. The task table may have counted
        further, by tasks that were refused.
        """
        return max((event.event_id + 1 for event in self._events if event.type in CREATES), default=0)

    @property
    def changed_at(self) -> datetime:
        """When the last event happened."""
        return self._events[-1].at if self._events else datetime.now(UTC)

    def remember(self, events: list[Event], unseen: Sequence[Event] = ()) -> None:
        """Take events that storage has acknowledged; `unseen` are those among them that the SDK has yet to be told."""
        self._events += events
        self._unseen += unseen

    def replay_context(self, fresh: list[Event]) -> bytes:
        """What the SDK's replay is given: the whole history and this turn's events, as one JSON text."""
        assert self.started is not None
        self._texts += map(to_sdk, self._events[len(self._texts) :])
        self._unseen.clear()
        history = ",".join([*self._texts, *map(to_sdk, fresh)])
        given = self.started.fields.get("Input")
        head = {
            "instanceId": self.id,
            "isReplaying": bool(self._texts),
            "parentInstanceId": self.parent.instance_id if self.parent else None,
        }
        fields = ",".join(f'"{name}":{compact_json(value)}' for name, value in head.items())
        return f'{{"history":[{history}],"input":{given or "null"},{fields},{LIMITS}'.encode()

    def unseen_by_sdk(self, fresh: list[Event]) -> bytes:
        """What a warm execution is given: this turn's events, after those that it was not told before."""
        told, self._unseen = [*self._unseen, *fresh], []
        return f"[{','.join(map(to_sdk, told))}]".encode()
