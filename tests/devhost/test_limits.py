"""The limits of host.json hold, and what is limited holds nobody else up."""

from collections.abc import Callable
from itertools import accumulate

from tests.devhost.hosts import Devhost

Hosts = Callable[..., Devhost]
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
