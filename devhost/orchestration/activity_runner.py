"""Runs activities: within the limit, again when their worker died, and each outcome as an event.

An activity whose worker died is run again, because its effects are unknown; after the third death it fails with its
name in the log.
"""

import asyncio
import logging
from datetime import UTC, datetime

from devhost.execution.actions import HTTP_ACTIVITY, Task
from devhost.execution.instance import Execution, Instance
from devhost.execution.speculative_turns import SpeculativeTurns
from devhost.function_registry import FunctionRegistry
from devhost.history.builders import task_completed
from devhost.history.events import Event
from devhost.history.failures import activity_failure
from devhost.orchestration.http_activity import HttpRefused, call_http
from devhost.worker_host.failures import CallTimedOut, WorkerDied
from devhost.worker_host.supervisor import MAX_DEATHS, WorkerSupervisor

log = logging.getLogger("devhost.activity")


class ActivityRunner:
    def __init__(
        self, worker: WorkerSupervisor, functions: FunctionRegistry, speculative: SpeculativeTurns, at_once: int
    ) -> None:
        self._worker, self._functions, self._speculative = worker, functions, speculative
        self._slots = asyncio.Semaphore(at_once)

    async def run(self, instance: Instance, execution: Execution, task: Task) -> Event:
        """Run an activity to its end: TaskCompleted or TaskFailed."""
        if task.name == HTTP_ACTIVITY:
            return await self._request(task)
        function = self._functions.activity(task.name)
        if function is None:
            return _failed(task, self._functions.no_activity(task.name), "")
        header = self._speculative.call_header(instance, execution, task)
        try:
            async with self._slots:
                body = (task.input or "null").encode()
                reply = await self._worker.call_repeatedly("activity", function, body, **header)
        except WorkerDied:
            log.error("Activity '%s' (instance %s) ended its worker each time it ran.", task.name, instance.id)
            return _failed(task, f"The worker process died {MAX_DEATHS} times while it ran this activity.", "")
        except CallTimedOut as late:
            log.error("Activity '%s' (instance %s): %s", task.name, instance.id, late)
            return _failed(task, str(late), "")
        if not reply.ok:
            log.warning("Activity '%s' (instance %s) raised:\n%s", task.name, instance.id, reply.stack)
            return _failed(task, reply.error, reply.stack)
        result = self._speculative.result_of(execution, task, reply)
        return task_completed(task.id, result.decode(), datetime.fromisoformat(reply.header["at"]))

    async def _request(self, task: Task) -> Event:
        try:
            async with self._slots:
                return task_completed(task.id, await call_http(task.input or "{}"), datetime.now(UTC))
        except HttpRefused as fault:
            log.warning("A request of call_http failed: %s", fault)
            return _failed(task, str(fault), "")


def _failed(task: Task, error: str, stack: str) -> Event:
    reason, details = activity_failure(task.name, error, stack)
    fields = {"TaskScheduledId": task.id, "Reason": reason, "Details": details}
    return Event("TaskFailed", datetime.now(UTC), fields=fields)
