"""Running activities: within the limit, again when their worker died, and each outcome as an event.

An activity whose worker died is run again, because nobody can know how far it came; after the third death it fails,
named. The second and third runs take place alone among such activities, so that the one which kills workers is found
and its neighbours are not blamed for it.
"""

import asyncio
import logging
from datetime import UTC, datetime

from devhost.events import Event
from devhost.failures import activity_failure
from devhost.functions import Functions
from devhost.turn import Task
from devhost.worker_link import Reply, WorkerDied, WorkerLink

log = logging.getLogger("devhost.activity")

MAX_WORKER_DEATHS = 3


class Activities:
    def __init__(self, worker: WorkerLink, functions: Functions, at_once: int) -> None:
        self._worker, self._functions = worker, functions
        self._slots = asyncio.Semaphore(at_once)
        self._suspects = asyncio.Lock()

    async def run(self, instance_id: str, task: Task) -> Event:
        """Run an activity to its end: TaskCompleted or TaskFailed."""
        function = self._functions.activity(task.name)
        if function is None:
            return _failed(task, self._functions.no_activity(task.name), "")
        try:
            reply = await self._call(function, instance_id, (task.input or "null").encode())
        except WorkerDied:
            log.error("Activity '%s' (instance %s) ended its worker each time it ran.", task.name, instance_id)
            return _failed(task, f"The worker process died {MAX_WORKER_DEATHS} times while it ran this activity.", "")
        if not reply.ok:
            log.warning("Activity '%s' (instance %s) raised:\n%s", task.name, instance_id, reply.stack)
            return _failed(task, reply.error, reply.stack)
        result = reply.body.decode()
        fields = {"TaskScheduledId": task.id, "Result": None if result == "null" else result}
        return Event("TaskCompleted", datetime.now(UTC), fields=fields)

    async def _call(self, function: str, instance_id: str, body: bytes) -> Reply:
        """Call an activity up to three times. Raises WorkerDied after the third death."""
        try:
            return await self._call_once(function, body)
        except WorkerDied:
            log.warning("Activity '%s' (instance %s) runs again, because its worker died.", function, instance_id)
        async with self._suspects:
            for _ in range(MAX_WORKER_DEATHS - 2):
                try:
                    return await self._call_once(function, body)
                except WorkerDied:
                    log.warning("Activity '%s' (instance %s) runs again, as above.", function, instance_id)
            return await self._call_once(function, body)

    async def _call_once(self, function: str, body: bytes) -> Reply:
        async with self._slots:
            return await self._worker.call("activity", function, body)


def _failed(task: Task, error: str, stack: str) -> Event:
    reason, details = activity_failure(task.name, error, stack)
    fields = {"TaskScheduledId": task.id, "Reason": reason, "Details": details}
    return Event("TaskFailed", datetime.now(UTC), fields=fields)
