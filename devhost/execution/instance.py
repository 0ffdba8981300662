"""One orchestration instance in memory: its current execution, its row, and the messages that wait for it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from devhost.execution.azure_compatibility import AzureCompatibility
from devhost.execution.messages import Message, TaskEnd
from devhost.execution.task_table import CREATES, TaskTable
from devhost.history.builders import Parent
from devhost.history.events import Event, Row, compact_json, to_sdk
from devhost.storage.history_table import History

END_OF_CONTEXT = (  # what the extension tells the SDK of its protocol and of the longest timers of Azure Storage
    '"upperSchemaVersion":1,"upperSchemaVersionNew":2,"longRunningTimerIntervalDuration":"3.00:00:00",'
    '"maximumShortTimerDuration":"6.00:00:00","defaultHttpAsyncRequestSleepTimeMillseconds":30000}'
)


@dataclass(eq=False)
class Execution:
    """One run of an orchestrator; continue-as-new begins another. Empty without `started`.

    While it is suspended, `held` are the stored events without a decision, and `later` the events that are not stored
    yet. `turns` counts the turns of the SDK. `entities` are the ids of entities that it has sent requests to. `azure`
    watches it; None for an execution that was read from its history.
    """

    started: Event | None = None
    tasks: TaskTable = field(default_factory=TaskTable)
    azure: AzureCompatibility | None = field(default_factory=AzureCompatibility)
    turns: int = 0
    suspended: bool = False
    held: list[Event] = field(default_factory=list)
    later: list[TaskEnd] = field(default_factory=list)
    entities: set[str] = field(default_factory=set)
    timers: dict[int, asyncio.TimerHandle] = field(default_factory=dict)
    id: str = field(init=False, default="")
    name: str = field(init=False, default="")
    parent: Parent | None = field(init=False, default=None)
    _events: list[Event] = field(init=False, default_factory=list)
    _texts: list[str] = field(init=False, default_factory=list)
    _unseen: list[Event] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        if self.started:
            self.id, self.name = (
                self.started.fields["OrchestrationInstance"]["ExecutionId"],
                self.started.fields["Name"],
            )
            self.parent = Parent.from_json(self.started.fields["ParentInstance"])

    @property
    def event_count(self) -> int:
        return len(self._events)

    @property
    def sdk_knows_all(self) -> bool:
        """Whether the SDK has had every stored event."""
        return not self._unseen

    @property
    def ids_on_record(self) -> int:
        """How many ids the tasks of the stored events have taken. The task table may count more: tasks that were
        refused.
        """
        return max((event.event_id + 1 for event in self._events if event.type in CREATES), default=0)

    @property
    def changed_at(self) -> datetime:
        """The time of the last event."""
        return self._events[-1].at if self._events else datetime.now(UTC)

    def remember(self, events: list[Event], unseen: Sequence[Event] = ()) -> None:
        """Add events that storage has acknowledged; `unseen` are the ones among them that the SDK has not read."""
        self._events += events
        self._unseen += unseen

    def replay_context(self, instance_id: str, fresh: list[Event]) -> bytes:
        """The input of the SDK's replay: the whole history and this turn's events, as one JSON text."""
        assert self.started is not None
        self._texts += map(to_sdk, self._events[len(self._texts) :])
        self._unseen.clear()
        history = ",".join([*self._texts, *map(to_sdk, fresh)])
        body = self.started.fields.get("Input")
        head = {
            "instanceId": instance_id,
            "isReplaying": bool(self._texts),
            "parentInstanceId": self.parent.instance_id if self.parent else None,
        }
        fields = ",".join(f'"{name}":{compact_json(value)}' for name, value in head.items())
        return f'{{"history":[{history}],"input":{body or "null"},{fields},{END_OF_CONTEXT}'.encode()

    def unseen_by_sdk(self, fresh: list[Event]) -> bytes:
        """The input of a warm execution: the events that it has not read, and then this turn's."""
        events, self._unseen = [*self._unseen, *fresh], []
        return f"[{','.join(map(to_sdk, events))}]".encode()

    def cancel_timers(self) -> None:
        for handle in self.timers.values():
            handle.cancel()
        self.timers.clear()


@dataclass
class InstanceRow:
    """The Instances row: its current `columns`, and the ones among them that are still `unwritten`.

    `late` is the timer after which it is written.
    """

    columns: Row = field(default_factory=dict)
    unwritten: Row = field(default_factory=dict)
    late: asyncio.TimerHandle | None = None

    @property
    def status(self) -> str | None:
        return self.columns.get("RuntimeStatus")

    @property
    def custom_status(self) -> str:
        return self.columns.get("CustomStatus") or "null"

    def cancel_late(self) -> None:
        if self.late:
            self.late.cancel()
            self.late = None


@dataclass(frozen=True)
class Unread:
    """The stored parts of an instance that is to be read and resumed; a part that is None is not fetched yet."""

    row: Row | None = None
    history: History | None = None


@dataclass
class Instance:
    """`idle` is set while no task processes the instance, `ended` once it has ended.

    `finished`: it is processed no more, because it has ended or is about to be dropped from memory. `unread`: it has to
    be read from storage first. `outgoing` are the requests that entities have not stored yet, by their ids.
    """

    id: str
    execution: Execution = field(default_factory=Execution)
    row: InstanceRow = field(default_factory=InstanceRow)
    inbox: deque[Message] = field(default_factory=deque)
    unread: Unread | None = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    finished: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    outgoing: "dict[str, asyncio.Future[None]]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.idle.set()

    @property
    def name(self) -> str:
        return self.execution.name

    def begin(self, started: Event) -> None:
        """Make this the execution that an ExecutionStarted event describes, with an empty history."""
        self.execution.cancel_timers()
        self.execution = Execution(started)
