"""Entities at work: their requests put on record, their batches run, their answers kept and delivered.

Each entity has two strands. One puts what comes on record, as soon as it comes, also while a batch runs: a client's 202
waits for nothing else. The other runs batches and begins a generation with what each came to. Both write under one
lock. The rules are in entities.py; here is what they need a clock, a disk and a process for.

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
from devhost.function_registry import Functions
from devhost.history import builders
from devhost.history.builders import now
from devhost.history.events import Event, compact_json
from devhost.storage.tables import Row
from devhost.storage.task_hub import FINISHED, History, Store, is_large
from devhost.worker_host.supervisor import MAX_DEATHS, WorkerDied, WorkerLink

log = logging.getLogger("devhost.entity")

LATE_ROW_S = 0.25
PAUSE_S, MAX_PAUSE_S = 1.0, 60.0
RECORDED_AT_ONCE = 90
LOADED_AT_ONCE = 16

Batch = tuple[Request, ...]
Deliver = Callable[[Answer], "asyncio.Future[bool] | None"]


@dataclass(frozen=True)
class EntityOptions:
    """host.json's settings for entities: how many run at once, how many operations in a batch, and whether a failed
    operation changes nothing.
    """

    at_once: int
    batch: int
    rollback: bool


@dataclass
class Letter:
    """A request that is on its way; `recorded` is set once it is on record."""

    request: Request
    recorded: "asyncio.Future[None]"


@dataclass
class Resident:
    """One entity in memory. `scheduler` is what storage has, but for entries that have become needless since.

    `row` is its Instances row as it is to be, `row_due` whether storage has yet to be told. `events` counts the rows of
    its generation. `lives` counts how often it was purged: what was begun in an earlier life is dropped.
    """

    id: str
    scheduler: Scheduler = field(default_factory=Scheduler)
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    inbox: deque[Letter] = field(default_factory=deque)
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
    def entity(self) -> EntityId:
        return EntityId.parse(self.id)


class Entities:
    """`deliver` hands an answer to its caller: a future that is done when the caller has it on record or no use for it,
    or None when the caller is not there.
    """

    def __init__(self, store: Store, worker: WorkerLink, functions: Functions, options: EntityOptions) -> None:
        self._store, self._worker, self._functions, self._options = store, worker, functions, options
        self.deliver: Deliver = lambda answer: None
        self._residents: dict[str, Resident] = {}
        self._slots, self._loads = asyncio.Semaphore(options.at_once), asyncio.Semaphore(LOADED_AT_ONCE)
        self._work: set[asyncio.Task[None]] = set()
        self._stopping = False

    # --- what the outside asks for ---

    async def signal(self, entity: EntityId, operation: str, given: str | None) -> None:
        """Signal an entity; returns when the signal is on record. `given` is JSON text."""
        await self.send(str(entity), Request(str(uuid.uuid4()), operation, given, is_signal=True))

    def send(self, instance_id: str, request: Request) -> "asyncio.Future[None]":
        """Take a request; the future is done when it is on record. Requests of a sender must come in their order."""
        letter = Letter(request, asyncio.get_running_loop().create_future())
        resident = self._resident(instance_id)
        resident.inbox.append(letter)
        self._record(resident)
        return letter.recorded

    def forget(self, execution_id: str, instance_ids: Iterable[str]) -> None:
        """An execution cannot send again: its row says that it has ended, or its history is the next generation's."""
        for resident in map(self._residents.get, instance_ids):
            if resident:
                resident.scheduler = resident.scheduler.without_sender(execution_id)

    async def read(self, entity: EntityId) -> Scheduler | None:
        """The state of an entity after its last batch, or None when nobody ever asked for it."""
        resident = self._residents.get(str(entity))
        if resident is None:
            return None
        await resident.loaded.wait()
        return resident.scheduler

    async def row(self, instance_id: str) -> Row | None:
        """The Instances row of an entity as it is to be, or None."""
        resident = self._residents.get(instance_id)
        if resident is None:
            return None
        await resident.loaded.wait()
        return resident.row or None

    def resume(self, instance_id: str, row: Row) -> None:
        """Read an entity that storage has, and run what waits for it. `row`: its Instances row as it is."""
        resident = self._resident(instance_id)
        resident.row = row
        self._record(resident)

    async def purge(self, instance_id: str) -> bool:
        """Delete an entity with all that waits for it; whether it was one. Calls that wait get a failure."""
        resident = self._residents.get(instance_id)
        if resident is None:
            return False
        await resident.loaded.wait()
        async with resident.writing:
            await self._store.purge(instance_id)
            dropped, resident.scheduler = resident.scheduler.queue, Scheduler()
            resident.lives += 1
            resident.execution_id, resident.events, resident.row, resident.row_due = "", 0, {}, False
        for request in dropped:
            if request.sender and not request.is_signal:
                self.deliver(Answer(request.id, request.sender, failed_response(f"{instance_id} was purged.")))
        if not resident.inbox:
            del self._residents[instance_id]
        return True

    async def write_rows(self) -> None:
        """Bring the Instances table up to date, for who is about to read it as a whole."""
        for resident in [each for each in self._residents.values() if each.row_due]:
            async with resident.writing:
                await self._write_row(resident)

    async def stop(self, patience_s: float) -> None:
        """Let the writes that are under way end; start nothing new. Batches that run will run again."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet(), patience_s)
        for task in self._work:
            task.cancel()

    async def _quiet(self) -> None:
        for resident in list(self._residents.values()):
            async with resident.writing:
                pass

    # --- putting on record ---

    def _resident(self, instance_id: str) -> Resident:
        if instance_id not in self._residents:
            self._residents[instance_id] = Resident(instance_id)
        return self._residents[instance_id]

    def _record(self, resident: Resident) -> None:
        if not resident.recording:
            resident.recording = True
            self._spawn(self._recording(resident))

    async def _recording(self, resident: Resident) -> None:
        """Put what waits on record. A refusal of storage is tried again: requests must stay in their order."""
        pause = PAUSE_S
        while (resident.inbox or not resident.loaded.is_set()) and not self._stopping:
            try:
                async with resident.writing:
                    await self._load(resident)
                    await self._put_on_record(resident)
                pause = PAUSE_S
            except Exception:
                log.exception("Entity %s stumbled; it is read again from storage in %.0f s.", resident.id, pause)
                resident.loaded.clear()
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_S)
        resident.recording = False
        self._run(resident)

    async def _put_on_record(self, resident: Resident) -> None:
        letters = [resident.inbox[index] for index in range(min(len(resident.inbox), RECORDED_AT_ONCE))]
        requests = [letter.request for letter in letters]
        known = len(resident.scheduler.queue)
        fresh = resident.scheduler.taking(requests).queue[known:]
        if fresh:
            await self._append(resident, [_raised(request) for request in fresh])
        resident.scheduler = resident.scheduler.taking(fresh)
        for letter in letters:
            resident.inbox.popleft()
            if not letter.recorded.done():
                letter.recorded.set_result(None)
        self._run(resident)
        for request in requests:
            if request not in fresh and request.id in resident.scheduler.answers:
                self._deliver(resident, resident.scheduler.answers[request.id])

    async def _append(self, resident: Resident, raised: list[Event]) -> None:
        """The row of a new entity comes first: what has no row is not found after a restart."""
        events = [Event("OrchestratorStarted", now())]
        if not resident.execution_id:
            started = _started(resident, None)
            self._change_row(resident, started, {})
            await self._write_row(resident)
            events.append(started)
        events += [*raised, Event("OrchestratorCompleted", now())]
        execution_id = resident.row["ExecutionId"]
        addresses = await self._store.append(
            resident.id, execution_id, resident.events, events, last=False, over=bool(resident.execution_id)
        )
        resident.execution_id, resident.events = execution_id, resident.events + len(events)
        resident.large = resident.large or bool(addresses)

    # --- batches ---

    def _run(self, resident: Resident) -> None:
        if resident.scheduler.queue and not resident.running and not self._stopping:
            resident.running = True
            self._spawn(self._running(resident))

    async def _running(self, resident: Resident) -> None:
        try:
            while resident.scheduler.queue and not self._stopping:
                if not await self._run_batch(resident):
                    break
        except Exception:
            log.exception("A batch of entity %s came to nothing; the entity is read again.", resident.id)
            await asyncio.sleep(PAUSE_S)
            resident.loaded.clear()
            self._record(resident)
        finally:
            resident.running = resident.careful = False

    async def _run_batch(self, resident: Resident) -> bool:
        """Run the next operations, and keep what they came to. False when there is no function for them."""
        lives, before = resident.lives, resident.scheduler
        if self._functions.entity(resident.entity.name) is None:
            log.error("%s What waits for %s stays.", self._functions.no_entity(resident.entity.name), resident.id)
            return False
        batch = before.queue[: 1 if resident.careful else self._options.batch]
        outcome = await self._outcome(resident, batch)
        if outcome is None:
            return True
        await self._sweep(resident)
        async with resident.writing:
            if resident.lives != lives:
                return True
            await self._begin_generation(resident, resident.scheduler.after(outcome))
            resident.scheduler = resident.scheduler.after(outcome)
        for request in batch:
            if request.id in resident.scheduler.answers:
                self._deliver(resident, resident.scheduler.answers[request.id])
        return True

    async def _outcome(self, resident: Resident, batch: Batch) -> Outcome | None:
        """What a batch comes to. None when it has to be run in parts, because one of its operations ends the worker."""
        function = self._functions.entity(resident.entity.name)
        assert function is not None
        body = context_of(resident.entity, resident.scheduler, batch, self._options.rollback)
        try:
            async with self._slots:
                reply = await self._worker.call_repeatedly("entity", function, body)
        except WorkerDied:
            resident.careful = len(batch) > 1
            if resident.careful:
                return None
            text = f"The worker process died {MAX_DEATHS} times while it ran this operation."
            return self._logged(resident, batch, all_failed(resident.scheduler, batch, text))
        outcome = read_outcome(reply.body) if reply.ok else all_failed(resident.scheduler, batch, reply.error)
        return self._logged(resident, batch, outcome)

    def _logged(self, resident: Resident, batch: Batch, outcome: Outcome) -> Outcome:
        for request, result in zip(batch, outcome.results, strict=True):
            if result["isError"]:
                log.warning("Operation '%s' of %s raised: %s", request.operation, resident.id, result["result"])
        return outcome

    async def _begin_generation(self, resident: Resident, scheduler: Scheduler) -> None:
        """Write the state, the answers and what waits, as the beginning of a new generation: one transaction."""
        started = _started(resident, scheduler.text)
        execution_id = started.fields["OrchestrationInstance"]["ExecutionId"]
        events = [Event("OrchestratorStarted", now()), started, Event("OrchestratorCompleted", now())]
        addresses = await self._store.append(resident.id, execution_id, 0, events, last=False, over=True)
        resident.execution_id, resident.events = execution_id, len(events)
        self._change_row(resident, started, addresses, scheduler.status)
        was_large, resident.large = resident.large, bool(addresses)
        if was_large or addresses:
            await self._write_row(resident)
            await self._store.drop_old_texts(resident.id, addresses.values())

    def _deliver(self, resident: Resident, answer: Answer) -> None:
        delivered = self.deliver(answer)
        if delivered is None:
            return  # its caller asks again once it has been read

        def keep_no_longer(done: "asyncio.Future[bool]") -> None:
            if not done.cancelled() and done.exception() is None:
                resident.scheduler = resident.scheduler.without_answer(answer.request_id)

        delivered.add_done_callback(keep_no_longer)

    # --- storage ---

    async def _load(self, resident: Resident) -> None:
        """Read an entity from its history, unless it is in memory."""
        if resident.loaded.is_set():
            return
        async with self._loads:
            history = await self._store.history(resident.id)
        raised = [event for event in history.events if event.type == "EventRaised"]
        requests = [Request.from_json(json.loads(event.fields["Input"])) for event in raised]
        given = history.started.fields["Input"] if history.events else None
        resident.scheduler = Scheduler.from_text(given).taking(requests)
        resident.execution_id, resident.events = history.execution_id, len(history.events)
        resident.large = is_large(given) or any(is_large(event.fields["Input"]) for event in raised)
        if history.events:
            await self._check_row(resident, history)
        resident.loaded.set()

    async def _check_row(self, resident: Resident, history: History) -> None:
        """Bring the Instances row up to the history, when a crash left it behind."""
        due = resident.row_due or resident.row.get("ExecutionId") != history.execution_id
        self._change_row(resident, history.started, {}, resident.scheduler.status, history.events[-1].at)
        resident.row_due = due
        if due and resident.large:  # only who writes a large text knows its address
            await self._begin_generation(resident, resident.scheduler)

    async def _sweep(self, resident: Resident) -> None:
        """Drop what an earlier process kept for senders that have ended since: their rows say so.

        A row that is not there, or is of another execution, says nothing: that of a sub-orchestration comes late.
        """
        if resident.swept:
            return
        for sender in resident.scheduler.senders:
            if await self._has_ended(sender):
                resident.scheduler = resident.scheduler.without_sender(sender.execution_id)
        resident.swept = True

    async def _has_ended(self, sender: Sender) -> bool:
        row = await self._store.instance(sender.instance_id)
        return row is not None and row["RuntimeStatus"] in FINISHED and row["ExecutionId"] == sender.execution_id

    def _change_row(
        self,
        resident: Resident,
        started: Event,
        addresses: dict[str, str],
        status: str = "{}",
        at: datetime | None = None,
    ) -> None:
        fields = started.fields
        resident.row = {
            "Name": fields["Name"],
            "Version": "",
            "Input": fields["Input"],
            "CreatedTime": started.at,
            "LastUpdatedTime": at or started.at,
            "RuntimeStatus": "Running",
            "CustomStatus": status,
            "ExecutionId": fields["OrchestrationInstance"]["ExecutionId"],
            "TaskHubName": self._store.hub,
            "Generation": 0,
            "Tags": "null",
        }
        resident.row_address = addresses.get("ExecutionStarted.Input")
        resident.row_due = True
        if resident.late_row is None:
            resident.late_row = asyncio.get_running_loop().call_later(LATE_ROW_S, self._write_late, resident)

    def _write_late(self, resident: Resident) -> None:
        resident.late_row = None
        if resident.row_due and not self._stopping:
            self._spawn(self._write_rows_of(resident))

    async def _write_rows_of(self, resident: Resident) -> None:
        async with resident.writing:
            await self._write_row(resident)

    async def _write_row(self, resident: Resident) -> None:
        if not resident.row_due:
            return
        address = resident.row_address
        row = {**resident.row, "Input": address} if address else resident.row
        await self._store.merge_instance(resident.id, row, exists=False)
        resident.row_due = False

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def _raised(request: Request) -> Event:
    fields = {"Name": "op", "Input": compact_json(request.to_json())}
    return Event("EventRaised", now(), played=True, fields=fields)


def _started(resident: Resident, given: str | None) -> Event:
    return builders.execution_started(resident.id, f"@{resident.entity.name}", given, "").as_played()
