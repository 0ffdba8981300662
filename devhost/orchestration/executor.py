"""What a turn decides: ask the orchestrator, number its tasks, judge whether the execution has ended.

The order of one turn is fixed here: replay, take the event (a retry may number tasks), take the actions (the new ones
are numbered), refuse what could never end, and only then the end of the execution, which waits for open tasks.
"""

import asyncio
import json
import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from devhost.entities.scheduler import MAX_ENTITY_KEY, EntityId
from devhost.function_registry import FunctionRegistry
from devhost.history.events import SURROGATE, Event, compact_json
from devhost.history.failures import orchestrator_failure, worker_message
from devhost.orchestration.instance import Instance, SpeculativeTurn
from devhost.orchestration.task_table import (
    ACTIVITY,
    CALL,
    HTTP_ACTIVITY,
    MAX_CUSTOM_STATUS_BYTES,
    SIGNAL,
    SUB_ORCHESTRATION,
    Action,
    OrchestrationFault,
    Task,
    flatten,
)
from devhost.storage.keys import is_no_key
from devhost.worker_host.failures import CallTimedOut, WorkerDied
from devhost.worker_host.supervisor import MAX_DEATHS, WorkerSupervisor
from devhost.worker_protocol import Reply

log = logging.getLogger("devhost.orchestrator")

ENDS = ("Completed", "Failed", "ContinuedAsNew")
PROVED_FIRST, PROVED_EACH = 20, 50
LONG_WAIT = timedelta(minutes=1)
ADDRESS = re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE)


@dataclass
class TurnResult:
    """The tasks to schedule, and how the execution stands. `result` is its output, `next_input` of continue-as-new.

    `left`: how many of the turn's events came after the one that ended the execution.
    """

    tasks: list[Task] = field(default_factory=list)
    status: str = "Running"
    result: str | None = None
    next_input: str | None = None
    custom_status: str = "null"
    left: int = 0


@dataclass(frozen=True)
class State:
    """The SDK's answer to a turn: its `output` as JSON text; a `stack` when user code raised.

    `actions` is every action that was ever yielded, or, of a `warm` execution, those that it yielded in this turn;
    `cancelled` are then the timers that it cancelled in it. `left`: how many events came after its end.
    """

    done: bool
    actions: list[Action]
    output: str | None
    error: str | None
    custom_status: str
    stack: str
    warm: bool = False
    cancelled: tuple[int, ...] = ()
    left: int = 0

    @property
    def ended(self) -> bool:
        return self.done or self.error is not None

    @property
    def outcome(self) -> tuple[Any, ...]:
        """What two runs of one history have to agree in. The addresses of objects in a failure are nobody's choice."""
        return self.done, self.output, self.error and ADDRESS.sub("", self.error), self.custom_status


