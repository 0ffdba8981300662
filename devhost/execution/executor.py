"""Decides a turn: run the orchestrator, number its tasks, determine whether the execution has ended.

The order of one turn is fixed here: replay; take the event, whose retry may number tasks; number the new actions;
refuse tasks that could never end; and last the end of the execution, which waits for open tasks.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from devhost.entities.scheduler import MAX_ENTITY_KEY, EntityId
from devhost.execution.actions import (
    ACTIVITY,
    CALL,
    HTTP_ACTIVITY,
    SIGNAL,
    SUB_ORCHESTRATION,
    OrchestrationFault,
    Task,
    flatten,
)
from devhost.execution.instance import Execution, Instance
from devhost.execution.orchestrator_calls import OrchestratorCalls, State, read_state
from devhost.execution.speculative_turns import SpeculativeTurns
from devhost.function_registry import FunctionRegistry
from devhost.history.builders import now
from devhost.history.events import SURROGATE, Event
from devhost.history.failures import orchestrator_failure, worker_message
from devhost.storage.keys import is_no_key
from devhost.worker_protocol import Reply

log = logging.getLogger("devhost.orchestrator")

ENDS = ("Completed", "Failed", "ContinuedAsNew")
PROVED_FIRST, PROVED_EACH = 20, 50
LONG_WAIT = timedelta(minutes=1)


@dataclass
class TurnResult:
    """The tasks to schedule, and the status of the execution after the turn.

    `output` and `next_input`, the input of continue-as-new, are JSON text. `left`: how many of the turn's events
    came after the one that ended the execution.
    """

    tasks: list[Task] = field(default_factory=list)
    status: str = "Running"
    output: str | None = None
    next_input: str | None = None
    custom_status: str = "null"
    left: int = 0


class OrchestrationExecutor:
    """`keep_warm`: whether executions stay in the worker between turns, instead of being replayed in each."""

    def __init__(
        self, calls: OrchestratorCalls, speculative: SpeculativeTurns, functions: FunctionRegistry, keep_warm: bool
    ) -> None:
        self._calls, self._speculative, self._functions = calls, speculative, functions
        self._keep_warm = keep_warm
        self._ended: Counter[str] = Counter()
        self._warned: set[str] = set()

    def date_of_turn(self, instance: Instance, causes: list[Event]) -> datetime:
        """The time of a turn: now, or the time of its cause if the worker may have run the turn already."""
        return causes[0].at if self._speculative.is_expected(instance.execution, causes) else now()

    async def decide(self, instance: Instance, fresh: list[Event], causes: list[Event], at: datetime) -> TurnResult:
        """The result of a turn with the new events `fresh`; `causes` are the ones among them that caused it."""
        for event in causes:
            if event.type == "ExecutionTerminated":
                custom_status = instance.row.custom_status
                return TurnResult(status="Terminated", output=event.fields["Input"], custom_status=custom_status)
        try:
            state = await self._state(instance, fresh, causes)
            result = self._result(instance, state, causes, at)
            if state.warm and result.status in ENDS:
                await self._check_determinism(instance, fresh, state)
            return result
        except OrchestrationFault as fault:
            return self.failed(instance, fault)

    async def replay(self, instance: Instance, fresh: list[Event]) -> State:
        """The SDK's state after the instance's history and the fresh events, from the start. Raises OrchestrationFault.

        The execution is warm after it.
        """
        state = await self._replayed("start_session" if self._keep_warm else "replay", instance, fresh)
        instance.execution.turns += 1
        return state

    async def _state(self, instance: Instance, fresh: list[Event], causes: list[Event]) -> State:
        """The SDK's state from the worker's speculative turn, or from the warm execution, or by a replay."""
        execution = instance.execution
        state: State | None = None
        if taken := await self._speculative.reply_to(execution, causes):
            state = self._next_state(execution, taken, warm=execution.turns > 0)
        if state is None and self._keep_warm and execution.tasks.known:
            reply = await self._calls.ask("resume_session", instance, execution.unseen_by_sdk(fresh))
            state = self._next_state(execution, reply, warm=True)
        return state or await self.replay(instance, fresh)

    def _next_state(self, execution: Execution, reply: Reply, *, warm: bool) -> State | None:
        """The state of a reply that continues from exactly the actions in the task table."""
        if not reply.ok or reply.header.get("first") != execution.tasks.known:
            return None
        execution.turns += 1
        return read_state(reply, warm=warm)

    async def _check_determinism(self, instance: Instance, fresh: list[Event], warm: State) -> None:
        """Replay an execution that ends, and fail it when the replay ends otherwise: it is not deterministic, and a
        restart would have changed its result. The first ends of each orchestrator are checked, and then a part of them.
        """
        self._ended[instance.name] += 1
        if self._ended[instance.name] > PROVED_FIRST and self._ended[instance.name] % PROVED_EACH:
            return
        replayed = await self._replayed("replay", instance, fresh)
        instance.execution.tasks.refuse_changes(flatten(replayed.actions))
        if replayed.outcome != warm.outcome:
            raise OrchestrationFault(
                "Non-Deterministic workflow detected: a replay of its history ends otherwise than it did when it was "
                "first run. Orchestrator code must decide only by its input, the results of its tasks and the context."
            )

    async def _replayed(self, kind: str, instance: Instance, fresh: list[Event]) -> State:
        reply = await self._calls.ask(kind, instance, instance.execution.replay_context(instance.id, fresh))
        if not reply.ok:
            raise OrchestrationFault(self._reason(instance, reply))
        return read_state(reply, warm=False)

    def _reason(self, instance: Instance, reply: Reply) -> str:
        """The worker's sentence for a dead end, with the stack in the log; else its whole error."""
        if "sentence" not in reply.header:
            return worker_message(reply.error, reply.stack)
        if reply.stack:
            log.error("Orchestrator '%s' (instance %s) raised:\n%s", instance.name, instance.id, reply.stack)
        return str(reply.header["sentence"])

    def failed(self, instance: Instance, fault: OrchestrationFault) -> TurnResult:
        log.error("Instance %s of '%s' fails: %s", instance.id, instance.name, fault)
        text = orchestrator_failure(instance.name, str(fault))
        return TurnResult(status="Failed", output=text, custom_status=instance.row.custom_status)

    def _result(self, instance: Instance, state: State, causes: list[Event], at: datetime) -> TurnResult:
        table = instance.execution.tasks
        tasks = [task for event in causes for task in table.observe(event, at)]
        tasks += table.extend(state.actions, state.cancelled) if state.warm else table.accept(state.actions)
        for task in tasks:
            _refuse_bad_id(task)
            self._refuse_impossible(instance, task)
        result = TurnResult(tasks, custom_status=state.custom_status, left=state.left)
        has_ended = state.ended and not table.blocking
        if has_ended:
            _conclude(result, instance, state)
        self._warn_of_azure(instance, has_ended=has_ended)
        if state.ended and result.status == "Running":
            self._warn_of_a_timer(instance, at)
        return result

    def _warn_of_azure(self, instance: Instance, *, has_ended: bool) -> None:
        """Log how the real host would run the turn, where that differs."""
        facts, azure = instance.execution.tasks.take_facts(), instance.execution.azure
        if azure is None:
            return
        azure.hear(facts, has_ended=has_ended)
        if azure.difference:
            self._warn_once(instance, f"would not run like this in Azure: {azure.difference}. See docs/devhost.md")

    def _warn_of_a_timer(self, instance: Instance, at: datetime) -> None:
        until = instance.execution.tasks.only_waits_until
        if until and until - at > LONG_WAIT:
            self._warn_once(
                instance,
                f"has ended and stays Running until a timer fires, here as in Azure ({until:%Y-%m-%d %H:%M} UTC): "
                "cancel a timer that is not needed; one of more than six days cannot be cancelled with this SDK",
            )

    def _warn_once(self, instance: Instance, predicate: str) -> None:
        """Log a warning once for each orchestrator; its instances would mostly repeat it."""
        if instance.name not in self._warned:
            self._warned.add(instance.name)
            log.warning("Orchestrator '%s' (instance %s) %s.", instance.name, instance.id, predicate)

    def _refuse_impossible(self, instance: Instance, task: Task) -> None:
        """Fail at once where the real host would wait for ever."""
        if task.kind == ACTIVITY and task.name != HTTP_ACTIVITY and self._functions.activity(task.name) is None:
            raise OrchestrationFault(self._functions.no_activity(task.name))
        if task.kind == SUB_ORCHESTRATION:
            if self._functions.orchestrator(task.name) is None:
                raise OrchestrationFault(self._functions.no_orchestrator(task.name))
            parent = instance.execution.parent
            if task.instance_id and task.instance_id in (instance.id, parent and parent.instance_id):
                raise OrchestrationFault(f"A sub-orchestration cannot have the id of its caller: '{task.instance_id}'.")
        if task.kind in (CALL, SIGNAL):
            entity = EntityId.parse(task.instance_id or "")
            if self._functions.entity(entity.name) is None:
                raise OrchestrationFault(self._functions.no_entity(entity.name))
            if len(entity.key) > MAX_ENTITY_KEY:
                raise OrchestrationFault(f"The key of an entity must not be longer than {MAX_ENTITY_KEY} characters.")


def _refuse_bad_id(task: Task) -> None:
    if task.instance_id and SURROGATE.search(task.instance_id):
        raise OrchestrationFault(f"An id must not hold half of a surrogate pair: {task.instance_id!a}.")
    if task.instance_id and is_no_key(task.instance_id):
        raise OrchestrationFault(
            "An id must not be longer than 512 characters, as keys in storage are, nor hold the end of a line."
        )


def _conclude(result: TurnResult, instance: Instance, state: State) -> None:
    restart = instance.execution.tasks.restart
    if state.error is not None:
        log.error("Orchestrator '%s' (instance %s) raised:\n%s", instance.name, instance.id, state.stack)
        result.status, result.output = "Failed", orchestrator_failure(instance.name, state.error)
    elif restart:
        result.status, result.next_input = "ContinuedAsNew", restart.input
    else:
        result.status, result.output = "Completed", state.output
