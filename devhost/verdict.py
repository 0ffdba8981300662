"""What a turn decides: ask the orchestrator, number its tasks, judge whether the execution has ended.

The order of one turn is fixed here: replay, take the event (a retry may number tasks), take the actions (the new ones
are numbered), refuse what could never end, and only then the end of the execution, which waits for open tasks.
"""

import asyncio
import json
import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from devhost.events import Event, compact_json
from devhost.failures import orchestrator_failure, worker_message
from devhost.functions import Functions
from devhost.instance import Instance
from devhost.turn import (
    ACTIVITY,
    CONTINUE_AS_NEW,
    MAX_CUSTOM_STATUS_BYTES,
    SUB_ORCHESTRATION,
    Action,
    OrchestrationFault,
    Task,
    flatten,
)
from devhost.worker_link import MAX_DEATHS, Reply, WorkerDied, WorkerLink

log = logging.getLogger("devhost.orchestrator")


@dataclass
class Verdict:
    """The tasks to schedule, and how the execution stands. `result` is its output, `next_input` of continue-as-new."""

    tasks: list[Task] = field(default_factory=list)
    status: str = "Running"
    result: str | None = None
    next_input: str | None = None
    custom_status: str = "null"


@dataclass(frozen=True)
class State:
    """The SDK's answer to a replay: every action that was ever yielded; a `stack` when user code raised."""

    done: bool
    actions: list[Action]
    output: Any
    error: str | None
    custom_status: str
    stack: str

    @property
    def ended(self) -> bool:
        return self.done or self.error is not None


class Judge:
    def __init__(self, worker: WorkerLink, functions: Functions, at_once: int) -> None:
        self._worker, self._functions = worker, functions
        self._slots = asyncio.Semaphore(at_once)

    async def decide(self, instance: Instance, fresh: list[Event], event: Event | None, now: datetime) -> Verdict:
        """The verdict of a turn whose new events are `fresh`; `event` is the one among them that caused it."""
        if event and event.type == "ExecutionTerminated":
            return Verdict(status="Terminated", result=event.fields["Input"], custom_status=instance.custom_status)
        try:
            state = await self.replay(instance, fresh)
            return self._judge(instance, state, event, now)
        except OrchestrationFault as fault:
            return self.failed(instance, fault)

    async def replay(self, instance: Instance, fresh: list[Event]) -> State:
        """The SDK's state after the instance's history and the fresh events. Raises OrchestrationFault."""
        function = self._functions.orchestrator(instance.name)
        if function is None:
            raise OrchestrationFault(self._functions.no_orchestrator(instance.name))
        reply = await self._call(function, instance.replay_context(fresh))
        if not reply.ok:
            raise OrchestrationFault(worker_message(reply))
        return read_state(reply)

    def failed(self, instance: Instance, fault: OrchestrationFault) -> Verdict:
        log.error("Instance %s of '%s' fails: %s", instance.id, instance.name, fault)
        text = orchestrator_failure(instance.name, str(fault))
        return Verdict(status="Failed", result=text, custom_status=instance.custom_status)

    async def _call(self, function: str, context: bytes) -> Reply:
        try:
            async with self._slots:
                return await self._worker.call_repeatedly("orchestrator", function, context)
        except WorkerDied as death:
            text = f"The worker process died {MAX_DEATHS} times while it ran this orchestrator."
            raise OrchestrationFault(text) from death

    def _judge(self, instance: Instance, state: State, event: Event | None, now: datetime) -> Verdict:
        tasks = instance.ledger.observe(event, now) if event else []
        tasks += instance.ledger.accept(state.actions)
        for task in tasks:
            self._refuse_impossible(instance, task)
        verdict = Verdict(tasks, custom_status=state.custom_status)
        if state.ended and not instance.ledger.blocking:
            _conclude(verdict, instance, state)
        return verdict

    def _refuse_impossible(self, instance: Instance, task: Task) -> None:
        """Fail at once where the real host would wait for ever."""
        if task.kind == ACTIVITY and self._functions.activity(task.name) is None:
            raise OrchestrationFault(self._functions.no_activity(task.name))
        if task.kind == SUB_ORCHESTRATION:
            if self._functions.orchestrator(task.name) is None:
                raise OrchestrationFault(self._functions.no_orchestrator(task.name))
            if task.instance_id and task.instance_id in (instance.id, instance.parent and instance.parent.instance_id):
                raise OrchestrationFault(f"A sub-orchestration cannot have the id of its caller: '{task.instance_id}'.")


def read_state(reply: Reply) -> State:
    """The worker's answer to a replay. Raises OrchestrationFault for one that cannot be kept."""
    try:
        state: dict[str, Any] = json.loads(reply.body)
        custom_status = compact_json(state.get("customStatus"))
    except RecursionError as fault:
        raise OrchestrationFault("The orchestrator's answer is nested too deeply.") from fault
    if len(custom_status) * 2 > MAX_CUSTOM_STATUS_BYTES:
        raise OrchestrationFault("The size of the JSON-serialized payload of the custom status must not exceed 16 KB.")
    actions = state["actions"][0] if state["actions"] else []
    return State(state["isDone"], actions, state.get("output"), state.get("error"), custom_status, reply.stack)


def _conclude(verdict: Verdict, instance: Instance, state: State) -> None:
    restart = next((action for action in flatten(state.actions) if action["actionType"] == CONTINUE_AS_NEW), None)
    if state.error is not None:
        log.error("Orchestrator '%s' (instance %s) raised:\n%s", instance.name, instance.id, state.stack)
        verdict.status, verdict.result = "Failed", orchestrator_failure(instance.name, state.error)
    elif restart:
        verdict.status, verdict.next_input = "ContinuedAsNew", restart.get("input")
    else:
        verdict.status = "Completed"
        verdict.result = None if state.output is None else compact_json(state.output)