class OrchestrationExecutor:
    """`keep_warm`: whether executions stay in the worker between their turns, instead of being replayed in each."""

    def __init__(self, worker: WorkerSupervisor, functions: FunctionRegistry, at_once: int, keep_warm: bool) -> None:
        self._worker, self._functions = worker, functions
        self._slots = asyncio.Semaphore(at_once)
        self._keep_warm = keep_warm
        self._ended: Counter[str] = Counter()
        self._warned: set[str] = set()

    async def decide(
        self,
        instance: Instance,
        fresh: list[Event],
        causes: list[Event],
        now: datetime,
        ahead: SpeculativeTurn | None = None,
    ) -> TurnResult:
        """The result of a turn whose new events are `fresh`; `causes` are those among them that caused it.

        `ahead`: the worker's answer to exactly these events, if it has taken this turn already.
        """
        for event in causes:
            if event.type == "ExecutionTerminated":
                return TurnResult(
                    status="Terminated", result=event.fields["Input"], custom_status=instance.custom_status
                )
        try:
            state = await self._state(instance, fresh, ahead)
            result = self._judge(instance, state, causes, now)
            if state.warm and result.status in ENDS:
                await self._check_determinism(instance, fresh, state)
            return result
        except OrchestrationFault as fault:
            return self.failed(instance, fault)

    def begin_ahead(self, instance: Instance, fresh: list[Event]) -> SpeculativeTurn | None:
        """Have the first turn of an execution taken while the row of its instance is still being written.

        Nothing that it decides is done before that. If there turns out to be such an instance, it is forgotten.
        """
        if not self._keep_warm:
            return None
        reply = asyncio.ensure_future(self._ask("begin", instance, instance.replay_context(fresh)))
        reply.add_done_callback(_retrieved)
        return SpeculativeTurn(instance.turns + 1, reply)

    def go_on_ahead(self, instance: Instance, task: Task) -> SpeculativeTurn | None:
        """Have the turn after an activity taken by the worker as soon as the activity has ended: one trip less."""
        if not self._keep_warm or not instance.turns or not instance.waits_only_for(task):
            return None
        turn = instance.turns + 1
        after = {"session": _session(instance), "turn": turn, "task": task.id}
        return SpeculativeTurn(turn, asyncio.get_running_loop().create_future(), after)

    async def replay(self, instance: Instance, fresh: list[Event]) -> State:
        """The SDK's state after the instance's history and the fresh events, from the start. Raises OrchestrationFault.

        The execution is warm after it.
        """
        state = await self._replayed("begin" if self._keep_warm else "replay", instance, fresh)
        instance.turns += 1
        return state

    async def _state(self, instance: Instance, fresh: list[Event], ahead: SpeculativeTurn | None) -> State:
        """From the turn that the worker took ahead, or from the warm execution, or by a replay."""
        state = await self._taken_ahead(instance, ahead)
        if state is None and self._keep_warm and instance.tasks.known:
            reply = await self._ask("go_on", instance, instance.unseen_by_sdk(fresh))
            state = self._next_state(instance, reply, warm=True)
        return state or await self.replay(instance, fresh)

    async def _taken_ahead(self, instance: Instance, ahead: SpeculativeTurn | None) -> State | None:
        """None when it did not, or when another turn came before it."""
        if ahead is None or ahead.turn != instance.turns + 1 or (ahead.after and not ahead.reply.done()):
            return None
        return self._next_state(instance, await ahead.reply, warm=ahead.after is not None)

    def _next_state(self, instance: Instance, reply: Reply, *, warm: bool) -> State | None:
        """The state of a reply that continues from exactly what our task table knows."""
        if not reply.ok or reply.header.get("first") != instance.tasks.known:
            return None
        instance.turns += 1
        return read_state(reply, warm=warm)

    async def _check_determinism(self, instance: Instance, fresh: list[Event], warm: State) -> None:
        """Replay an execution that ends, and fail it when that comes to something else: it is not deterministic, and a
        restart would have taken it elsewhere. The first ends of each orchestrator are proved, and then a part of them.
        """
        self._ended[instance.name] += 1
        if self._ended[instance.name] > PROVED_FIRST and self._ended[instance.name] % PROVED_EACH:
            return
        replayed = await self._replayed("replay", instance, fresh)
        instance.tasks.refuse_changes(flatten(replayed.actions))
        if replayed.outcome != warm.outcome:
            raise OrchestrationFault(
                "Non-Deterministic workflow detected: a replay of its history ends otherwise than it did when it was "
                "first run. Orchestrator code must decide only by its input, the results of its tasks and the context."
            )

    async def _replayed(self, kind: str, instance: Instance, fresh: list[Event]) -> State:
        reply = await self._ask(kind, instance, instance.replay_context(fresh))
        if not reply.ok:
            raise OrchestrationFault(self._reason(instance, reply))
        return read_state(reply, warm=False)

    def _reason(self, instance: Instance, reply: Reply) -> str:
        """A sentence where the worker has one, and its stack in the log; else all that it says."""
        if "sentence" not in reply.header:
            return worker_message(reply)
        if reply.stack:
            log.error("Orchestrator '%s' (instance %s) raised:\n%s", instance.name, instance.id, reply.stack)
        return str(reply.header["sentence"])

    def failed(self, instance: Instance, fault: OrchestrationFault) -> TurnResult:
        log.error("Instance %s of '%s' fails: %s", instance.id, instance.name, fault)
        text = orchestrator_failure(instance.name, str(fault))
        return TurnResult(status="Failed", result=text, custom_status=instance.custom_status)

    async def _ask(self, kind: str, instance: Instance, body: bytes) -> Reply:
        function = self._functions.orchestrator(instance.name)
        if function is None:
            raise OrchestrationFault(self._functions.no_orchestrator(instance.name))
        header = {"session": _session(instance), "turn": instance.turns + 1}
        try:
            async with self._slots:
                return await self._worker.call_repeatedly(kind, function, body, **header)
        except WorkerDied as death:
            text = f"The worker process died {MAX_DEATHS} times while it ran this orchestrator."
            raise OrchestrationFault(text) from death
        except CallTimedOut as late:
            raise OrchestrationFault(
                f"The orchestrator did not come to its next yield within {late.limit_s:.0f} s: it loops, or it waits "
                "by itself for something that it should yield."
            ) from late

    def _judge(self, instance: Instance, state: State, causes: list[Event], now: datetime) -> TurnResult:
        tasks = [task for event in causes for task in instance.tasks.observe(event, now)]
        if state.warm:
            tasks += instance.tasks.extend(state.actions, state.cancelled)
        else:
            tasks += instance.tasks.accept(state.actions)
        for task in tasks:
            _refuse_bad_id(task)
            self._refuse_impossible(instance, task)
        result = TurnResult(tasks, custom_status=state.custom_status, left=state.left)
        if state.ended and not instance.tasks.blocking:
            _conclude(result, instance, state)
        self._warn_of_azure(instance)
        if state.ended and result.status == "Running":
            self._warn_of_a_timer(instance, now)
        return result

    def _warn_of_azure(self, instance: Instance) -> None:
        """What the real host would make of it, where that is something else."""
        difference = instance.tasks.order.difference
        if difference:
            self._warn_once(instance, f"would not run like this in Azure: {difference}. See docs/devhost.md")

    def _warn_of_a_timer(self, instance: Instance, now: datetime) -> None:
        until = instance.tasks.only_waits_until
        if until and until - now > LONG_WAIT:
            self._warn_once(
                instance,
                f"has ended and stays Running until a timer fires, here as in Azure ({until:%Y-%m-%d %H:%M} UTC): "
                "cancel a timer that is not needed; one of more than six days cannot be cancelled with this SDK",
            )

    def _warn_once(self, instance: Instance, what: str) -> None:
        """For each orchestrator; its instances would mostly say the same."""
        if instance.name not in self._warned:
            self._warned.add(instance.name)
            log.warning("Orchestrator '%s' (instance %s) %s.", instance.name, instance.id, what)

    def _refuse_impossible(self, instance: Instance, task: Task) -> None:
        """Fail at once where the real host would wait for ever."""
        if task.kind == ACTIVITY and task.name != HTTP_ACTIVITY and self._functions.activity(task.name) is None:
            raise OrchestrationFault(self._functions.no_activity(task.name))
        if task.kind == SUB_ORCHESTRATION:
            if self._functions.orchestrator(task.name) is None:
                raise OrchestrationFault(self._functions.no_orchestrator(task.name))
            if task.instance_id and task.instance_id in (instance.id, instance.parent and instance.parent.instance_id):
                raise OrchestrationFault(f"A sub-orchestration cannot have the id of its caller: '{task.instance_id}'.")
        if task.kind in (CALL, SIGNAL):
            entity = EntityId.parse(task.instance_id or "")
            if self._functions.entity(entity.name) is None:
                raise OrchestrationFault(self._functions.no_entity(entity.name))
            if len(entity.key) > MAX_ENTITY_KEY or is_no_key(str(entity)):
                raise OrchestrationFault(f"The key of an entity must not be longer than {MAX_ENTITY_KEY} characters.")


