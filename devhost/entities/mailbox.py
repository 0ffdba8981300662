"""Stores requests to entities as soon as they arrive, also while a batch runs: a 202 waits for nothing else."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from itertools import islice
from typing import Any

from devhost.entities.entity_storage import EntityStorage
from devhost.entities.loaded_entity import LoadedEntity, PendingRequest
from devhost.entities.scheduler import EntityResponse, Request

log = logging.getLogger("devhost.entity")

PAUSE_S, MAX_PAUSE_S = 1.0, 60.0
STORED_AT_ONCE = 90


class Mailbox:
    """`run_waiting` runs the waiting operations of an entity; `answer` delivers a kept answer again; `spawn` runs a
    coroutine beside the caller.
    """

    def __init__(
        self,
        storage: EntityStorage,
        *,
        run_waiting: Callable[[LoadedEntity], None],
        answer: Callable[[LoadedEntity, EntityResponse], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._storage, self._run_waiting, self._answer, self._spawn = storage, run_waiting, answer, spawn

    def put(self, entity: LoadedEntity, request: Request) -> "asyncio.Future[None]":
        """Queue a request; the future is done when it is stored. A sender's requests must arrive in their order."""
        pending = PendingRequest(request, asyncio.get_running_loop().create_future())
        entity.inbox.append(pending)
        self.attend(entity)
        return pending.stored

    def attend(self, entity: LoadedEntity) -> None:
        """Load the entity if it is not in memory, store the requests of its inbox, and run its waiting operations."""
        if not entity.storing:
            entity.storing = True
            self._spawn(self._store_all(entity))

    async def _store_all(self, entity: LoadedEntity) -> None:
        """Store the inbox. A write that storage refuses is retried: requests must stay in their order."""
        pause = PAUSE_S
        while entity.inbox or not entity.loaded.is_set():
            try:
                async with entity.writing:
                    await self._storage.load(entity)
                    await self._store(entity)
                pause = PAUSE_S
            except Exception:
                log.exception(
                    "Entity %s failed unexpectedly; it is read again from storage in %.0f s.", entity.id, pause
                )
                entity.loaded.clear()
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_S)
        entity.storing = False
        self._run_waiting(entity)

    async def _store(self, entity: LoadedEntity) -> None:
        waiting = list(islice(entity.inbox, STORED_AT_ONCE))
        requests = [pending.request for pending in waiting]
        known = len(entity.scheduler.queue)
        fresh = entity.scheduler.taking(requests).queue[known:]
        if fresh:
            await self._storage.store(entity, fresh)
        entity.scheduler = entity.scheduler.taking(fresh)
        for pending in waiting:
            entity.inbox.popleft()
            if not pending.stored.done():
                pending.stored.set_result(None)
        self._run_waiting(entity)
        for request in requests:
            if request not in fresh and request.id in entity.scheduler.answers:
                self._answer(entity, entity.scheduler.answers[request.id])
