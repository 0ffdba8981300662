"""The Instances rows: what turns change in them, and when storage is told."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from devhost.history import builders
from devhost.orchestration.executor import TurnResult
from devhost.orchestration.instance import Instance, Message
from devhost.storage.task_hub import TaskHub

LATE_ROW_S = 0.25


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
        wanted = builders.row_columns(instance, result, at, self._task_hub.hub)
        changed = {name: value for name, value in wanted.items() if instance.row.get(name) != value}
        if not changed:
            return
        instance.unwritten |= {**changed, **builders.by_address(changed, addresses)}
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
            await self._task_hub.merge_instance(instance.id, columns, exists=instance.stored)
        except BaseException:
            instance.unwritten = {**columns, **instance.unwritten}
            raise
        instance.stored = True
