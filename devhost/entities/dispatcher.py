"""Runs entities: takes their requests, runs their batches, and answers their callers.

Each entity has two strands. One stores requests as soon as they arrive: mailbox.py. The other runs batches, and begins
a generation with the state after each. Both write under one lock. The rules are in scheduler.py; this module applies
them to a clock, storage and the worker.

An entity stays in memory after its first request. After a start all entities are read, because only their histories
show whether operations wait.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from devhost.entities.entity_storage import EntityStorage
from devhost.entities.loaded_entity import LoadedEntity
from devhost.entities.mailbox import PAUSE_S, Mailbox
from devhost.entities.scheduler import (
    EntityId,
    EntityResponse,
    Outcome,
    Request,
    Scheduler,
    all_failed,
    context_of,
    failed_response,
    read_outcome,
)
from devhost.function_registry import FunctionRegistry
from devhost.history.events import Row
from devhost.storage.task_hub import TaskHub
from devhost.worker_host.failures import WorkerDied
from devhost.worker_host.supervisor import MAX_DEATHS, WorkerSupervisor

log = logging.getLogger("devhost.entity")

Batch = tuple[Request, ...]
Deliver = Callable[[EntityResponse], "asyncio.Future[Any] | None"]


@dataclass(frozen=True)
class EntityOptions:
    """host.json's settings for entities: how many run at once, how many operations in a batch, and whether a failed
    operation changes nothing.
    """

    at_once: int
    batch: int
    rollback: bool


class EntityDispatcher:
    """`deliver` sends an answer to its caller. It returns a future that is done when the caller has stored the answer
    or cannot use it, or None when the caller is not in memory. `spawn` runs a coroutine beside the caller.
    """

    def __init__(
        self,
        task_hub: TaskHub,
        worker: WorkerSupervisor,
        functions: FunctionRegistry,
        options: EntityOptions,
        *,
        deliver: Deliver,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._worker, self._functions, self._options, self._deliver = worker, functions, options, deliver
        self._spawn = spawn
        self._storage = EntityStorage(task_hub, spawn)
        self._mailbox = Mailbox(self._storage, run_waiting=self._run, answer=self._answer, spawn=spawn)
        self._loaded: dict[str, LoadedEntity] = {}
        self._slots = asyncio.Semaphore(options.at_once)

    # --- requests ---

    async def signal(self, entity_id: EntityId, operation: str, body: str | None) -> None:
        """Signal an entity; returns when the signal is durable. `body`: the input as JSON text."""
        await self.send(str(entity_id), Request(str(uuid.uuid4()), operation, body, is_signal=True))

    def send(self, instance_id: str, request: Request) -> "asyncio.Future[None]":
        """Queue a request; the future is done when it is stored. A sender's requests must arrive in their order."""
        return self._mailbox.put(self._entity(instance_id), request)

    def forget(self, execution_id: str, instance_ids: Iterable[str]) -> None:
        """Drop the entries of an execution that cannot send again: its row says that it has ended, or its history has
        been replaced by the next generation's.
        """
        for entity in map(self._loaded.get, instance_ids):
            if entity:
                entity.scheduler = entity.scheduler.without_sender(execution_id)

    async def read(self, entity_id: EntityId) -> Scheduler | None:
        """The state of an entity after its last batch, or None for an entity that had no request."""
        entity = self._loaded.get(str(entity_id))
        if entity is None:
            return None
        await entity.loaded.wait()
        return entity.scheduler

    async def row(self, instance_id: str) -> Row | None:
        """The Instances row of an entity with its unwritten changes, or None."""
        entity = self._loaded.get(instance_id)
        if entity is None:
            return None
        await entity.loaded.wait()
        return entity.row.columns or None

    def resume(self, instance_id: str, row: Row) -> None:
        """Read an entity from storage, and run its waiting operations. `row`: its stored Instances row."""
        entity = self._entity(instance_id)
        entity.row.columns = row
        self._mailbox.attend(entity)

    async def purge(self, instance_id: str) -> bool:
        """Delete an entity with its waiting operations; whether it is in memory. Waiting calls get a failure.

        It stays in memory, because whatever comes next has to wait for the same lock.
        """
        entity = self._loaded.get(instance_id)
        if entity is None:
            return False
        await entity.loaded.wait()
        async with entity.writing:
            await self._storage.purge(entity)
            dropped = entity.scheduler.queue
            entity.forget_all()
        for request in dropped:
            if request.sender and not request.is_signal:
                self._deliver(EntityResponse(request.id, request.sender, failed_response(f"{instance_id} was purged.")))
        return True

    async def write_rows(self) -> None:
        """Bring the Instances table up to date, for a reader of the whole table."""
        for entity in [each for each in self._loaded.values() if each.row.is_due]:
            async with entity.writing:
                await self._storage.write_row(entity)

    def _entity(self, instance_id: str) -> LoadedEntity:
        if instance_id not in self._loaded:
            self._loaded[instance_id] = LoadedEntity(instance_id)
        return self._loaded[instance_id]

    # --- batches ---

    def _run(self, entity: LoadedEntity) -> None:
        if entity.scheduler.queue and not entity.running:
            entity.running = True
            self._spawn(self._run_all(entity))

    async def _run_all(self, entity: LoadedEntity) -> None:
        try:
            while entity.scheduler.queue and await self._run_batch(entity):
                pass
        except Exception:
            log.exception("A batch of entity %s failed unexpectedly; the entity is read again from storage.", entity.id)
            await asyncio.sleep(PAUSE_S)
            entity.loaded.clear()
            self._mailbox.attend(entity)
        finally:
            entity.running = entity.one_by_one = False

    async def _run_batch(self, entity: LoadedEntity) -> bool:
        """Run the next operations, and store the state after them. False when there is no function for them."""
        lives, before = entity.lives, entity.scheduler
        if self._functions.entity(entity.entity_id.name) is None:
            log.error(
                "%s The waiting operations of %s are kept.", self._functions.no_entity(entity.entity_id.name), entity.id
            )
            return False
        batch = before.queue[: 1 if entity.one_by_one else self._options.batch]
        outcome = await self._outcome(entity, batch)
        if outcome is None:
            return True
        await self._storage.drop_ended_senders(entity)
        async with entity.writing:
            if entity.lives != lives:
                return True
            await self._storage.begin_generation(entity, entity.scheduler.after(outcome))
            entity.scheduler = entity.scheduler.after(outcome)
        for request in batch:
            if request.id in entity.scheduler.answers:
                self._answer(entity, entity.scheduler.answers[request.id])
        return True

    async def _outcome(self, entity: LoadedEntity, batch: Batch) -> Outcome | None:
        """The outcome of a batch. None when its operations must run one by one, because one of them ends the worker."""
        function = self._functions.entity(entity.entity_id.name)
        assert function is not None
        body = context_of(entity.entity_id, entity.scheduler, batch, self._options.rollback)
        try:
            async with self._slots:
                reply = await self._worker.call_repeatedly("entity", function, body)
        except WorkerDied:
            entity.one_by_one = len(batch) > 1
            if entity.one_by_one:
                return None
            text = f"The worker process died {MAX_DEATHS} times while it ran this operation."
            return _logged(entity, batch, all_failed(entity.scheduler, batch, text))
        outcome = read_outcome(reply.body) if reply.ok else all_failed(entity.scheduler, batch, reply.error)
        return _logged(entity, batch, outcome)

    def _answer(self, entity: LoadedEntity, answer: EntityResponse) -> None:
        """Deliver an answer, which is kept until its caller has stored it."""
        delivered = self._deliver(answer)
        if delivered is None:
            return  # the caller sends its request again once it has been read from storage

        def keep_no_longer(done: "asyncio.Future[Any]") -> None:
            if not done.cancelled() and done.exception() is None:
                entity.scheduler = entity.scheduler.without_answer(answer.request_id)

        delivered.add_done_callback(keep_no_longer)


def _logged(entity: LoadedEntity, batch: Batch, outcome: Outcome) -> Outcome:
    for request, result in zip(batch, outcome.results, strict=True):
        if result["isError"]:
            log.warning("Operation '%s' of %s raised: %s", request.operation, entity.id, result["result"])
    return outcome
