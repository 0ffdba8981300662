"""One turn of an instance: decide or only store, then write, and only then dispatch."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from devhost.execution.actions import OrchestrationFault
from devhost.execution.executor import OrchestrationExecutor, TurnResult
from devhost.execution.instance import Instance
from devhost.execution.messages import Message, RowDue, TurnDue, event_of
from devhost.history import builders
from devhost.history.builders import now
from devhost.history.events import FINISHED, Event, compact_json
from devhost.orchestration.checkpoint import Checkpoint, InstanceRowWriter
from devhost.orchestration.dispatcher import TaskDispatcher
from devhost.orchestration.entity_outbox import EntityOutbox
from devhost.storage.retry import StorageRefused

log = logging.getLogger("devhost.engine")

Turn = Callable[[Instance, list[Event]], Awaitable[None]]


class TurnRunner:
    def __init__(
        self,
        executor: OrchestrationExecutor,
        checkpoint: Checkpoint,
        rows: InstanceRowWriter,
        dispatcher: TaskDispatcher,
        outbox: EntityOutbox,
    ) -> None:
        self._executor, self._checkpoint, self._rows = executor, checkpoint, rows
        self._dispatcher, self._outbox = dispatcher, outbox
        self._turns: dict[str, Turn] = {
            "ExecutionStarted": self._begin,
            "ExecutionTerminated": self._decide,
            "ExecutionSuspended": self._suspend,
            "ExecutionResumed": self._resume,
        }

    async def take(self, instance: Instance, batch: list[Message]) -> None:
        """Take the turn of a batch of messages."""
        if isinstance(batch[0], RowDue):
            await self._rows.write(instance)
            return
        causes = [event for event in map(event_of, batch) if event]
        usual = self._store_only if instance.execution.suspended else self._decide
        await self._turns.get(causes[0].type if causes else "", usual)(instance, causes)

    async def fail(self, instance: Instance, fault: OrchestrationFault) -> None:
        """End the instance as failed."""
        result = self._executor.failed(instance, fault)
        try:
            await self._commit(instance, [Event("OrchestratorStarted", now())], result)
        except StorageRefused:
            log.exception("Not even the failure of instance %s can be stored.", instance.id)
            self._dispatcher.finish(instance, result)

    async def _begin(self, instance: Instance, causes: list[Event]) -> None:
        if instance.execution.started is not causes[0]:
            instance.begin(causes[0])
        await self._decide(instance, causes)

    async def _decide(self, instance: Instance, causes: list[Event]) -> None:
        at = self._executor.date_of_turn(instance, causes)
        fresh = [Event("OrchestratorStarted", at), *causes]
        result = await self._executor.decide(instance, fresh, causes, at)
        await self._carry_out(instance, fresh, result)

    async def _suspend(self, instance: Instance, causes: list[Event]) -> None:
        instance.execution.suspended = True
        await self._store_only(instance, causes, causes[0].fields["Reason"])

    async def _store_only(self, instance: Instance, causes: list[Event], reason: str | None = None) -> None:
        """Store events, and decide nothing: the SDK has no suspension, so it is not asked."""
        if not causes:
            return
        fresh = [Event("OrchestratorStarted", now()), *causes]
        result = TurnResult(status="Suspended", output=reason, custom_status=instance.row.custom_status)
        await self._commit(instance, fresh, result, unseen=fresh)
        instance.execution.held += causes

    async def _resume(self, instance: Instance, causes: list[Event]) -> None:
        """Decide about the events that were held. Those that number a task by themselves follow, one at a time."""
        at, execution = now(), instance.execution
        fresh = [Event("OrchestratorStarted", at), *causes]
        held, execution.held, execution.suspended = execution.held, [], False
        result = await self._executor.decide(instance, fresh, [*held, *causes], at)
        if result.status == "Running":
            result.output = causes[0].fields["Reason"]
        instance.inbox.extendleft(reversed(execution.later))
        execution.later = []
        await self._carry_out(instance, fresh, result)

    async def _carry_out(self, instance: Instance, fresh: list[Event], result: TurnResult) -> None:
        if result.status != "ContinuedAsNew":
            await self._commit(instance, fresh, result)
            return
        first_left = max(len(fresh) - result.left, 0)
        left = fresh[first_left:]
        await self._checkpoint.write_last_requests(instance, fresh[:first_left], result)
        await self._next_generation(instance, result, [event for event in left if event.type == "EventRaised"])

    async def _next_generation(self, instance: Instance, ended: TurnResult, carried: list[Event]) -> None:
        """Begin the next generation, with the remaining events of the turn that ended the last one.

        The row must not say Pending when the history is another execution's: after a crash that would be read as a
        start that never ran.
        """
        before = instance.execution
        assert before.started is not None
        if instance.row.status == "Pending":
            instance.row.columns = {**instance.row.columns, "RuntimeStatus": "Running"}
            instance.row.unwritten["RuntimeStatus"] = "Running"
        await self._rows.write(instance)
        at, old = now(), before.started.fields
        body = None if ended.next_input is None else compact_json(ended.next_input)
        started = builders.execution_started(instance.id, before.name, body, old["Version"], before.parent)
        started.fields["Generation"] = old["Generation"]
        instance.begin(started)
        causes = [started, *carried]
        fresh = [Event("OrchestratorStarted", at), *causes, Event("OrchestratorCompleted", at)]
        result = await self._executor.decide(instance, fresh, causes, at)
        if result.status == "ContinuedAsNew":
            # Written even if it ended at once, so that other instances get their turns between endless generations.
            result = TurnResult(result.tasks, custom_status=result.custom_status)
            instance.inbox.append(TurnDue())
        await self._commit(instance, fresh, result)
        self._outbox.end(before)

    async def _commit(
        self, instance: Instance, fresh: list[Event], result: TurnResult, unseen: Sequence[Event] = ()
    ) -> None:
        """Write the turn, and then start its tasks."""
        await self._checkpoint.write(instance, fresh, result, unseen)
        if result.status in FINISHED:
            self._dispatcher.finish(instance, result)
        else:
            for task in result.tasks:
                self._dispatcher.start(instance, task)
