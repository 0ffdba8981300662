"""Small orchestrators, worlds that answer them, and histories written by hand, event by event."""

from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest

from tests.replay.driver import Broken, Call, Done, Raised, World
from tests.replay.oracle.history import Event, Kind, Orchestrator

Program = Callable[[Any], Generator[Any, Any, Any]]
SECOND = 1000


def handle(program: Program) -> Orchestrator:
    orchestrator: Orchestrator = df.Orchestrator.create(program)
    return orchestrator


def after(context: Any, seconds: float) -> Any:
    return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))


def fine(call: Call) -> Done:
    return Done(call.name)


# Programs


def sequence(context: Any) -> Generator[Any, Any, Any]:
    first = yield context.call_activity("Reserve", {"sku": "CRUNCHY-ARMCHAIR"})
    second = yield context.call_activity("Pay", first)
    return [first, second]


def retries_by_hand(context: Any) -> Generator[Any, Any, Any]:
    """The saga's own loop: a plain activity, a durable timer, the activity again."""
    for pause in (1, 2, 4):
        try:
            return (yield context.call_activity("Pay"))
        except Exception:  # The SDK raises nothing more precise.
            yield after(context, pause)
    return (yield context.call_activity("Refund"))


def event_or_deadline(context: Any) -> Generator[Any, Any, Any]:
    approval, deadline = context.wait_for_external_event("approval"), after(context, 60)
    winner = yield context.task_any([approval, deadline])
    if winner == deadline:
        return (yield context.call_activity("Release"))
    deadline.cancel()
    yield context.call_activity("Pay")
    yield after(context, 90)
    return (yield context.call_activity("Ship"))


def fan_out(context: Any) -> Generator[Any, Any, Any]:
    yield context.task_all([context.call_activity("Pack", n) for n in range(3)])
    return (yield context.call_activity("Ship"))


def sdk_retry(context: Any) -> Generator[Any, Any, Any]:
    try:
        yield context.call_activity_with_retry("Pay", df.RetryOptions(SECOND, 3))
    except Exception:
        yield context.call_activity("Release")
    return (yield context.call_activity("Notify"))


def children(context: Any) -> Generator[Any, Any, Any]:
    yield context.call_sub_orchestrator("Undo", {"order": 1})
    return (yield context.call_sub_orchestrator_with_retry("Undo", df.RetryOptions(SECOND, 2), {"order": 2}))


def raises(context: Any) -> Generator[Any, Any, Any]:
    yield context.call_activity("Pay")
    raise ValueError("no such order")


def returns_at_once(context: Any) -> Any:
    return "nothing to do"


def two_events(context: Any) -> Generator[Any, Any, Any]:
    yield context.call_activity("Reserve")
    yield context.wait_for_external_event("first")
    yield context.wait_for_external_event("second")
    return (yield context.call_activity("Ship"))


def long_timer(context: Any) -> Generator[Any, Any, Any]:
    yield after(context, 8 * 24 * 3600)
    return (yield context.call_activity("Ship"))


def calls_out(context: Any) -> Generator[Any, Any, Any]:
    yield context.call_http("GET", "http://127.0.0.1/")
    return (yield context.call_activity("Ship"))


def fails_times(times: int) -> World:
    return lambda call: Broken() if call.attempt <= times else Done(call.name)


