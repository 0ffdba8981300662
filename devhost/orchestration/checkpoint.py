"""The Instances rows: what turns change in them, and when storage is told."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime

from devhost.history import builders
from devhost.history.events import Event, compact_json
from devhost.orchestration.executor import TurnResult
from devhost.orchestration.instance import Instance, Message
from devhost.orchestration.task_table import ACTIVITY, CALL, HTTP_ACTIVITY, SIGNAL, SUB_ORCHESTRATION, TIMER, Task
from devhost.storage.instances_table import by_address, columns_of, output_columns
from devhost.storage.task_hub import TaskHub

LATE_ROW_S = 0.25


def _activity(task: Task, at: datetime, store_inputs: bool) -> Event:
    # The request of call_http is an object in the list; every other input is the JSON text that the SDK gave.
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


class InstanceRowWriter:
    """`post` gives a message to an instance: the task that processes the instance writes its row, between two turns."""

    def __init__(self, task_hub: TaskHub, post: Callable[[Instance, Message], None]) -> None:
        self._task_hub, self._post = task_hub, post

    async def update(self, instance: Instance, result: TurnResult, at: datetime, addresses: dict[str, str]) -> None:
        """Note what this turn changes in the Instances row; write it now if the instance stands still after it.

        Of a running one it is written a moment later, with all that changed meanwhile, and off the path of its steps:
        the history holds everything, and requests are answered from memory.
        """
        if instance.row_says(result.status, result.custom_status) and result.result is None:
            return
        assert instance.started is not None
        wanted = columns_of(instance.started, result.status, result.custom_status, self._task_hub.name)
        wanted |= output_columns(result.status, result.result, at)
        changed = {name: value for name, value in wanted.items() if instance.row.get(name) != value}
        if not changed:
            return
        instance.unwritten |= {**changed, **by_address(changed, addresses)}
        if result.status != "Running":
            await self.write(instance)  # before the answer: a client that hears of an end may start the id again
        instance.row = {**instance.row, **changed, "LastUpdatedTime": at}
        if instance.unwritten and instance.late_row is None:
            late = asyncio.get_running_loop().call_later
            instance.late_row = late(LATE_ROW_S, self._post, instance, Message(None, row_only=True))

    async def write(self, instance: Instance) -> None:
        instance.cancel_late_row()
        columns, instance.unwritten = instance.unwritten, {}
        if not columns:
            return
        columns |= {"LastUpdatedTime": instance.changed_at, "ExecutionId": instance.execution_id}
        try:
            await self._task_hub.instances.merge(instance.id, columns, exists=instance.stored)
        except BaseException:
            instance.unwritten = {**columns, **instance.unwritten}
            raise
        instance.stored = True
