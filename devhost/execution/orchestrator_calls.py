"""Asks the worker's SDK for a turn of an orchestrator, and reads its answer."""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

from devhost.execution.actions import MAX_CUSTOM_STATUS_BYTES, Action, OrchestrationFault
from devhost.execution.instance import Execution, Instance
from devhost.function_registry import FunctionRegistry
from devhost.history.events import compact_json
from devhost.worker_host.failures import CallTimedOut, WorkerDied
from devhost.worker_host.supervisor import MAX_DEATHS, WorkerSupervisor
from devhost.worker_protocol import Reply

ADDRESS = re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE)


@dataclass(frozen=True)
class State:
    """The SDK's answer to a turn: its `output` as JSON text; a `stack` when user code raised.

    `actions` is every action that was ever yielded or, of a `warm` execution, the actions of this turn; `cancelled`
    are then the timers that were cancelled in this turn. `left`: how many events came after the end.
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
        """The part that two runs of one history must have in common: all but the addresses of objects in a failure."""
        return self.done, self.output, self.error and ADDRESS.sub("", self.error), self.custom_status


class OrchestratorCalls:
    """`at_once`: how many turns may be asked of the worker at the same time."""

    def __init__(self, worker: WorkerSupervisor, functions: FunctionRegistry, at_once: int) -> None:
        self._worker, self._functions = worker, functions
        self._slots = asyncio.Semaphore(at_once)

    async def ask(self, kind: str, instance: Instance, body: bytes) -> Reply:
        """Ask for the next turn of an instance. Raises OrchestrationFault when the worker cannot answer it."""
        function = self._functions.orchestrator(instance.name)
        if function is None:
            raise OrchestrationFault(self._functions.no_orchestrator(instance.name))
        header = {"session": session_of(instance.id, instance.execution), "turn": instance.execution.turns + 1}
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


def session_of(instance_id: str, execution: Execution) -> str:
    """The name of an execution's session in the worker."""
    return f"{instance_id} {execution.id}"


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
