"""Executions that stay warm between their turns come to the same as replays from the start."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.devhost.support.hosts import Devhost, until

Hosts = Callable[..., Devhost]

# Features whose turns have something to keep: retries, timers, children, compounds, generations.
FEATURES: dict[str, Any] = {
    "chain": 2,
    "fan_out": 8,
    "clock": None,
    "retrying": {"key": "warm", "times": 2},
    "caught": None,
    "uncaught": None,
    "raises": None,
    "retrying_parent": None,
    "counting": 1,
}


@pytest.fixture(scope="module")
def replaying(azurite: Any, ports: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A devhost that keeps nothing warm."""
    folder = tmp_path_factory.mktemp("replaying")
    host = Devhost(azurite.connection_string, ports(), folder, arguments=("--full-replays",))
    try:
        yield host.start()
    finally:
        host.kill()


def shape(host: Devhost, instance: str) -> list[tuple[Any, ...]]:
    """What a history decides: the events, their ids and what they refer to."""
    columns = ("EventId", "TaskScheduledId", "TimerId", "Name", "Result")
    kinds = ("Task", "Timer", "Sub")
    events = [row for row in host.rows("History", instance) if row.get("EventType", "").startswith(kinds)]
    return sorted((row["EventType"], *(str(row.get(name)) for name in columns)) for row in events)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_warm_execution_leaves_the_history_of_a_replayed_one(host: Devhost, replaying: Devhost, feature: str) -> None:
    value = FEATURES[feature]
    warm, cold = (each.run(feature, value, f"alike-{feature}") for each in (host, replaying))
    assert (warm["runtimeStatus"], warm["output"]) == (cold["runtimeStatus"], cold["output"])
    assert shape(host, f"alike-{feature}") == shape(replaying, f"alike-{feature}")


def test_events_that_came_together_share_turns(host: Devhost) -> None:
    """Twenty ends at about the same time, and fewer turns than ends."""
    instance = host.begin("fan_out", 20)
    assert host.finished(instance)["output"][0] == 380
    events = host.events(instance)
    assert events.count("TaskCompleted") == 21
    assert events.count("OrchestratorStarted") < 21


def test_events_that_come_too_early_for_a_generation_are_not_given_to_the_next_one_twice(host: Devhost) -> None:
    instance = host.begin("greedy")
    for number in range(3):
        before = host.status(instance)["input"]
        assert host.event(instance, "more", number).status == 202
        if number < 2:
            until(partial(has_another_input, host, instance, before))
    assert host.finished(instance)["output"] == [0, 1, 2]


def has_another_input(host: Devhost, instance: str, before: Any) -> bool:
    return bool(host.status(instance)["input"] != before)


def test_what_was_warm_in_a_worker_that_died_is_replayed(host: Devhost) -> None:
    instance = host.begin("steps_and_events")
    until(lambda: "TaskCompleted" in host.events(instance))
    assert host.finished(host.begin_over_http("leaving_orchestrator"))["runtimeStatus"] == "Failed"
    assert host.event(instance, "go", "on").status == 202
    assert host.finished(instance)["output"] == [2, "on", 8]
