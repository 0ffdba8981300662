"""The loop that processes instances: one turn at a time for each, and they do not wait for each other.

Messages that arrive while a turn is written share the next turn.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from devhost.execution.actions import OrchestrationFault
from devhost.execution.instance import Execution, Instance, Unread
from devhost.execution.messages import Delivery, Message, OutsideEvent, TaskEnd, fail, settle
from devhost.execution.task_table import COMPLETES
from devhost.history.events import Event
from devhost.orchestration.instance_registry import InstanceRegistry
from devhost.orchestration.recovery import Recovery
from devhost.orchestration.turns import TurnRunner
from devhost.storage.retry import StorageRefused

log = logging.getLogger("devhost.engine")

REREAD_PAUSE_S, MAX_REREAD_PAUSE_S = 1.0, 60.0


class InstanceLoop:
    """`joined_events`: how many events may share a turn."""

    def __init__(self, registry: InstanceRegistry, turns: TurnRunner, recovery: Recovery, joined_events: int) -> None:
        self._registry, self._turns, self._recovery = registry, turns, recovery
        self._joined_events, self._stopping = joined_events, False

    def start(self) -> None:
        """Process the instances that wake, until `stop`."""
        self._registry.start(self._attend)

    async def stop(self, patience_s: float) -> None:
        """Let the turns that are under way end; start nothing new."""
        self._stopping = True
        busy = [asyncio.ensure_future(instance.idle.wait()) for instance in self._registry]
        if busy:
            await asyncio.wait(busy, timeout=patience_s)
        for task in busy:
            task.cancel()

    async def abandon(self, instance: Instance) -> None:
        """Stop processing an instance, and drop it from memory once the turn that is under way has ended."""
        instance.finished = True
        await instance.idle.wait()
        self._dismiss(instance)

    async def _attend(self, instance: Instance) -> None:
        """Take the turns of an instance. After an unforeseen fault it is dropped from memory and read again."""
        pause = REREAD_PAUSE_S
        while True:
            try:
                if instance.unread:
                    await self._recovery.recover(instance, instance.unread)
                    instance.unread = None
                await self._drain(instance)
                break
            except Exception:
                log.exception(
                    "Instance %s failed unexpectedly; it is read again from storage in %.0f s.", instance.id, pause
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_REREAD_PAUSE_S)
            instance.unread = Unread()
        instance.idle.set()
        if instance.finished:
            self._dismiss(instance)

    async def _drain(self, instance: Instance) -> None:
        """Take the waiting events of an instance, a turn at a time."""
        while instance.inbox and not instance.finished and not self._stopping:
            batch = take_batch(instance, self._joined_events)
            try:
                if batch:
                    await self._turns.take(instance, batch)
            except Exception as fault:
                for message in batch:
                    fail(message, fault)
                if not is_about_content(fault):
                    raise
                await self._turns.fail(instance, OrchestrationFault(f"Storage cannot keep what it did: {fault}"))
            for message in batch:
                settle(message, Delivery.STORED)

    def _dismiss(self, instance: Instance) -> None:
        """Drop a finished instance from memory. Messages that still wait for it are answered as too late."""
        self._registry.remove(instance)
        instance.execution.cancel_timers()
        instance.row.cancel_late()
        while instance.inbox:
            settle(instance.inbox.popleft(), Delivery.TOO_LATE)


def take_batch(instance: Instance, at_most: int) -> list[Message]:
    """Take the messages of the next turn: one, or all that arrived while the turn before it was written.

    A message that no longer concerns the execution is settled. While the instance is suspended, the end of a task that
    has a turn of its own is kept for later.
    """
    execution = instance.execution
    batch: list[Message] = []
    ended_tasks: set[tuple[str, Any] | None] = set()
    while instance.inbox and len(batch) < at_most:
        message = instance.inbox[0]
        joins = may_share_a_turn(execution, message)
        if batch and not joins:
            break
        instance.inbox.popleft()
        if execution.suspended and not joins and isinstance(message, TaskEnd) and message.event.type in COMPLETES:
            execution.later.append(message)
        elif not concerns(execution, message) or ended_task(message) in ended_tasks:
            settle(message, Delivery.STORED)
        else:
            batch.append(message)
            ended_tasks |= {ended_task(message)} - {None}
            if not joins:
                break
    return batch


def may_share_a_turn(execution: Execution, message: Message) -> bool:
    """Whether the event may share a turn with others. The end of a retried task may not: it numbers a task itself, and
    only the SDK knows the place of that number among the others.
    """
    if not isinstance(message, OutsideEvent | TaskEnd):
        return False
    event = message.event
    if event.type not in COMPLETES:
        return event.type == "EventRaised"
    task = execution.tasks.open.get(event.fields[COMPLETES[event.type]])
    return task is not None and task.retry is None


def concerns(execution: Execution, message: Message) -> bool:
    """Whether a message still concerns this execution: the end of a task that is open, or anything from outside."""
    if not isinstance(message, TaskEnd):
        return True
    return message.execution_id == execution.id and execution.tasks.ended_by(message.event) in execution.tasks.open


def ended_task(message: Message) -> tuple[str, Any] | None:
    """The task that a message ends, so that one turn does not take it twice."""
    if not isinstance(message, TaskEnd):
        return None
    event: Event = message.event
    column = COMPLETES.get(event.type, "Name")
    return column, event.fields[column]


def is_about_content(fault: Exception) -> bool:
    """Whether storage refused the content of a write, so that a retry would be refused too."""
    return isinstance(fault, StorageRefused) and fault.status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )
