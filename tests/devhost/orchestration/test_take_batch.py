"""Which of the messages that wait for an instance share its next turn."""

import asyncio
from datetime import UTC, datetime, timedelta

from devhost.execution.actions import ACTIVITY, Retry, Task
from devhost.execution.instance import Instance
from devhost.execution.messages import Delivery, Message, OutsideEvent, RowDue, TaskEnd
from devhost.history.builders import execution_started, task_completed
from devhost.history.events import Event
from devhost.orchestration.instance_loop import take_batch

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MANY = 20
STARTED = execution_started("order-1", "saga", None, "")
EXECUTION = STARTED.fields["OrchestrationInstance"]["ExecutionId"]


def instance(*retried: int) -> Instance:
    """An instance with five open activities, 0 to 4; the named ones are with retry."""
    instance = Instance("order-1")
    instance.begin(STARTED)
    for number in range(5):
        retry = Retry({}, 1, 3, timedelta(seconds=1)) if number in retried else None
        instance.execution.tasks.open[number] = Task(number, ACTIVITY, "step", retry=retry)
    return instance


def end_of(number: int, execution_id: str = EXECUTION) -> TaskEnd:
    return TaskEnd(task_completed(number, '"done"', NOON), execution_id)


def event(kind: str) -> OutsideEvent:
    return OutsideEvent(Event(kind, NOON, fields={"Name": "approved", "Input": "true", "Reason": ""}))


def turns(of: Instance, *messages: Message, at_most: int = MANY) -> list[list[Message]]:
    """All turns, one after the other."""
    of.inbox.extend(messages)
    batches = []
    while of.inbox:
        batches.append(take_batch(of, at_most))
    return batches


def test_ends_and_events_share_a_turn() -> None:
    messages: list[Message] = [end_of(0), event("EventRaised"), end_of(1), event("EventRaised")]
    assert turns(instance(), *messages) == [messages]


def test_no_more_share_a_turn_than_may() -> None:
    messages = [end_of(number) for number in range(5)]
    assert turns(instance(), *messages, at_most=2) == [messages[:2], messages[2:4], messages[4:]]


def test_the_end_of_a_retried_task_has_a_turn_of_its_own() -> None:
    messages = [end_of(0), end_of(1), end_of(2), end_of(3)]
    assert turns(instance(1, 2), *messages) == [[messages[0]], [messages[1]], [messages[2]], [messages[3]]]


def test_what_changes_the_state_has_a_turn_of_its_own() -> None:
    for kind in ("ExecutionTerminated", "ExecutionSuspended", "ExecutionResumed"):
        messages: list[Message] = [end_of(0), event(kind), end_of(1)]
        assert turns(instance(), *messages) == [[message] for message in messages]


def test_a_row_is_written_between_two_turns() -> None:
    messages: list[Message] = [end_of(0), RowDue(), end_of(1)]
    assert turns(instance(), *messages) == [[message] for message in messages]


def test_a_task_ends_once_in_a_turn_and_only_for_the_execution_that_scheduled_it() -> None:
    async def answers() -> list[Delivery]:
        of = instance()
        heard = [asyncio.get_running_loop().create_future() for _ in range(3)]
        again, unknown, foreign = end_of(0), end_of(7), end_of(1, "another execution")
        for message, receipt in zip((again, unknown, foreign), heard, strict=True):
            message.receipt = receipt
        first, own = end_of(0), end_of(2)
        assert [each for turn in turns(of, first, again, unknown, foreign, own) for each in turn] == [first, own]
        return [await receipt for receipt in heard]

    assert asyncio.run(answers()) == [Delivery.STORED] * 3


def test_while_suspended_the_end_of_a_retried_task_is_kept_for_later() -> None:
    of, plain, retried = instance(1), end_of(0), end_of(1)
    of.execution.suspended = True
    assert turns(of, retried, plain) == [[plain]]
    assert of.execution.later == [retried]
