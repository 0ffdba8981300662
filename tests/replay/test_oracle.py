"""The oracle is right about small programs.

It agrees where the real host agrees, and names the place where it does not.
"""

import json
from collections.abc import Callable, Generator
from copy import deepcopy
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest

from tests.replay.driver import Broken, Call, Done, Raised, World, play
from tests.replay.oracle import (
    Decision,
    Event,
    Kind,
    MalformedHistory,
    Orchestrator,
    UnknownAction,
    request,
    split,
    walk,
)

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


@pytest.mark.parametrize(("program", "world", "events"), AGREED)
def test_a_history_in_which_both_numberings_agree_is_accepted(
    program: Program, world: World, events: list[Raised]
) -> None:
    history = play(handle(program), world, events=events)
    assert history[-2]["EventType"] == Kind.ExecutionCompleted
    assert walk(history, handle(program)) == []


@pytest.mark.parametrize(("program", "world", "events"), AGREED)
def test_a_history_still_in_flight_is_accepted_at_every_point(
    program: Program, world: World, events: list[Raised]
) -> None:
    history = play(handle(program), world, events=events)
    ends = [place + 1 for place, event in enumerate(history) if event["EventType"] == Kind.OrchestratorCompleted]
    assert [walk(history[:end], handle(program)) for end in ends] == [[] for _ in ends]


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


def test_a_plain_sequence_written_by_hand_is_accepted() -> None:
    history = executions(
        [STARTED, scheduled(0, "Reserve")],
        [completed(0), scheduled(1, "Pay")],
        [completed(1), ended(2)],
    )
    assert walk(history, handle(sequence)) == []


def test_several_answers_in_one_execution_are_accepted() -> None:
    history = executions(
        [STARTED, scheduled(0, "Pack"), scheduled(1, "Pack"), scheduled(2, "Pack")],
        [completed(2)],
        [completed(0), completed(1), scheduled(3, "Ship")],
        [completed(3), ended(4)],
    )
    assert walk(history, handle(fan_out)) == []


def test_names_are_compared_without_regard_to_case() -> None:
    history = executions([STARTED, scheduled(0, "RESERVE")])
    assert walk(history, handle(sequence)) == []


def test_an_execution_cannot_end_while_a_timer_is_open() -> None:
    def leaves_a_timer_behind(context: Any) -> Generator[Any, Any, Any]:
        yield context.task_any([context.call_activity("Pay"), after(context, 60)])

    timer, fired = event(Kind.TimerCreated, 1, FireAt="2026-01-01T12:01:00Z"), event(Kind.TimerFired, TimerId=1)
    waits = executions([STARTED, scheduled(0, "Pay"), timer], [completed(0)], [fired, ended(2)])
    hurries = executions([STARTED, scheduled(0, "Pay"), timer], [completed(0), ended(2)])
    assert walk(waits, handle(leaves_a_timer_behind)) == []
    (found,) = walk(hurries, handle(leaves_a_timer_behind))
    assert (found.execution, found.expected, found.found) == (1, None, Decision(2, "ExecutionCompleted", "Completed"))


def test_a_cancelled_timer_that_fires_all_the_same_is_ignored() -> None:
    history = play(handle(event_or_deadline), fine, events=APPROVED_IN_TIME)
    fired = [each["TimerId"] for each in history if each["EventType"] == Kind.TimerFired]
    assert fired == [0, 2], "the deadline was cancelled and fired before the later timer"


def test_a_suspended_instance_decides_nothing_until_it_is_resumed() -> None:
    suspended, resumed = event(Kind.ExecutionSuspended, Reason="hold"), event(Kind.ExecutionResumed, Reason="go")
    start = [STARTED, scheduled(0, "Reserve")]
    held = executions(start, [suspended], [completed(0)], [resumed, scheduled(1, "Pay")])
    leaked = executions(start, [suspended], [completed(0), scheduled(1, "Pay")])
    assert walk(held, handle(sequence)) == []
    assert [found.expected for found in walk(leaked, handle(sequence))] == [None]


def test_what_was_decided_in_the_execution_that_suspends_is_held_back_too() -> None:
    suspended, resumed = event(Kind.ExecutionSuspended, Reason="hold"), event(Kind.ExecutionResumed, Reason="go")
    start = [STARTED, scheduled(0, "Reserve")]
    assert walk(executions(start, [completed(0), suspended], [resumed, scheduled(1, "Pay")]), handle(sequence)) == []


def test_a_suspended_instance_does_not_end_before_it_is_resumed() -> None:
    suspended, resumed = event(Kind.ExecutionSuspended, Reason="hold"), event(Kind.ExecutionResumed, Reason="go")
    begun = ([STARTED, scheduled(0, "Reserve")], [completed(0), scheduled(1, "Pay")])
    assert walk(executions(*begun, [completed(1), suspended], [resumed, ended(2)]), handle(sequence)) == []


