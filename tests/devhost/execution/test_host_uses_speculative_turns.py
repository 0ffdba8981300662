"""The host uses a speculative turn as the next one of its execution and with its own cause, and no other."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from devhost.execution.actions import ACTIVITY, TIMER, Task
from devhost.execution.instance import Instance
from devhost.execution.speculative_turns import SpeculativeTurns
from devhost.history.builders import execution_started, task_completed
from devhost.history.events import Event
from devhost.worker_protocol import Reply

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEP = Task(2, ACTIVITY, "step")
ANSWER = Reply({"ok": True, "turn": {"ok": True, "first": 1, "after": len('"result"')}}, b'"result"{"isDone": false}')


def instance(*others: Task, turns: int = 3) -> Instance:
    """An instance that has taken some turns, with an activity and other tasks open."""
    order = Instance("order-1")
    order.begin(execution_started("order-1", "saga", None, ""))
    order.execution.turns = turns
    order.execution.tasks.open = {task.id: task for task in (STEP, *others)}
    return order


def turns(enabled: bool = True) -> SpeculativeTurns:
    return SpeculativeTurns(None, enabled)  # type: ignore[arg-type] # nothing is asked of the worker here


def in_a_loop(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type] # a coroutine


def ended(number: int) -> list[Event]:
    return [task_completed(number, '"result"', NOON)]


@pytest.mark.parametrize(("between", "used"), [(0, True), (1, False)])
def test_a_turn_is_used_only_as_the_next_one(between: int, used: bool) -> None:
    """Another event may have had a turn of its own after the worker took this one and before its answer came."""

    async def run() -> None:
        order, speculative = instance(), turns()
        speculative.after_activity(order, STEP)
        assert speculative.result_of(order.execution, STEP, ANSWER) == b'"result"'
        order.execution.turns += between
        reply = await speculative.reply_to(order.execution, ended(STEP.id))
        assert (reply is not None and reply.body == b'{"isDone": false}') == used

    in_a_loop(run)


def test_a_turn_is_used_for_its_own_cause_alone_and_once() -> None:
    async def run() -> None:
        order, speculative = instance(), turns()
        speculative.after_activity(order, STEP)
        speculative.result_of(order.execution, STEP, ANSWER)
        for others in (ended(1), [], [*ended(STEP.id), *ended(1)]):
            assert not speculative.is_expected(order.execution, others)
            assert await speculative.reply_to(order.execution, others) is None
        assert speculative.is_expected(order.execution, ended(STEP.id))
        assert await speculative.reply_to(order.execution, ended(STEP.id))
        assert await speculative.reply_to(order.execution, ended(STEP.id)) is None

    in_a_loop(run)


def test_an_answer_without_a_turn_is_the_result_and_the_turn_is_asked_for() -> None:
    async def run() -> None:
        order, speculative = instance(), turns()
        speculative.after_activity(order, STEP)
        assert speculative.result_of(order.execution, STEP, Reply({"ok": True}, b'"result"')) == b'"result"'
        assert await speculative.reply_to(order.execution, ended(STEP.id)) is None

    in_a_loop(run)


def test_the_call_of_an_activity_names_its_speculative_turn() -> None:
    async def run() -> None:
        order, speculative = instance(), turns()
        assert speculative.call_header(order, order.execution, STEP) == {}
        speculative.after_activity(order, STEP)
        session = f"order-1 {order.execution.id}"
        header = {"then": {"session": session, "turn": 4, "task": STEP.id}}
        assert speculative.call_header(order, order.execution, STEP) == header
        assert speculative.call_header(order, order.execution, Task(1, ACTIVITY, "other")) == {}

    in_a_loop(run)


@pytest.mark.parametrize(
    ("order", "enabled", "taken"),
    [
        (instance(), True, True),
        (instance(Task(3, TIMER)), True, True),
        (instance(Task(3, ACTIVITY, "other")), True, False),
        (instance(turns=0), True, False),
        (instance(), False, False),
    ],
    ids=["alone", "beside a timer", "beside an activity", "an execution that is not warm", "with full replays"],
)
def test_a_turn_is_taken_when_the_end_of_the_activity_is_sure_to_be_the_next_event(
    order: Instance, enabled: bool, taken: bool
) -> None:
    async def run() -> None:
        speculative = turns(enabled)
        speculative.after_activity(order, STEP)
        assert (speculative.call_header(order, order.execution, STEP) != {}) == taken

    in_a_loop(run)


def test_a_turn_is_forgotten_with_its_execution() -> None:
    async def run() -> None:
        order, speculative = instance(), turns()
        speculative.after_activity(order, STEP)
        order.begin(execution_started("order-1", "saga", None, ""))
        assert len(speculative._turns) == 0

    in_a_loop(run)
