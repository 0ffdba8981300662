"""The limits of host.json hold, and what is limited holds nobody else up."""

from collections.abc import Callable
from itertools import accumulate

import pytest

from tests.devhost.support.hosts import Devhost

Hosts = Callable[..., Devhost]
TIMEOUT = "AzureFunctionsJobHost__functionTimeout"
LIMIT = "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"


def at_once(notes: list[str]) -> int:
    """How many activities slept at the same time, at most."""
    steps = [{"sleep begins": 1, "sleep ends": -1}.get(note, 0) for note in notes]
    return max(accumulate(steps))


def test_no_more_activities_run_at_once_than_host_json_allows(new_host: Hosts) -> None:
    host = new_host(settings={LIMIT: "2"}).start()
    assert host.run("many_sleepers", 8)["output"] == 8
    assert at_once(host.notes) == 2


def test_the_api_and_other_instances_go_on_while_activities_block(new_host: Hosts) -> None:
    host = new_host(settings={LIMIT: "2"}).start()
    blocked = host.begin("long_sleep", 600)
    assert host.run("chain", 1)["output"] == 8
    assert host.status(blocked)["runtimeStatus"] in {"Pending", "Running"}
    assert host.get("/api/first/literal").status == 200
    assert host.post(host.api(f"/instances/{blocked}/terminate?reason=enough")).status == 202
    assert host.finished(blocked)["output"] == "enough"


def test_what_outlives_the_function_timeout_fails_as_the_real_host_words_it(new_host: Hosts) -> None:
    host = new_host(settings={TIMEOUT: "00:00:02"}).start()
    stuck, neighbours = host.begin("long_sleep", 600), [host.begin("approval", 60) for _ in range(3)]
    assert host.get("/api/slow").status == 500
    output = host.finished(stuck)["output"]
    assert (
        "Activity function 'sleep' failed:  Timeout value of 00:00:02 was exceeded by function: Functions.sleep"
        in output
    )
    assert "Timeout value of 00:00:02 was exceeded by function: Functions.slow" in host.log
    for neighbour in neighbours:
        assert host.event(neighbour, "answer", "in time").status == 202
        assert host.finished(neighbour)["output"] == "in time"
    assert host.run("chain", 1)["output"] == 8
    assert "its worker died" not in host.log


@pytest.mark.parametrize("orchestrator", ["loops", "blocks"])
def test_an_orchestrator_that_does_not_come_to_its_next_yield_fails_alone(new_host: Hosts, orchestrator: str) -> None:
    host = new_host(settings={TIMEOUT: "00:00:02"}).start()
    neighbour, stuck = host.begin("approval", 60), host.begin(orchestrator)
    assert "The orchestrator did not come to its next yield within 2 s" in host.finished(stuck)["output"]
    assert host.event(neighbour, "answer", "in time").status == 202
    assert host.finished(neighbour)["output"] == "in time"
    assert host.run("chain", 1)["output"] == 8


def test_orchestrations_that_wait_behind_stuck_ones_are_not_blamed(new_host: Hosts) -> None:
    host = new_host(settings={TIMEOUT: "00:00:02"}).start()
    stuck = [host.begin("blocks") for _ in range(4)]
    behind = [host.begin("chain", 1) for _ in range(4)]
    assert {host.finished(instance)["runtimeStatus"] for instance in stuck} == {"Failed"}
    assert [host.finished(instance)["output"] for instance in behind] == [8] * 4
