"""An entity in storage: its requests, its generations and its Instances row.

The methods that write are called with the entity's lock held, which keeps the writes of one entity in their order.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any

from devhost.entities.loaded_entity import LoadedEntity
from devhost.entities.scheduler import Request, Scheduler, Sender
from devhost.history import builders
from devhost.history.builders import now
from devhost.history.events import FINISHED, Event, compact_json
from devhost.storage.history_table import History
from devhost.storage.instances_table import columns_of
from devhost.storage.large_payloads import is_large
from devhost.storage.task_hub import TaskHub

LATE_ROW_S = 0.25
LOADED_AT_ONCE = 16


class EntityStorage:
    """`spawn` runs a coroutine beside the caller."""

    def __init__(self, task_hub: TaskHub, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._task_hub, self._spawn = task_hub, spawn
        self._loads = asyncio.Semaphore(LOADED_AT_ONCE)

    async def load(self, entity: LoadedEntity) -> None:
        """Read an entity from its history, unless it is in memory."""
        if entity.loaded.is_set():
            return
        async with self._loads:
            history = await self._task_hub.history.read(entity.id)
        raised = [event for event in history.events if event.type == "EventRaised"]
        requests = [Request.from_json(json.loads(event.fields["Input"])) for event in raised]
        state = history.started.fields["Input"] if history.events else None
        entity.scheduler = Scheduler.from_text(state).taking(requests)
        entity.execution_id, entity.event_count = history.execution_id, len(history.events)
        entity.has_blobs = is_large(state) or any(is_large(event.fields["Input"]) for event in raised)
        if history.events:
            await self._check_row(entity, history)
        entity.loaded.set()

    async def _check_row(self, entity: LoadedEntity, history: History) -> None:
        """Bring the Instances row up to the history, when a crash left it behind."""
        is_due = entity.row.is_due or entity.row.columns.get("ExecutionId") != history.execution_id
        self._change_row(entity, history.started, {}, entity.scheduler.status, history.events[-1].at)
        entity.row.is_due = is_due
        if is_due and entity.has_blobs:  # only the write of a large text returns its address
            await self.begin_generation(entity, entity.scheduler)

    async def store(self, entity: LoadedEntity, requests: Iterable[Request]) -> None:
        """Store requests. A new entity's row is written first: without it the entity is not found after a restart."""
        events = [Event("OrchestratorStarted", now())]
        if not entity.execution_id:
            started = _started(entity, None)
            self._change_row(entity, started, {})
            await self.write_row(entity)
            events.append(started)
        events += [*map(_raised, requests), Event("OrchestratorCompleted", now())]
        execution_id = entity.row.columns["ExecutionId"]
        first = entity.event_count
        addresses = await self._task_hub.history.append(entity.id, execution_id, first, events, last=False)
        entity.execution_id, entity.event_count = execution_id, entity.event_count + len(events)
        entity.has_blobs = entity.has_blobs or bool(addresses)

    async def begin_generation(self, entity: LoadedEntity, scheduler: Scheduler) -> None:
        """Write the state, the answers and the waiting requests as a new generation, in one transaction."""
        started = _started(entity, scheduler.text)
        execution_id = started.fields["OrchestrationInstance"]["ExecutionId"]
        events = [Event("OrchestratorStarted", now()), started, Event("OrchestratorCompleted", now())]
        addresses = await self._task_hub.history.append(entity.id, execution_id, 0, events, last=False)
        entity.execution_id, entity.event_count = execution_id, len(events)
        self._change_row(entity, started, addresses, scheduler.status)
        had_blobs, entity.has_blobs = entity.has_blobs, bool(addresses)
        if had_blobs or addresses:
            await self.write_row(entity)
            await self._task_hub.drop_old_texts(entity.id, addresses.values())

    async def drop_ended_senders(self, entity: LoadedEntity) -> None:
        """Drop the entries that an earlier process kept for senders whose rows now say that they have ended.

        A missing row, or one of another execution, proves nothing: the row of a sub-orchestration is written late.
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

    async def purge(self, entity: LoadedEntity) -> None:
        await self._task_hub.purge(entity.id)

    async def write_row(self, entity: LoadedEntity) -> None:
        """Write the Instances row, if it is due."""
        row = entity.row
        if not row.is_due:
            return
        columns = {**row.columns, "Input": row.address} if row.address else row.columns
        await self._task_hub.instances.merge(entity.id, columns)
        row.is_due = False

    def _change_row(
        self,
        entity: LoadedEntity,
        started: Event,
        addresses: dict[str, str],
        status: str = "{}",
        at: datetime | None = None,
    ) -> None:
        row, columns = entity.row, columns_of(started, "Running", status, self._task_hub.name)
        row.columns = {**columns, "LastUpdatedTime": at or started.at}
        row.address, row.is_due = addresses.get("ExecutionStarted.Input"), True
        if row.late is None:
            row.late = asyncio.get_running_loop().call_later(LATE_ROW_S, self._write_late, entity)

    def _write_late(self, entity: LoadedEntity) -> None:
        entity.row.late = None
        if entity.row.is_due:
            self._spawn(self._write_row_alone(entity))

    async def _write_row_alone(self, entity: LoadedEntity) -> None:
        async with entity.writing:
            await self.write_row(entity)


def _raised(request: Request) -> Event:
    fields = {"Name": "op", "Input": compact_json(request.to_json())}
    return Event("EventRaised", now(), played=True, fields=fields)


def _started(entity: LoadedEntity, state: str | None) -> Event:
    return builders.execution_started(entity.id, f"@{entity.entity_id.name}", state, "").as_played()
