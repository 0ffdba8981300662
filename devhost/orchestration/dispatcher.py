"""Starts the activities, timers and sub-orchestrations of a stored turn, and reports the end of an instance."""

import asyncio
from collections.abc import Callable

from devhost.execution.actions import ACTIVITY, SUB_ORCHESTRATION, TIMER, Task
from devhost.execution.executor import TurnResult
from devhost.execution.instance import Execution, Instance
from devhost.execution.messages import OutsideEvent, TaskEnd
from devhost.execution.speculative_turns import SpeculativeTurns
from devhost.history import builders
from devhost.history.builders import Parent, now
from devhost.history.events import FINISHED, compact_json
from devhost.orchestration.activity_runner import ActivityRunner
from devhost.orchestration.entity_outbox import EntityOutbox
from devhost.orchestration.instance_registry import InstanceRegistry

MAX_TIMER_SLEEP_S = 3600.0


class TaskDispatcher:
    def __init__(
        self,
        registry: InstanceRegistry,
        activities: ActivityRunner,
        outbox: EntityOutbox,
        speculative: SpeculativeTurns,
    ) -> None:
        self._registry, self._activities, self._outbox, self._speculative = registry, activities, outbox, speculative
        self._starts: dict[str, Callable[[Instance, Task], None]] = {
            ACTIVITY: self._start_activity,
            SUB_ORCHESTRATION: self.start_child,
            TIMER: self._start_timer,
        }

    def start(self, instance: Instance, task: Task) -> None:
        """Start a task. Requests to entities are not started here: they are sent when their rows are written."""
        if task.kind in self._starts:
            self._starts[task.kind](instance, task)

    def _start_activity(self, instance: Instance, task: Task) -> None:
        self._speculative.after_activity(instance, task)
        self._registry.spawn(self._run_activity(instance, instance.execution, task))

    async def _run_activity(self, instance: Instance, execution: Execution, task: Task) -> None:
        event = await self._activities.run(instance, execution, task)
        if not instance.finished:
            self._registry.post(instance, TaskEnd(event, execution.id))

    def _start_timer(self, instance: Instance, task: Task) -> None:
        assert task.fire_at is not None
        timers, remaining = instance.execution.timers, (task.fire_at - now()).total_seconds()
        if remaining <= 0:
            timers.pop(task.id, None)
            fired = builders.timer_fired(task.id, task.fire_at)
            self._registry.post(instance, TaskEnd(fired, instance.execution.id))
            return
        # The loop's clock and the calendar may drift apart: ask the calendar again, and never fire early.
        later = asyncio.get_running_loop().call_later
        timers[task.id] = later(min(remaining, MAX_TIMER_SLEEP_S), self._start_timer, instance, task)

    def start_child(self, instance: Instance, task: Task) -> None:
        assert task.instance_id is not None
        execution = instance.execution
        if task.instance_id in self._registry:
            reason = "An Orchestration instance with the status Running already exists."
            refused = builders.sub_orchestration_ended(task.id, "Failed", reason)
            self._registry.post(instance, TaskEnd(refused, execution.id))
            return
        assert execution.started is not None
        parent = Parent(instance.id, execution.id, execution.name, task.id, execution.started.fields["Version"])
        body = None if task.input is None else compact_json(task.input)
        started = builders.execution_started(task.instance_id, task.name, body, task.version or "", parent)
        child = Instance(task.instance_id)
        self._registry.add(child)
        self._registry.post(child, OutsideEvent(started))

    def finish(self, instance: Instance, result: TurnResult) -> None:
        """The instance has ended: its parent gets the result."""
        instance.finished = True
        instance.ended.set()
        if has_receipt(instance):
            self._outbox.end(instance.execution)
        parent = instance.execution.parent
        caller = self._registry.get(parent.instance_id) if parent else None
        if parent and caller:
            ended = builders.sub_orchestration_ended(parent.task_id, result.status, result.output)
            self._registry.post(caller, TaskEnd(ended, parent.execution_id))


def has_receipt(instance: Instance) -> bool:
    """Whether the row says that this execution has ended: then entities have stored all its requests, and may have
    dropped its entries. A child that has ended is read again while its parent has no result of it.
    """
    return instance.row.status in FINISHED and instance.row.columns.get("ExecutionId") == instance.execution.id
