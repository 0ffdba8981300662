"""A crash at every write of an orchestration and of the entity that it uses: nothing is lost, nothing applied twice.

As in test_crash_points.py, each crash point has an instance of its own, and here an entity of its own.
"""

from typing import Any

import pytest

from tests.devhost.support.crash_points import ProxiedDevhost, crash_at
from tests.devhost.support.entity_calls import blobs_of, state
from tests.devhost.support.hosts import APPS, Devhost, until
from tests.devhost.support.provider_oracle import faults_after
from tests.support.storage_proxy import Fault

APP = APPS / "entities"
OUTPUT, STATE = 122, 1222
CERTAIN = 8


@pytest.mark.parametrize("fault", ["hold", "hold_answer"])
def test_a_crash_at_any_write_loses_no_operation_and_applies_none_twice(proxied: ProxiedDevhost, fault: Fault) -> None:
    assert proxied.host.run("crossing", 1, "undisturbed")["output"] == OUTPUT
    until(lambda: state(proxied.host, "account", "undisturbed") == STATE)
    names = {f"at-{number:02}": number for number in range(1, len(proxied.writes("undisturbed")) + 1)}
    caught = crash_at(proxied, fault, names, "crossing", 1)
    assert caught >= {name for name, number in names.items() if number <= CERTAIN}
    proxied.host.start()
    for name in names:
        if proxied.host.status(name) is None:
            assert name == "at-01"
            proxied.host.begin("crossing", 1, name)
        ended = proxied.host.finished(name)
        assert (ended["runtimeStatus"], ended["output"]) == ("Completed", OUTPUT), f"{name}: {proxied.host.log}"
    until(lambda: states(proxied.host, names) == [STATE] * len(names), 20, lambda: str(states(proxied.host, names)))
    proxied.host.kill()
    proxied.host.start()
    assert states(proxied.host, names) == [STATE] * len(names)
    assert faults_after(proxied.host) == []


def states(host: Devhost, keys: dict[str, int]) -> list[Any]:
    return [state(host, "account", key) for key in keys]


def test_a_large_state_whose_row_a_crash_left_behind_is_listed_and_leaves_one_blob(proxied: ProxiedDevhost) -> None:
    large = ["bag", "big", "fill"]
    proxied.host.run("calls", [[*large, 40_000]])
    with proxied.tables.failing(r"^(MERGE|PATCH|PUT|POST) [^\n]*Instances\(PartitionKey='%40bag%40big'", "hold") as row:
        caller = proxied.host.begin("calls", [[*large, 50_000]])
        until(row.seen.is_set)
        proxied.host.kill()
    proxied.host.start()
    assert proxied.host.finished(caller)["output"] == ["y" * 50_000]
    (listed,) = proxied.host.get(proxied.host.api("/entities/bag?fetchState=true")).json()
    assert listed["state"] == "x" * 50_000
    signal = proxied.host.post(proxied.host.api("/entities/bag/big?op=fill"), "35000")
    assert signal.status == 202
    until(lambda: proxied.host.get(proxied.host.api("/entities/bag/big")).json() == "x" * 35_000)
    until(lambda: blobs_of(proxied.host, "@bag@big") == 1)
