"""Stores a turn: its events, in one transaction, and then the Instances row, if it changed.

The row of a running instance is written behind: a moment later, with all changes until then, so that its steps do not
wait for it. The history holds everything, and requests are answered from memory.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime

from devhost.execution.actions import ACTIVITY, CALL, HTTP_ACTIVITY, SIGNAL, SUB_ORCHESTRATION, TIMER, Task
from devhost.execution.executor import TurnResult
from devhost.execution.instance import Instance
from devhost.execution.messages import Message, RowDue
from devhost.history import builders
from devhost.history.builders import now
from devhost.history.events import FINISHED, Event, compact_json
from devhost.orchestration.entity_outbox import EntityOutbox, message_of
from devhost.storage.instances_table import by_address, columns_of, output_columns
from devhost.storage.task_hub import TaskHub

LATE_ROW_S = 0.25
UNPLAYED = ("OrchestratorStarted", "OrchestratorCompleted")

Post = Callable[[Instance, Message], None]


class InstanceRowWriter:
    """`post` gives a message to an instance: the task that processes the instance writes its row, between two turns."""

    def __init__(self, task_hub: TaskHub, post: Post) -> None:
        self._task_hub, self._post = task_hub, post

    async def update(self, instance: Instance, result: TurnResult, at: datetime, addresses: dict[str, str]) -> None:
        """Note this turn's changes to the Instances row; write it now if the instance does not run after the turn."""
        row, started = instance.row, instance.execution.started
        assert started is not None
        wanted = columns_of(started, result.status, result.custom_status, self._task_hub.name)
        wanted |= output_columns(result.status, result.output, at)
        changed = {name: value for name, value in wanted.items() if row.columns.get(name) != value}
        if not changed:
            return
        row.unwritten |= {**changed, **by_address(changed, addresses)}
        if result.status != "Running":
            await self.write(instance)  # before the answer: a client that reads of an end may start the id again
        row.columns = {**row.columns, **changed, "LastUpdatedTime": at}
        if row.unwritten and row.late is None:
            row.late = asyncio.get_running_loop().call_later(LATE_ROW_S, self._post, instance, RowDue())

    async def write(self, instance: Instance) -> None:
        row = instance.row
        row.cancel_late()
        columns, row.unwritten = row.unwritten, {}
        if not columns:
            return
        columns |= {"LastUpdatedTime": instance.execution.changed_at, "ExecutionId": instance.execution.id}
        try:
            await self._task_hub.instances.merge(instance.id, columns)
        except BaseException:
            row.unwritten = {**columns, **row.unwritten}
            raise


class Checkpoint:
    """`store_inputs`: whether inputs of tasks are stored; `default_version`: the version of sub-orchestrations."""

    def __init__(
        self, task_hub: TaskHub, rows: InstanceRowWriter, outbox: EntityOutbox, *, store_inputs: bool, version: str
    ) -> None:
        self._task_hub, self._rows, self._outbox = task_hub, rows, outbox
        self._store_inputs, self._default_version = store_inputs, version

    async def write(
        self, instance: Instance, fresh: list[Event], result: TurnResult, unseen: Sequence[Event] = ()
    ) -> None:
        """Write a turn, then the Instances row if it cannot wait. `fresh`: the events of the turn before its tasks;
        `unseen`: the events among them that the SDK has not read.
        """
        execution, at, has_ended = instance.execution, now(), result.status in FINISHED
        events = self._events(instance, fresh, result.tasks, at)
        if has_ended:
            next_id = execution.ids_on_record + len(result.tasks)
            events.append(builders.execution_completed(result.status, result.output, next_id, at))
        events.append(Event("OrchestratorCompleted", at))
        addresses = await self._task_hub.history.append(
            instance.id, execution.id, execution.event_count, events, last=has_ended
        )
        sent = [event for event in events if event.type == "EventSent"]
        execution.remember(events, [*unseen, *sent])
        self._outbox.send(instance, sent)
        if has_ended:
            await self._outbox.flush(instance)
        await self._rows.update(instance, result, at, addresses)

    async def write_last_requests(self, instance: Instance, fresh: list[Event], result: TurnResult) -> None:
        """Have all requests of a generation stored by their entities.

        The requests of its last turn are stored in its history first. They would otherwise leave no trace, because the
        next generation is written over it.
        """
        if any(task.kind in (CALL, SIGNAL) for task in result.tasks):
            at = now()
            events = self._events(instance, fresh, result.tasks, at)
            events.append(Event("OrchestratorCompleted", at))
            first = instance.execution.event_count
            await self._task_hub.history.append(instance.id, instance.execution.id, first, events, last=False)
            instance.execution.remember(events)
            self._outbox.send(instance, events)
        await self._outbox.flush(instance)

    def _events(self, instance: Instance, fresh: list[Event], tasks: list[Task], at: datetime) -> list[Event]:
        played = [event if event.type in UNPLAYED else event.as_played() for event in fresh]
        return [*played, *(self._scheduled(instance, task, at) for task in tasks)]

    def _scheduled(self, instance: Instance, task: Task, at: datetime) -> Event:
        if task.kind == SUB_ORCHESTRATION:
            task.instance_id = task.instance_id or f"{instance.execution.id}:{task.id}"
            task.version = self._default_version if task.version is None else task.version
        if task.kind in (CALL, SIGNAL):
            task.request = message_of(instance, task)
        event = SCHEDULED[task.kind](task, at, self._store_inputs)
        if task.kind in (CALL, SIGNAL):
            instance.execution.tasks.sent(event)
        return event


def _activity(task: Task, at: datetime, store_inputs: bool) -> Event:
    # The request of call_http is an object in the list; every other input is the SDK's JSON text.
    body = json.loads(task.input or "null") if task.name == HTTP_ACTIVITY else task.input
    return builders.task_scheduled(task.id, task.name, compact_json([body]) if store_inputs else None, at)


def _child(task: Task, at: datetime, store_inputs: bool) -> Event:
    assert task.instance_id is not None
    body = compact_json(task.input) if store_inputs and task.input is not None else None
    of = builders.Child(task.name, task.version or "", task.instance_id)
    return builders.sub_orchestration_created(task.id, of, body, at)


def _timer(task: Task, at: datetime, store_inputs: bool) -> Event:
    assert task.fire_at is not None
    return builders.timer_created(task.id, task.fire_at, at)


def _request(task: Task, at: datetime, store_inputs: bool) -> Event:
    assert task.instance_id is not None
    return builders.event_sent(task.id, task.instance_id, task.request, at)


SCHEDULED: dict[str, Callable[[Task, datetime, bool], Event]] = {
    ACTIVITY: _activity,
    SUB_ORCHESTRATION: _child,
    TIMER: _timer,
    CALL: _request,
    SIGNAL: _request,
}
"""The event that stores a numbered task; the last argument: whether inputs are stored (host.json)."""