APPROVED_IN_TIME = [Raised("approval", "true", seconds=5)]
# Programs that both number alike, each with what answers it and the events that it is sent.
AGREED: list[Any] = [
    pytest.param(sequence, fine, [], id="sequence"),
    pytest.param(retries_by_hand, fails_times(2), [], id="own retries, then done"),
    pytest.param(
        retries_by_hand, lambda call: Broken() if call.name == "Pay" else Done(), [], id="own retries exhausted"
    ),
    pytest.param(event_or_deadline, fine, APPROVED_IN_TIME, id="event before deadline"),
    pytest.param(event_or_deadline, fine, [], id="deadline before event"),
    pytest.param(fan_out, lambda call: Done(seconds=3 - (call.input or 0)), [], id="fan out, last one first"),
    pytest.param(sdk_retry, fails_times(2), [], id="the SDK's retries, then done"),
    pytest.param(
        sdk_retry, lambda call: Broken() if call.name == "Pay" else Done(), [], id="the SDK's retries exhausted"
    ),
    pytest.param(children, fails_times(1), [], id="a child that fails"),
    pytest.param(children, lambda call: Broken() if call.input == {"order": 2} else Done(), [], id="a child's retries"),
    pytest.param(raises, fine, [], id="failure"),
    pytest.param(returns_at_once, fine, [], id="no yield"),
    pytest.param(two_events, fine, [Raised("second", seconds=0.05), Raised("first", seconds=9)], id="early event"),
    pytest.param(long_timer, fine, [], id="a timer in segments"),
    pytest.param(calls_out, fine, [], id="HTTP call"),
]


# Programs that the SDK and the extension number differently: they run on a host that follows the SDK and hang or
# fail in Azure


def a_retry_caught_beside_a_retry(context: Any) -> Generator[Any, Any, Any]:
    """`task_all` raises at the first failure in Python, and waits for every member in .NET."""
    options = df.RetryOptions(SECOND, 2)
    try:
        yield context.task_all([context.call_activity_with_retry(name, options) for name in ("A", "B")])
    except Exception:
        yield context.call_activity("Undo")


def a_winner_that_was_scheduled_before(context: Any) -> Generator[Any, Any, Any]:
    """The second compound lists only its new member: the extension awaits that one alone."""
    slow = context.call_activity("Slow")
    yield context.task_any([slow, context.call_activity("Quick")])
    yield context.task_any([slow, context.wait_for_external_event("never")])
    yield context.call_activity("Next")


def a_retry_against_a_deadline(context: Any) -> Generator[Any, Any, Any]:
    """The cancelled timer ends the extension's wait at once, and the next call takes the id of the retry's timer."""
    deadline = after(context, 60)
    yield context.task_any([context.call_activity_with_retry("Pay", df.RetryOptions(SECOND, 3)), deadline])
    deadline.cancel()
    yield context.call_activity("Ship")


def a_is_exhausted_while_b_fails(call: Call) -> Done | Broken:
    answers: dict[str, Done | Broken] = {"A": Broken(), "B": Broken(seconds=5) if call.attempt == 1 else Done()}
    return answers.get(call.name, Done(seconds=30))


def pay_fails_once(call: Call) -> Done | Broken:
    return Broken() if (call.name, call.attempt) == ("Pay", 1) else Done()


def slow_is_slow(call: Call) -> Done:
    return Done(seconds=10 if call.name == "Slow" else 1)


# A history written by hand, event by event, as the storage provider would


def event(kind: Kind, id_: int = -1, **fields: Any) -> Event:
    stamp = "2026-01-01T12:00:00Z"
    return {"EventType": int(kind), "EventId": id_, "IsPlayed": False, "Timestamp": stamp} | fields


STARTED = event(
    Kind.ExecutionStarted,
    OrchestrationInstance={"InstanceId": "order-1", "ExecutionId": "e" * 32},
    ParentInstance=None,
    Name="saga",
    Version="",
    Input='"{}"',
)


def scheduled(id_: int, name: str) -> Event:
    return event(Kind.TaskScheduled, id_, Name=name, Version="", Input=None)


def completed(id_: int) -> Event:
    return event(Kind.TaskCompleted, TaskScheduledId=id_, Result='"done"')


def ended(id_: int, status: int = 1) -> Event:
    return event(Kind.ExecutionCompleted, id_, OrchestrationStatus=status, Result=None)


def executions(*runs: list[Event]) -> list[Event]:
    first, last = event(Kind.OrchestratorStarted), event(Kind.OrchestratorCompleted)
    return [each for run in runs for each in (first, *run, last)]