def test_terminating_a_suspended_instance_ends_it_without_what_was_held_back() -> None:
    suspended, terminated = event(Kind.ExecutionSuspended, Reason="hold"), event(Kind.ExecutionTerminated, Input="no")
    start = [STARTED, scheduled(0, "Reserve")]
    history = executions(start, [suspended], [completed(0)], [terminated, ended(1, status=5)])
    assert walk(history, handle(sequence)) == []


def test_a_cancelled_timer_does_not_keep_an_instance_running() -> None:
    def gives_up_waiting(context: Any) -> Generator[Any, Any, Any]:
        deadline = after(context, 3600)
        yield context.task_any([context.call_activity("Pay"), deadline])
        deadline.cancel()

    history = play(handle(gives_up_waiting), fine)
    assert [each["EventType"] for each in history].count(Kind.TimerFired) == 0
    assert walk(history, handle(gives_up_waiting)) == []


def test_an_event_goes_to_the_newest_of_two_waits() -> None:
    def waits_twice(context: Any) -> Generator[Any, Any, Any]:
        yield context.task_any([context.wait_for_external_event("go"), after(context, 5)])
        yield context.wait_for_external_event("go")
        yield context.call_activity("Ship")

    history = play(handle(waits_twice), fine, events=[Raised("go", seconds=9)])
    assert history[-2]["EventType"] == Kind.ExecutionCompleted
    assert walk(history, handle(waits_twice)) == []


def test_the_orchestrator_is_told_what_is_new_and_what_is_replayed() -> None:
    seen: list[bool] = []

    def watches(context: Any) -> Generator[Any, Any, Any]:
        seen.append(context.is_replaying)
        yield context.call_activity("Reserve")
        seen.append(context.is_replaying)

    history = play(handle(watches), fine)
    seen.clear()
    assert walk(history, handle(watches)) == []
    assert seen == [False, True, False]
    assert json.loads(request(history))["isReplaying"] is True
    assert json.loads(request(executions([STARTED])))["isReplaying"] is False


def test_terminate_ends_an_instance_whatever_is_open() -> None:
    terminated = event(Kind.ExecutionTerminated, Input="by hand")
    history = executions([STARTED, scheduled(0, "Reserve")], [terminated, ended(1, status=5)])
    assert walk(history, handle(sequence)) == []


# What it finds


def pays_after_two_failures() -> list[Event]:
    return deepcopy(play(handle(retries_by_hand), fails_times(2)))


def place_of(history: list[Event], kind: Kind, nth: int = 0) -> int:
    return [place for place, each in enumerate(history) if each["EventType"] == kind][nth]


def test_a_wrong_id_is_found() -> None:
    history = pays_after_two_failures()
    history[place_of(history, Kind.TimerCreated)]["EventId"] = 7
    found = walk(history, handle(retries_by_hand))
    assert [(each.execution, each.id, each.expected, each.found) for each in found] == [
        (1, 1, Decision(1, "TimerCreated", ""), None),
        (1, 7, None, Decision(7, "TimerCreated", "")),
    ]


def test_a_missing_timer_is_found() -> None:
    history = pays_after_two_failures()
    del history[place_of(history, Kind.TimerCreated)]
    (found,) = walk(history, handle(retries_by_hand))
    assert (found.execution, found.expected, found.found) == (1, Decision(1, "TimerCreated", ""), None)
    assert str(found) == "execution 1, id 1: the real host would have TimerCreated(1), the history has nothing"


def test_an_extra_activity_is_found() -> None:
    history = executions([STARTED, scheduled(0, "Reserve"), scheduled(1, "Pay")])
    (found,) = walk(history, handle(sequence))
    assert (found.execution, found.expected, found.found) == (0, None, Decision(1, "TaskScheduled", "Pay"))


def test_a_wrong_name_is_found() -> None:
    history = executions([STARTED, scheduled(0, "Reserve")], [completed(0), scheduled(1, "Ship")])
    (found,) = walk(history, handle(sequence))
    assert (found.expected, found.found) == (Decision(1, "TaskScheduled", "Pay"), Decision(1, "TaskScheduled", "Ship"))


def test_a_wrong_kind_is_found() -> None:
    history = executions([STARTED, event(Kind.TimerCreated, 0, FireAt="2026-01-01T12:00:01Z")])
    (found,) = walk(history, handle(sequence))
    assert (found.expected, found.found) == (Decision(0, "TaskScheduled", "Reserve"), Decision(0, "TimerCreated", ""))


def test_decisions_out_of_order_are_found() -> None:
    history = executions([STARTED, scheduled(1, "Pack"), scheduled(0, "Pack"), scheduled(2, "Pack")])
    assert [found.execution for found in walk(history, handle(fan_out))] == [0, 0]


@pytest.mark.parametrize(("id_", "status"), [(3, 1), (2, 3)])
def test_a_wrong_completion_is_found(id_: int, status: int) -> None:
    history = executions(
        [STARTED, scheduled(0, "Reserve")],
        [completed(0), scheduled(1, "Pay")],
        [completed(1), ended(id_, status)],
    )
    assert {found.execution for found in walk(history, handle(sequence))} == {2}


