"""The host's side of speculative turns: the worker takes a turn before the host asks for it, which saves a trip.

There are two kinds. The first turn of an execution is taken while the row of its instance is still being written. The
turn after an activity is taken by the worker that has just ended the activity, and arrives with its answer: see
worker/speculative_turns.py. No decision of such a turn is carried out before its cause is stored. The turn is used if
it is the execution's next one and has exactly this cause; otherwise the host asks the worker again.

An execution has one such turn at most, which is dropped with the execution.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from devhost.execution.actions import ACTIVITY, HTTP_ACTIVITY, TIMER, Task
from devhost.execution.instance import Execution, Instance
from devhost.execution.orchestrator_calls import OrchestratorCalls, session_of
from devhost.history.events import Event
from devhost.worker_protocol import Reply


@dataclass(frozen=True)
class SpeculativeTurn:
    """The number of the turn, the worker's pending reply, and the activity that causes it: None for the first turn."""

    number: int
    reply: "asyncio.Future[Reply]"
    task_id: int | None

    def is_caused_by(self, event: Event) -> bool:
        if self.task_id is None:
            return event.type == "ExecutionStarted"
        return event.fields.get("TaskScheduledId") == self.task_id


class SpeculativeTurns:
    """`enabled`: executions stay warm in the worker, which a speculative turn needs."""

    def __init__(self, calls: OrchestratorCalls, enabled: bool) -> None:
        self._calls, self._enabled = calls, enabled
        self._turns: WeakKeyDictionary[Execution, SpeculativeTurn] = WeakKeyDictionary()

    def before_start(self, instance: Instance) -> None:
        """Have the first turn taken. It is dropped if an instance of this id exists already."""
        execution = instance.execution
        if not self._enabled or execution.started is None:
            return
        fresh = [Event("OrchestratorStarted", execution.started.at), execution.started]
        context = execution.replay_context(instance.id, fresh)
        reply = asyncio.ensure_future(self._calls.ask("start_session", instance, context))
        reply.add_done_callback(_take_fault)
        self._turns[execution] = SpeculativeTurn(execution.turns + 1, reply, None)

    def after_activity(self, instance: Instance, task: Task) -> None:
        """Have the turn after an activity taken when that ends, if its end is almost certainly the next event."""
        execution = instance.execution
        if self._enabled and execution.turns and _waits_only_for(execution, task):
            reply = asyncio.get_running_loop().create_future()
            self._turns[execution] = SpeculativeTurn(execution.turns + 1, reply, task.id)

    def call_header(self, instance: Instance, execution: Execution, task: Task) -> dict[str, Any]:
        """The header of the activity's call that describes the turn after it."""
        turn = self._turns.get(execution)
        if turn is None or turn.task_id != task.id:
            return {}
        return {"then": {"session": session_of(instance.id, execution), "turn": turn.number, "task": task.id}}

    def result_of(self, execution: Execution, task: Task, reply: Reply) -> bytes:
        """The result of the activity, without the answer to the turn after it, which follows in the reply."""
        header = reply.header.get("turn")
        if header is None:
            return reply.body
        result, state = reply.body[: header["after"]], reply.body[header["after"] :]
        turn = self._turns.get(execution)
        if turn and turn.task_id == task.id:
            turn.reply.set_result(Reply(header, state))
        return result

    def is_expected(self, execution: Execution, causes: list[Event]) -> bool:
        """Whether the worker may have taken the turn of these causes by itself. It then has the time of its cause."""
        turn = self._turns.get(execution)
        return turn is not None and len(causes) == 1 and turn.is_caused_by(causes[0])

    async def reply_to(self, execution: Execution, causes: list[Event]) -> Reply | None:
        """The worker's reply to the turn of these causes; None when it did not take the turn, or took another first."""
        if not self.is_expected(execution, causes):
            return None
        turn = self._turns.pop(execution)
        is_taken = turn.task_id is None or turn.reply.done()
        return await turn.reply if is_taken and turn.number == execution.turns + 1 else None


def _waits_only_for(execution: Execution, task: Task) -> bool:
    """Whether only timers run beside an activity.

    A retried task does not count: its end may number a task before the SDK is asked.
    """
    beside = (other.kind for other in execution.tasks.open.values() if other is not task)
    is_activity = task.kind == ACTIVITY and task.retry is None and task.name != HTTP_ACTIVITY
    is_next = is_activity and not execution.suspended and execution.sdk_knows_all
    return is_next and all(kind == TIMER for kind in beside)


def _take_fault(reply: "asyncio.Future[Reply]") -> None:
    """Read a fault, so that asyncio does not log it: the reply of a speculative turn may have no waiter."""
    if not reply.cancelled():
        reply.exception()
