"""The oracle names the place where a history is not one that the real host would have written."""

import json
from collections.abc import Generator
from copy import deepcopy
from typing import Any

import pytest

from tests.replay.driver import World, play
from tests.replay.oracle.history import (
    Decision,
    Event,
    Kind,
    MalformedHistory,
    UnknownAction,
    split,
)
from tests.replay.oracle.small_programs import (
    STARTED,
    Program,
    a_is_exhausted_while_b_fails,
    a_retry_against_a_deadline,
    a_retry_caught_beside_a_retry,
    a_winner_that_was_scheduled_before,
    completed,
    ended,
    event,
    executions,
    fails_times,
    fan_out,
    fine,
    handle,
    pay_fails_once,
    retries_by_hand,
    scheduled,
    sequence,
    slow_is_slow,
)
from tests.replay.oracle.walk import walk

# What it finds


def pays_after_two_failures() -> list[Event]:
    return deepcopy(play(handle(retries_by_hand), fails_times(2)))


def place_of(history: list[Event], kind: Kind, nth: int = 0) -> int:
    return [place for place, each in enumerate(history) if each["EventType"] == kind][nth]


def test_a_wrong_id_is_found() -> None:
    history = pays_after_two_failures()
    history[place_of(history, Kind.TimerCreated)]["EventId"] = 7
    disagreements = walk(history, handle(retries_by_hand))
    assert [(each.execution, each.id, each.expected, each.found) for each in disagreements] == [
        (1, 1, Decision(1, "TimerCreated", ""), None),
        (1, 7, None, Decision(7, "TimerCreated", "")),
    ]


def test_a_missing_timer_is_found() -> None:
    history = pays_after_two_failures()
    del history[place_of(history, Kind.TimerCreated)]
    (disagreement,) = walk(history, handle(retries_by_hand))
    assert (disagreement.execution, disagreement.expected, disagreement.found) == (
        1,
        Decision(1, "TimerCreated", ""),
        None,
    )
    assert str(disagreement) == "execution 1, id 1: the real host would have TimerCreated(1), the history has nothing"


def test_an_extra_activity_is_found() -> None:
    history = executions([STARTED, scheduled(0, "Reserve"), scheduled(1, "Pay")])
    (disagreement,) = walk(history, handle(sequence))
    assert (disagreement.execution, disagreement.expected, disagreement.found) == (
        0,
        None,
        Decision(1, "TaskScheduled", "Pay"),
    )


def test_a_wrong_name_is_found() -> None:
    history = executions([STARTED, scheduled(0, "Reserve")], [completed(0), scheduled(1, "Ship")])
    (disagreement,) = walk(history, handle(sequence))
    assert (disagreement.expected, disagreement.found) == (
        Decision(1, "TaskScheduled", "Pay"),
        Decision(1, "TaskScheduled", "Ship"),
    )


def test_a_wrong_kind_is_found() -> None:
    history = executions([STARTED, event(Kind.TimerCreated, 0, FireAt="2026-01-01T12:00:01Z")])
    (disagreement,) = walk(history, handle(sequence))
    assert (disagreement.expected, disagreement.found) == (
        Decision(0, "TaskScheduled", "Reserve"),
        Decision(0, "TimerCreated", ""),
    )


def test_decisions_out_of_order_are_found() -> None:
    history = executions([STARTED, scheduled(1, "Pack"), scheduled(0, "Pack"), scheduled(2, "Pack")])
    assert [disagreement.execution for disagreement in walk(history, handle(fan_out))] == [0, 0]


@pytest.mark.parametrize(("id_", "status"), [(3, 1), (2, 3)])
def test_a_wrong_completion_is_found(id_: int, status: int) -> None:
    history = executions(
        [STARTED, scheduled(0, "Reserve")],
        [completed(0), scheduled(1, "Pay")],
        [completed(1), ended(id_, status)],
    )
    assert {disagreement.execution for disagreement in walk(history, handle(sequence))} == {2}


def test_a_missing_completion_is_found() -> None:
    history = executions([STARTED, scheduled(0, "Reserve")], [completed(0), scheduled(1, "Pay")], [completed(1)])
    (disagreement,) = walk(history, handle(sequence))
    assert (disagreement.expected, disagreement.found) == (Decision(2, "ExecutionCompleted", "Completed"), None)


def test_an_answer_to_something_that_was_never_asked_is_found() -> None:
    history = executions([STARTED, scheduled(0, "Reserve")], [completed(0), scheduled(1, "Pay")], [completed(5)])
    (disagreement,) = walk(history, handle(sequence))
    assert (disagreement.execution, disagreement.id, disagreement.found) == (2, 5, Decision(5, "TaskCompleted", ""))


def test_a_changed_program_is_found_in_the_execution_that_first_differs() -> None:
    def changed(context: Any) -> Generator[Any, Any, Any]:
        yield context.call_activity("Reserve")
        yield context.call_activity("CheckFraud")
        yield context.call_activity("Pay")

    (disagreement,) = walk(play(handle(sequence), fine), handle(changed))
    assert (disagreement.execution, disagreement.id) == (1, 1)


def test_a_wrong_past_is_reported_once_and_not_for_every_later_execution() -> None:
    history = play(handle(sequence), fine)
    history[place_of(history, Kind.TaskScheduled)]["Name"] = "Renamed"
    assert [disagreement.execution for disagreement in walk(history, handle(sequence))] == [0]


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


@pytest.mark.parametrize(
    ("program", "world", "expected", "recorded"),
    [
        (a_retry_caught_beside_a_retry, a_is_exhausted_while_b_fails, None, "Undo"),
        (a_winner_that_was_scheduled_before, slow_is_slow, None, "Next"),
        (a_retry_against_a_deadline, pay_fails_once, "Ship", ""),
    ],
    ids=["task_all of retries", "task_any with an old member", "retry against a deadline"],
)
def test_a_program_that_hangs_in_azure_is_named(
    program: Program, world: World, expected: str | None, recorded: str
) -> None:
    history = play(handle(program), world)
    first, *_ = walk(history, handle(program))
    assert first.found is not None
    assert (first.expected and first.expected.name, first.found.name) == (expected, recorded), str(first)


def test_the_hang_in_azure_is_an_ordinary_end_for_the_sdk() -> None:
    history = play(handle(a_retry_against_a_deadline), pay_fails_once)
    assert history[-2]["EventType"] == Kind.ExecutionCompleted
    assert json.loads(history[-2]["Result"]) is None