def _refuse_bad_id(task: Task) -> None:
    if task.instance_id and SURROGATE.search(task.instance_id):
        raise OrchestrationFault(f"An id must not hold half of a surrogate pair: {task.instance_id!a}.")
    if task.instance_id and is_no_key(task.instance_id):
        raise OrchestrationFault(
            "An id must not be longer than 512 characters, as keys in storage are, nor hold the end of a line."
        )


def _session(instance: Instance) -> str:
    return f"{instance.id} {instance.execution_id}"


def _retrieved(reply: "asyncio.Future[Reply]") -> None:
    """The waiter for a reply gets its fault; a reply that was asked for ahead may have no waiter."""
    if not reply.cancelled():
        reply.exception()


def read_state(reply: Reply, *, warm: bool) -> State:
    """The worker's answer to a turn. Raises OrchestrationFault for one that cannot be kept."""
    try:
        state: dict[str, Any] = json.loads(reply.body)
        custom_status = compact_json(state.get("customStatus"))
        output = None if state.get("output") is None else compact_json(state["output"])
    except RecursionError as fault:
        raise OrchestrationFault("The orchestrator's answer is nested too deeply.") from fault
    if len(custom_status) * 2 > MAX_CUSTOM_STATUS_BYTES:
        raise OrchestrationFault("The size of the JSON-serialized payload of the custom status must not exceed 16 KB.")
    actions = state["actions"][0] if state["actions"] else []
    return State(
        state["isDone"],
        actions,
        output,
        state.get("error"),
        custom_status,
        reply.stack,
        warm,
        cancelled=tuple(reply.header.get("cancelled", ())),
        left=reply.header.get("left", 0),
    )


def _conclude(result: TurnResult, instance: Instance, state: State) -> None:
    instance.tasks.order.concludes()
    if state.error is not None:
        log.error("Orchestrator '%s' (instance %s) raised:\n%s", instance.name, instance.id, state.stack)
        result.status, result.result = "Failed", orchestrator_failure(instance.name, state.error)
    elif instance.tasks.restart:
        result.status, result.next_input = "ContinuedAsNew", instance.tasks.restart.input
    else:
        result.status, result.result = "Completed", state.output
