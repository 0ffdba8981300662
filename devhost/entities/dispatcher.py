"""Entities at work: their requests put on record, their batches run, their answers kept and delivered.

Each entity has two strands. One puts what comes on record, as soon as it comes, also while a batch runs: a client's 202
waits for nothing else. The other runs batches and begins a generation with what each came to. Both write under one
lock. The rules are in scheduler.py; here is what they need a clock, a disk and a process for.

An entity stays in memory once it was asked for, and after a start all of them are read: only their histories know
whether operations wait.
"""

import asyncio
import contextlib
import json
import logging
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from devhost.entities.scheduler import (
    Answer,
    EntityId,
    Outcome,
    Request,
    Scheduler,
    Sender,
    all_failed,
    context_of,
    failed_response,
    read_outcome,
)
from devhost.function_registry import FunctionRegistry
from devhost.history import builders
from devhost.history.builders import now
from devhost.history.events import FINISHED, Event, Row, compact_json
from devhost.storage.history_table import History
from devhost.storage.instances_table import columns_of
from devhost.storage.large_payloads import is_large
from devhost.storage.task_hub import TaskHub
from devhost.worker_host.failures import WorkerDied
from devhost.worker_host.supervisor import MAX_DEATHS, WorkerSupervisor

log = logging.getLogger("devhost.entity")

LATE_ROW_S = 0.25
PAUSE_S, MAX_PAUSE_S = 1.0, 60.0
RECORDED_AT_ONCE = 90
LOADED_AT_ONCE = 16

Batch = tuple[Request, ...]
Deliver = Callable[[Answer], "asyncio.Future[Any] | None"]


@dataclass(frozen=True)
class EntityOptions:
    """host.json's settings for entities: how many run at once, how many operations in a batch, and whether a failed
    operation changes nothing.
    """

    at_once: int
    batch: int
    rollback: bool


@dataclass
class PendingRequest:
    """A request that is on its way; `recorded` is set once it is on record."""

    request: Request
    recorded: "asyncio.Future[None]"


@dataclass
class LoadedEntity:
    """One entity in memory. `scheduler` is what storage has, but for entries that have become needless since.

    `row` is its Instances row as it is to be, `row_due` whether storage has yet to be told. `events` counts the rows of
    its generation. `lives` counts how often it was purged: what was begun in an earlier life is dropped.
    """

    id: str
    scheduler: Scheduler = field(default_factory=Scheduler)
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    inbox: deque[PendingRequest] = field(default_factory=deque)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    recording: bool = False
    running: bool = False
    careful: bool = False
    swept: bool = False
    lives: int = 0
    execution_id: str = ""
    events: int = 0
    large: bool = False
    row: Row = field(default_factory=dict)
    row_address: str | None = None
    row_due: bool = False
    late_row: asyncio.TimerHandle | None = None

    @property
    def entity_id(self) -> EntityId:
        return EntityId.parse(self.id)


