"""The oracle accepts each history of a small program that the real host would have written."""

import json
from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import pytest

from tests.replay.driver import Raised, World, play
from tests.replay.oracle.history import Decision, Event, Kind, request
from tests.replay.oracle.small_programs import (
    AGREED,
    APPROVED_IN_TIME,
    STARTED,
    Program,
    after,
    completed,
    ended,
    event,
    event_or_deadline,
    executions,
    fan_out,
    fine,
    handle,
    scheduled,
    sequence,
)
from tests.replay.oracle.walk import walk


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
    (disagreement,) = walk(hurries, handle(leaves_a_timer_behind))
    assert (disagreement.execution, disagreement.expected, disagreement.found) == (
        1,
        None,
        Decision(2, "ExecutionCompleted", "Completed"),
    )


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
    assert [disagreement.expected for disagreement in walk(leaked, handle(sequence))] == [None]


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


def test_the_orchestrator_is_sent_what_is_new_and_what_is_replayed() -> None:
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
    assert [disagreement.id for disagreement in walk(early, handle(calls_and_signals))] == [2]
    other = {**ANSWERED, "Name": "first"}
    late = executions([STARTED, sent(0, "first"), sent(1, "second")], [other, scheduled(2, "Ship")])
    assert [disagreement.id for disagreement in walk(late, handle(calls_and_signals))] == [2]
