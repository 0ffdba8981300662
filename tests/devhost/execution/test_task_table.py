"""The pure rules of a turn: numbering, retries, determinism, and the same task table rebuilt from a history."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devhost.execution.actions import ACTIVITY, TIMER, OrchestrationFault, Task
from devhost.execution.task_table import TaskTable, rebuild
from devhost.history.events import Event

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def activity(name: str, retries: int = 0) -> dict[str, Any]:
    options = {"firstRetryIntervalInMilliseconds": 500, "maxNumberOfAttempts": retries}
    if not retries:
        return {"actionType": 0, "functionName": name, "input": "1"}
    return {"actionType": 12, "compoundActions": [{**activity(name), "actionType": 1, "retryOptions": options}]}


def timer(cancelled: bool = False) -> dict[str, Any]:
    return {"actionType": 5, "fireAt": "2026-01-01T12:00:01.000000Z", "isCanceled": cancelled}


def wait(name: str) -> dict[str, Any]:
    return {"actionType": 6, "externalEventName": name, "reason": "ExternalEvent"}


def any_of(*actions: dict[str, Any]) -> dict[str, Any]:
    return {"actionType": 11, "compoundActions": list(actions)}


def ended(task_id: int, kind: str = "TaskCompleted") -> Event:
    column = "TimerId" if kind == "TimerFired" else "TaskScheduledId"
    return Event(kind, NOON, fields={column: task_id})


def shapes(tasks: list[Task]) -> list[tuple[int, str, str]]:
    return [(task.id, task.kind, task.name) for task in tasks]


def test_activities_and_timers_take_numbers_and_waits_take_none() -> None:
    table = TaskTable()
    tasks = table.accept([any_of(wait("go"), timer()), activity("a"), any_of(activity("b"), wait("stop"))])
    assert shapes(tasks) == [(0, TIMER, ""), (1, ACTIVITY, "a"), (2, ACTIVITY, "b")]
    assert table.next_id == 3


def test_only_the_new_tail_is_numbered() -> None:
    table = TaskTable()
    table.accept([activity("a")])
    assert table.accept([activity("a")]) == []
    assert shapes(table.accept([activity("a"), activity("b")])) == [(1, ACTIVITY, "b")]


def test_a_retry_takes_its_numbers_before_the_new_actions() -> None:
    table = TaskTable()
    first = [activity("a", retries=2), wait("go")]
    assert shapes(table.accept(first)) == [(0, ACTIVITY, "a")]
    (pause,) = table.observe(ended(0, "TaskFailed"), NOON)
    assert (pause.id, pause.kind, pause.fire_at) == (1, TIMER, NOON + timedelta(milliseconds=500))
    assert shapes(table.accept([*first, activity("b")])) == [(2, ACTIVITY, "b")]
    (again,) = table.observe(ended(1, "TimerFired"), NOON)
    assert (again.id, again.name, again.input) == (3, "a", "1")


def test_after_the_last_attempt_there_is_a_timer_without_a_pause_and_then_nothing() -> None:
    table = TaskTable()
    table.accept([activity("a", retries=1)])
    (pause,) = table.observe(ended(0, "TaskFailed"), NOON)
    assert pause.fire_at == NOON
    assert table.observe(ended(1, "TimerFired"), NOON) == []
    assert not table.blocking


def test_a_cancelled_timer_blocks_nothing_and_stays_open() -> None:
    table = TaskTable()
    table.accept([any_of(wait("go"), timer())])
    assert table.blocking
    table.accept([any_of(wait("go"), timer(cancelled=True))])
    assert not table.blocking
    assert list(table.open) == [0]


def test_an_end_of_an_unknown_task_changes_nothing() -> None:
    table = TaskTable()
    table.accept([activity("a")])
    assert table.observe(ended(7), NOON) == []
    assert table.blocking


@pytest.mark.parametrize(
    ("later", "now"),
    [([activity("b")], "activity 'b'"), ([timer()], "timer"), ([], "nothing"), ([activity("B")], "activity 'b'")],
)
def test_a_list_that_changes_is_refused(later: list[dict[str, Any]], now: str) -> None:
    table = TaskTable()
    table.accept([activity("a")])
    with pytest.raises(OrchestrationFault, match=f"step 1 was activity 'a' when it was first run, and is {now} now"):
        table.accept(later)


def test_names_compare_without_case() -> None:
    table = TaskTable()
    table.accept([activity("Reserve")])
    assert table.accept([activity("reserve")]) == []


@pytest.mark.parametrize("action_type", [10, 99])
def test_an_action_that_cannot_be_carried_out_is_refused(action_type: int) -> None:
    with pytest.raises(OrchestrationFault, match=f"unknown type {action_type}"):
        TaskTable().accept([{"actionType": action_type}])


def history_of_a_retry() -> list[Event]:
    """An activity with retry fails once, is called again, and another activity was yielded meanwhile."""
    return [
        Event("OrchestratorStarted", NOON),
        Event("ExecutionStarted", NOON),
        Event("TaskScheduled", NOON, 0, fields={"Name": "a"}),
        Event("OrchestratorCompleted", NOON),
        Event("OrchestratorStarted", NOON + timedelta(seconds=1)),
        ended(0, "TaskFailed"),
        Event("TimerCreated", NOON, 1, fields={}),
        Event("OrchestratorCompleted", NOON),
        Event("OrchestratorStarted", NOON),
        Event("EventRaised", NOON, fields={"Name": "go"}),
        Event("TaskScheduled", NOON, 2, fields={"Name": "b"}),
        Event("OrchestratorCompleted", NOON),
    ]


ACTIONS = [any_of(activity("a", retries=3), wait("go")), activity("b")]


def test_a_rebuilt_task_table_knows_what_is_open_and_how_often_it_was_tried() -> None:
    table = rebuild(history_of_a_retry(), ACTIONS)
    assert sorted(table.open) == [1, 2]
    assert table.open[1].fire_at == NOON + timedelta(seconds=1, milliseconds=500)
    retry = table.open[1].retry
    assert retry is not None
    assert (retry.attempts, retry.max_attempts) == (1, 3)
    assert (table.next_id, table.undecided(ACTIONS)) == (3, False)


def test_a_rebuilt_task_table_sees_what_was_yielded_but_not_stored() -> None:
    table = rebuild(history_of_a_retry(), [*ACTIONS, activity("c")])
    assert table.undecided([*ACTIONS, activity("c")])
    assert not table.undecided([*ACTIONS, wait("later")])
    assert shapes(table.accept([*ACTIONS, activity("c")])) == [(3, ACTIVITY, "c")]


@pytest.mark.parametrize("actions", [[], [activity("x"), wait("go"), activity("b")], [timer()]])
def test_a_history_that_the_code_no_longer_fits_is_refused(actions: list[dict[str, Any]]) -> None:
    with pytest.raises(OrchestrationFault, match="Non-Deterministic workflow detected"):
        rebuild(history_of_a_retry(), actions)