class EntityDispatcher:
    """`deliver` hands an answer to its caller: a future that is done when the caller has it on record or no use for it,
    or None when the caller is not there.
    """

    def __init__(
        self,
        task_hub: TaskHub,
        worker: WorkerSupervisor,
        functions: FunctionRegistry,
        options: EntityOptions,
        *,
        deliver: Deliver,
    ) -> None:
        self._task_hub, self._worker, self._functions, self._options = task_hub, worker, functions, options
        self._deliver_answer = deliver
        self._loaded: dict[str, LoadedEntity] = {}
        self._slots, self._loads = asyncio.Semaphore(options.at_once), asyncio.Semaphore(LOADED_AT_ONCE)
        self._work: set[asyncio.Task[None]] = set()
        self._stopping = False

    # --- what the outside asks for ---

    async def signal(self, entity: EntityId, operation: str, given: str | None) -> None:
        """Signal an entity; returns when the signal is on record. `given` is JSON text."""
        await self.send(str(entity), Request(str(uuid.uuid4()), operation, given, is_signal=True))

    def send(self, instance_id: str, request: Request) -> "asyncio.Future[None]":
        """Take a request; the future is done when it is on record. Requests of a sender must come in their order."""
        pending = PendingRequest(request, asyncio.get_running_loop().create_future())
        entity = self._entity(instance_id)
        entity.inbox.append(pending)
        self._record(entity)
        return pending.recorded

    def forget(self, execution_id: str, instance_ids: Iterable[str]) -> None:
        """An execution cannot send again: its row says that it has ended, or its history is the next generation's."""
        for entity in map(self._loaded.get, instance_ids):
            if entity:
                entity.scheduler = entity.scheduler.without_sender(execution_id)

    async def read(self, entity_id: EntityId) -> Scheduler | None:
        """The state of an entity after its last batch, or None when nobody ever asked for it."""
        entity = self._loaded.get(str(entity_id))
        if entity is None:
            return None
        await entity.loaded.wait()
        return entity.scheduler

    async def row(self, instance_id: str) -> Row | None:
        """The Instances row of an entity as it is to be, or None."""
        entity = self._loaded.get(instance_id)
        if entity is None:
            return None
        await entity.loaded.wait()
        return entity.row or None

    def resume(self, instance_id: str, row: Row) -> None:
        """Read an entity that storage has, and run what waits for it. `row`: its Instances row as it is."""
        entity = self._entity(instance_id)
        entity.row = row
        self._record(entity)

    async def purge(self, instance_id: str) -> bool:
        """Delete an entity with all that waits for it; whether it was one. Calls that wait get a failure."""
        entity = self._loaded.get(instance_id)
        if entity is None:
            return False
        await entity.loaded.wait()
        async with entity.writing:
            await self._task_hub.purge(instance_id)
            dropped, entity.scheduler = entity.scheduler.queue, Scheduler()
            entity.lives += 1
            entity.execution_id, entity.events, entity.row, entity.row_due = "", 0, {}, False
        for request in dropped:
            if request.sender and not request.is_signal:
                self._deliver_answer(Answer(request.id, request.sender, failed_response(f"{instance_id} was purged.")))
        if not entity.inbox:
            del self._loaded[instance_id]
        return True

    async def write_rows(self) -> None:
        """Bring the Instances table up to date, for who is about to read it as a whole."""
        for entity in [each for each in self._loaded.values() if each.row_due]:
            async with entity.writing:
                await self._write_row(entity)

    async def stop(self, patience_s: float) -> None:
        """Let the writes that are under way end; start nothing new. Batches that run will run again."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet(), patience_s)
        for task in self._work:
            task.cancel()

    async def _quiet(self) -> None:
        for entity in list(self._loaded.values()):
            async with entity.writing:
                pass

    # --- putting on record ---

    def _entity(self, instance_id: str) -> LoadedEntity:
        if instance_id not in self._loaded:
            self._loaded[instance_id] = LoadedEntity(instance_id)
        return self._loaded[instance_id]

    def _record(self, entity: LoadedEntity) -> None:
        if not entity.recording:
            entity.recording = True
            self._spawn(self._recording(entity))

    async def _recording(self, entity: LoadedEntity) -> None:
        """Put what waits on record. A refusal of storage is tried again: requests must stay in their order."""
        pause = PAUSE_S
        while (entity.inbox or not entity.loaded.is_set()) and not self._stopping:
            try:
                async with entity.writing:
                    await self._load(entity)
                    await self._put_on_record(entity)
                pause = PAUSE_S
            except Exception:
                log.exception("Entity %s stumbled; it is read again from storage in %.0f s.", entity.id, pause)
                entity.loaded.clear()
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_S)
        entity.recording = False
        self._run(entity)

    async def _put_on_record(self, entity: LoadedEntity) -> None:
        waiting = [entity.inbox[index] for index in range(min(len(entity.inbox), RECORDED_AT_ONCE))]
        requests = [pending.request for pending in waiting]
        known = len(entity.scheduler.queue)
        fresh = entity.scheduler.taking(requests).queue[known:]
        if fresh:
            await self._append(entity, [_raised(request) for request in fresh])
        entity.scheduler = entity.scheduler.taking(fresh)
        for pending in waiting:
            entity.inbox.popleft()
            if not pending.recorded.done():
                pending.recorded.set_result(None)
        self._run(entity)
        for request in requests:
            if request not in fresh and request.id in entity.scheduler.answers:
                self._deliver(entity, entity.scheduler.answers[request.id])

    async def _append(self, entity: LoadedEntity, raised: list[Event]) -> None:
        """The row of a new entity comes first: what has no row is not found after a restart."""
        events = [Event("OrchestratorStarted", now())]
        if not entity.execution_id:
            started = _started(entity, None)
            self._change_row(entity, started, {})
            await self._write_row(entity)
            events.append(started)
        events += [*raised, Event("OrchestratorCompleted", now())]
        execution_id = entity.row["ExecutionId"]
        addresses = await self._task_hub.history.append(
            entity.id, execution_id, entity.events, events, last=False, over=bool(entity.execution_id)
        )
        entity.execution_id, entity.events = execution_id, entity.events + len(events)
        entity.large = entity.large or bool(addresses)

    # --- batches ---

    def _run(self, entity: LoadedEntity) -> None:
        if entity.scheduler.queue and not entity.running and not self._stopping:
            entity.running = True
            self._spawn(self._running(entity))

    async def _running(self, entity: LoadedEntity) -> None:
        try:
            while entity.scheduler.queue and not self._stopping:
                if not await self._run_batch(entity):
                    break
        except Exception:
            log.exception("A batch of entity %s came to nothing; the entity is read again.", entity.id)
            await asyncio.sleep(PAUSE_S)
            entity.loaded.clear()
            self._record(entity)
        finally:
            entity.running = entity.careful = False

    async def _run_batch(self, entity: LoadedEntity) -> bool:
        """Run the next operations, and keep what they came to. False when there is no function for them."""
        lives, before = entity.lives, entity.scheduler
        if self._functions.entity(entity.entity_id.name) is None:
            log.error("%s What waits for %s stays.", self._functions.no_entity(entity.entity_id.name), entity.id)
            return False
        batch = before.queue[: 1 if entity.careful else self._options.batch]
        outcome = await self._outcome(entity, batch)
        if outcome is None:
            return True
        await self._sweep(entity)
        async with entity.writing:
            if entity.lives != lives:
                return True
            await self._begin_generation(entity, entity.scheduler.after(outcome))
            entity.scheduler = entity.scheduler.after(outcome)
        for request in batch:
            if request.id in entity.scheduler.answers:
                self._deliver(entity, entity.scheduler.answers[request.id])
        return True

    async def _outcome(self, entity: LoadedEntity, batch: Batch) -> Outcome | None:
        """What a batch comes to. None when it has to be run in parts, because one of its operations ends the worker."""
        function = self._functions.entity(entity.entity_id.name)
        assert function is not None
        body = context_of(entity.entity_id, entity.scheduler, batch, self._options.rollback)
        try:
            async with self._slots:
                reply = await self._worker.call_repeatedly("entity", function, body)
        except WorkerDied:
            entity.careful = len(batch) > 1
            if entity.careful:
                return None
            text = f"The worker process died {MAX_DEATHS} times while it ran this operation."
            return self._logged(entity, batch, all_failed(entity.scheduler, batch, text))
        outcome = read_outcome(reply.body) if reply.ok else all_failed(entity.scheduler, batch, reply.error)
        return self._logged(entity, batch, outcome)

    def _logged(self, entity: LoadedEntity, batch: Batch, outcome: Outcome) -> Outcome:
        for request, result in zip(batch, outcome.results, strict=True):
            if result["isError"]:
                log.warning("Operation '%s' of %s raised: %s", request.operation, entity.id, result["result"])
        return outcome

    async def _begin_generation(self, entity: LoadedEntity, scheduler: Scheduler) -> None:
        """Write the state, the answers and what waits, as the beginning of a new generation: one transaction."""
        started = _started(entity, scheduler.text)
        execution_id = started.fields["OrchestrationInstance"]["ExecutionId"]
        events = [Event("OrchestratorStarted", now()), started, Event("OrchestratorCompleted", now())]
        addresses = await self._task_hub.history.append(entity.id, execution_id, 0, events, last=False, over=True)
        entity.execution_id, entity.events = execution_id, len(events)
        self._change_row(entity, started, addresses, scheduler.status)
        was_large, entity.large = entity.large, bool(addresses)
        if was_large or addresses:
            await self._write_row(entity)
            await self._task_hub.drop_old_texts(entity.id, addresses.values())

    def _deliver(self, entity: LoadedEntity, answer: Answer) -> None:
        delivered = self._deliver_answer(answer)
        if delivered is None:
            return  # its caller asks again once it has been read

        def keep_no_longer(done: "asyncio.Future[Any]") -> None:
            if not done.cancelled() and done.exception() is None:
                entity.scheduler = entity.scheduler.without_answer(answer.request_id)

        delivered.add_done_callback(keep_no_longer)

    # --- storage ---

    async def _load(self, entity: LoadedEntity) -> None:
        """Read an entity from its history, unless it is in memory."""
        if entity.loaded.is_set():
            return
        async with self._loads:
            history = await self._task_hub.history.read(entity.id)
        raised = [event for event in history.events if event.type == "EventRaised"]
        requests = [Request.from_json(json.loads(event.fields["Input"])) for event in raised]
        given = history.started.fields["Input"] if history.events else None
        entity.scheduler = Scheduler.from_text(given).taking(requests)
        entity.execution_id, entity.events = history.execution_id, len(history.events)
        entity.large = is_large(given) or any(is_large(event.fields["Input"]) for event in raised)
        if history.events:
            await self._check_row(entity, history)
        entity.loaded.set()

    async def _check_row(self, entity: LoadedEntity, history: History) -> None:
        """Bring the Instances row up to the history, when a crash left it behind."""
        due = entity.row_due or entity.row.get("ExecutionId") != history.execution_id
        self._change_row(entity, history.started, {}, entity.scheduler.status, history.events[-1].at)
        entity.row_due = due
        if due and entity.large:  # only who writes a large text knows its address
            await self._begin_generation(entity, entity.scheduler)

    async def _sweep(self, entity: LoadedEntity) -> None:
        """Drop what an earlier process kept for senders that have ended since: their rows say so.

        A row that is not there, or is of another execution, says nothing: that of a sub-orchestration comes late.
        """
        if entity.swept:
            return
        for sender in entity.scheduler.senders:
            if await self._has_ended(sender):
                entity.scheduler = entity.scheduler.without_sender(sender.execution_id)
        entity.swept = True

    async def _has_ended(self, sender: Sender) -> bool:
        row = await self._task_hub.instances.get(sender.instance_id)
        return row is not None and row["RuntimeStatus"] in FINISHED and row["ExecutionId"] == sender.execution_id

    def _change_row(
        self,
        entity: LoadedEntity,
        started: Event,
        addresses: dict[str, str],
        status: str = "{}",
        at: datetime | None = None,
    ) -> None:
        columns = columns_of(started, "Running", status, self._task_hub.name)
        entity.row = {**columns, "LastUpdatedTime": at or started.at}
        entity.row_address = addresses.get("ExecutionStarted.Input")
        entity.row_due = True
        if entity.late_row is None:
            entity.late_row = asyncio.get_running_loop().call_later(LATE_ROW_S, self._write_late, entity)

    def _write_late(self, entity: LoadedEntity) -> None:
        entity.late_row = None
        if entity.row_due and not self._stopping:
            self._spawn(self._write_rows_of(entity))

    async def _write_rows_of(self, entity: LoadedEntity) -> None:
        async with entity.writing:
            await self._write_row(entity)

    async def _write_row(self, entity: LoadedEntity) -> None:
        if not entity.row_due:
            return
        address = entity.row_address
        row = {**entity.row, "Input": address} if address else entity.row
        await self._task_hub.instances.merge(entity.id, row, exists=False)
        entity.row_due = False

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def _raised(request: Request) -> Event:
    fields = {"Name": "op", "Input": compact_json(request.to_json())}
    return Event("EventRaised", now(), played=True, fields=fields)


def _started(entity: LoadedEntity, given: str | None) -> Event:
    return builders.execution_started(entity.id, f"@{entity.entity_id.name}", given, "").as_played()
