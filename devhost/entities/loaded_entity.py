"""One entity in memory, and the requests that are on their way to it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from devhost.entities.scheduler import EntityId, Request, Scheduler
from devhost.history.events import Row


@dataclass
class PendingRequest:
    """A request that is not stored yet; `stored` is set once it is durable."""

    request: Request
    stored: "asyncio.Future[None]"


@dataclass
class EntityRow:
    """The Instances row of an entity: its `columns` with unwritten changes; `is_due`: there are some.

    `address` is the Input's if it lies in a blob; `late` is the timer after which the row is written.
    """

    columns: Row = field(default_factory=dict)
    address: str | None = None
    is_due: bool = False
    late: asyncio.TimerHandle | None = None


@dataclass(eq=False)
class LoadedEntity:
    """`scheduler` is the stored state, without the entries that are no longer needed.

    `storing` and `running`: a task stores its requests, or runs its batches. After a batch that ended the worker,
    `one_by_one` has its operations run alone. `swept`: entries that an earlier process kept for ended senders are
    dropped. `lives` counts how often the entity was purged: a batch that began in an earlier life is dropped.
    `event_count` and `has_blobs` are of its current generation.
    """

    id: str
    scheduler: Scheduler = field(default_factory=Scheduler)
    row: EntityRow = field(default_factory=EntityRow)
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    inbox: deque[PendingRequest] = field(default_factory=deque)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    storing: bool = False
    running: bool = False
    one_by_one: bool = False
    swept: bool = False
    lives: int = 0
    execution_id: str = ""
    event_count: int = 0
    has_blobs: bool = False

    @property
    def entity_id(self) -> EntityId:
        return EntityId.parse(self.id)

    def forget_all(self) -> None:
        """Begin another life, as an entity that had no request."""
        self.lives += 1
        self.scheduler, self.execution_id, self.event_count = Scheduler(), "", 0
        self.row.columns, self.row.is_due = {}, False
