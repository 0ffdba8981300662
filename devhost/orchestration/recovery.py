"""Reads an instance from storage after a restart or a fault, and resumes it where its history ends."""

import contextlib

from devhost.execution.actions import SUB_ORCHESTRATION, OrchestrationFault, Task
from devhost.execution.executor import OrchestrationExecutor, TurnResult
from devhost.execution.instance import Execution, Instance, InstanceRow, Unread
from devhost.execution.messages import OutsideEvent, TaskEnd, TurnDue
from devhost.execution.task_table import rebuild
from devhost.history import builders
from devhost.history.builders import Parent
from devhost.history.events import Event
from devhost.orchestration.checkpoint import InstanceRowWriter
from devhost.orchestration.dispatcher import TaskDispatcher, has_receipt
from devhost.orchestration.entity_outbox import EntityOutbox
from devhost.orchestration.instance_registry import InstanceRegistry
from devhost.orchestration.turns import TurnRunner
from devhost.storage.history_table import History
from devhost.storage.task_hub import TaskHub


class Recovery:
    def __init__(
        self,
        task_hub: TaskHub,
        registry: InstanceRegistry,
        *,
        executor: OrchestrationExecutor,
        turns: TurnRunner,
        rows: InstanceRowWriter,
        dispatcher: TaskDispatcher,
        outbox: EntityOutbox,
    ) -> None:
        self._task_hub, self._registry, self._executor, self._turns = task_hub, registry, executor, turns
        self._rows, self._dispatcher, self._outbox = rows, dispatcher, outbox

    async def recover(self, instance: Instance, unread: Unread) -> None:
        """Read the `unread` parts of an unfinished instance, and start its open tasks again."""
        if unread.history:
            await self._adopt(instance, unread.history)
            return
        row = unread.row or await self._task_hub.instances.get(instance.id)
        if row is None:
            instance.finished = True
            return
        row = await self._task_hub.instances.with_texts(row)
        instance.row.columns, instance.row.unwritten = row, {}
        history = await self._task_hub.history.read(instance.id)
        if not history.events or (row["RuntimeStatus"] == "Pending" and history.execution_id != row["ExecutionId"]):
            instance.inbox.appendleft(OutsideEvent(builders.started_again(instance.id, row)))
        else:
            await self._adopt(instance, history)

    async def _adopt(self, instance: Instance, history: History) -> None:
        """Rebuild an instance from its history, and start its open tasks again."""
        instance.begin(history.started)
        if not has_receipt(instance):
            for lost in self._outbox.send_again(instance, history.events):
                instance.inbox.append(TaskEnd(lost, instance.execution.id))
        ended = next((event for event in history.events if event.type == "ExecutionCompleted"), None)
        try:
            if ended:
                await self._repair_finished(instance, history, ended)
            else:
                await self._catch_up(instance, history)
        except OrchestrationFault as fault:
            await self._turns.fail(instance, fault)

    async def _repair_finished(self, instance: Instance, history: History, ended: Event) -> None:
        """Repair an instance whose history has ended, but whose Instances row or parent lacks the end after a crash.
        The last custom status is in neither, so the orchestrator is replayed for it.
        """
        status, output = ended.fields["OrchestrationStatus"], ended.fields["Result"]
        result = TurnResult(status=status, output=output, custom_status=instance.row.custom_status)
        with contextlib.suppress(OrchestrationFault):
            result.custom_status = (await self._executor.replay(instance, history.events)).custom_status
        instance.execution.remember([ended])
        await self._outbox.flush(instance)
        await self._rows.update(instance, result, ended.at, history.addresses)
        await self._rows.write(instance)
        self._dispatcher.finish(instance, result)

    async def _catch_up(self, instance: Instance, history: History) -> None:
        events, execution = history.events, instance.execution
        try:
            state = await self._executor.replay(instance, events)
        finally:
            execution.remember(events)
        execution.tasks, execution.azure = rebuild(events, state.actions), None
        execution.suspended = is_suspended(events)
        status = "Suspended" if execution.suspended else "Running"
        result = TurnResult(status=status, custom_status=state.custom_status)
        await self._rows.update(instance, result, events[-1].at, history.addresses)
        undecided = execution.tasks.undecided(state.actions) or (state.ended and not execution.tasks.blocking)
        if undecided and not execution.suspended and not instance.inbox:
            instance.inbox.append(TurnDue())
        for task in list(execution.tasks.open.values()):
            if task.kind == SUB_ORCHESTRATION:
                await self._continue_child(instance, task, events)
            else:
                self._dispatcher.start(instance, task)

    async def _continue_child(self, instance: Instance, task: Task, events: list[Event]) -> None:
        """Resume a sub-orchestration: a running one resumes by itself, a new one starts, an ended one reports again."""
        created = next(e for e in events if e.type == "SubOrchestrationInstanceCreated" and e.event_id == task.id)
        task.instance_id = child_id = str(created.fields["InstanceId"])
        task.version = created.fields["Version"]
        if child_id in self._registry:
            return
        child = Instance(child_id)
        self._registry.add(child)
        history = await self._task_hub.history.read(child_id)
        if history.events and is_called_by(history, instance.execution, task):
            row = await self._task_hub.instances.get(child_id) or {}
            child.row = InstanceRow(row)
            child.unread = Unread(row, history)
            self._registry.wake(child)
        else:
            self._registry.remove(child)
            self._dispatcher.start_child(instance, task)


def is_suspended(events: list[Event]) -> bool:
    switches = [event.type for event in events if event.type in ("ExecutionSuspended", "ExecutionResumed")]
    return switches[-1:] == ["ExecutionSuspended"]


def is_called_by(history: History, parent: Execution, task: Task) -> bool:
    """Whether a history is of the execution that this task of the parent started."""
    caller = Parent.from_json(history.started.fields["ParentInstance"])
    return caller is not None and (caller.execution_id, caller.task_id) == (parent.id, task.id)