def test_a_missing_completion_is_found() -> None:
    history = executions([STARTED, scheduled(0, "Reserve")], [completed(0), scheduled(1, "Pay")], [completed(1)])
    (found,) = walk(history, handle(sequence))
    assert (found.expected, found.found) == (Decision(2, "ExecutionCompleted", "Completed"), None)


def test_an_answer_to_something_that_was_never_asked_is_found() -> None:
    history = executions([STARTED, scheduled(0, "Reserve")], [completed(0), scheduled(1, "Pay")], [completed(5)])
    (found,) = walk(history, handle(sequence))
    assert (found.execution, found.id, found.found) == (2, 5, Decision(5, "TaskCompleted", ""))


def test_a_changed_program_is_found_in_the_execution_that_first_differs() -> None:
    def changed(context: Any) -> Generator[Any, Any, Any]:
        yield context.call_activity("Reserve")
        yield context.call_activity("CheckFraud")
        yield context.call_activity("Pay")

    (found,) = walk(play(handle(sequence), fine), handle(changed))
    assert (found.execution, found.id) == (1, 1)


def test_a_wrong_past_is_reported_once_and_not_for_every_later_execution() -> None:
    history = play(handle(sequence), fine)
    history[place_of(history, Kind.TaskScheduled)]["Name"] = "Renamed"
    assert [found.execution for found in walk(history, handle(sequence))] == [0]


@pytest.mark.parametrize(
    "history",
    [
        [],
        [STARTED],
        executions([scheduled(0, "Reserve"), STARTED]),
        [scheduled(0, "Reserve"), *executions([STARTED])[1:], *executions([completed(0)])],
        executions([STARTED, scheduled(0, "Reserve")])[:-1],
        executions([STARTED], [scheduled(0, "Reserve"), completed(0)]),
    ],
    ids=[
        "empty",
        "no OrchestratorStarted",
        "started late",
        "begins with a decision",
        "cut off",
        "a message after a decision",
    ],
)
def test_what_is_no_history_is_refused(history: list[Event]) -> None:
    with pytest.raises(MalformedHistory):
        split(history)


def test_an_action_that_the_oracle_does_not_know_is_refused() -> None:
    answer = {"isDone": False, "schemaVersion": 2, "actions": [[{"actionType": 10, "instanceId": "@counter@one"}]]}
    with pytest.raises(UnknownAction):
        walk(executions([STARTED]), lambda _: json.dumps(answer))


def sent(id_: int, request: str) -> Event:
    return event(Kind.EventSent, id_, InstanceId="@counter@one", Name="op", Input=json.dumps({"id": request}))


def calls_and_signals(context: Any) -> Generator[Any, Any, Any]:
    entity = df.EntityId("counter", "one")
    context.signal_entity(entity, "add", 1)
    value = yield context.call_entity(entity, "get", None)
    yield context.call_activity("Ship", value)


ANSWERED = event(Kind.EventRaised, Name="second", Input='{"result":"1"}')


def test_requests_to_entities_take_ids_and_only_calls_are_waited_for() -> None:
    history = executions([STARTED, sent(0, "first"), sent(1, "second")], [ANSWERED, scheduled(2, "Ship")])
    assert walk(history, handle(calls_and_signals)) == []


def test_a_step_after_a_call_that_was_not_answered_is_a_disagreement() -> None:
    early = executions([STARTED, sent(0, "first"), sent(1, "second"), scheduled(2, "Ship")])
    assert [found.id for found in walk(early, handle(calls_and_signals))] == [2]
    other = {**ANSWERED, "Name": "first"}
    late = executions([STARTED, sent(0, "first"), sent(1, "second")], [other, scheduled(2, "Ship")])
    assert [found.id for found in walk(late, handle(calls_and_signals))] == [2]


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


@pytest.mark.parametrize(
    ("program", "world", "expected", "found"),
    [
        (a_retry_caught_beside_a_retry, a_is_exhausted_while_b_fails, None, "Undo"),
        (a_winner_that_was_scheduled_before, slow_is_slow, None, "Next"),
        (a_retry_against_a_deadline, pay_fails_once, "Ship", ""),
    ],
    ids=["task_all of retries", "task_any with an old member", "retry against a deadline"],
)
def test_a_program_that_hangs_in_azure_is_named(
    program: Program, world: World, expected: str | None, found: str
) -> None:
    history = play(handle(program), world)
    first, *_ = walk(history, handle(program))
    assert first.found is not None
    assert (first.expected and first.expected.name, first.found.name) == (expected, found), str(first)


def test_the_hang_in_azure_is_an_ordinary_end_for_the_sdk() -> None:
    history = play(handle(a_retry_against_a_deadline), pay_fails_once)
    assert history[-2]["EventType"] == Kind.ExecutionCompleted
    assert json.loads(history[-2]["Result"]) is None
