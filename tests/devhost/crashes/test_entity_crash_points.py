"""A crash at every write of an orchestration and of the entity that it uses: nothing is lost, nothing applied twice.

As in test_crash_points.py, each crash point has an instance of its own, and here an entity of its own.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.devhost.support.crash_points import WRITES, Stage, has_ended, stands
from tests.devhost.support.entity_calls import blobs_of
from tests.devhost.support.hosts import APPS, Devhost, until
from tests.devhost.support.provider_oracle import faults_after
from tests.support.servers import Azurite, FreePorts
from tests.support.storage_proxy import Fault, Rule, StorageProxy

APP = APPS / "entities"
OUTPUT, STATE = 122, 1222
CERTAIN = 8


@pytest.fixture
def stage(azurite: Azurite, ports: FreePorts, tmp_path: Path) -> Iterator[Stage]:
    answered: list[str] = []
    address = azurite.table.rsplit("/", 1)[0]
    with StorageProxy(ports(), address, answered) as tables:
        host = Devhost(azurite.connection_string.replace(address, tables.address), ports(), tmp_path, app=APP)
        try:
            yield Stage(host.start(), tables, answered)
        finally:
            host.kill()


@pytest.mark.parametrize("fault", ["hold", "hold_answer"])
def test_a_crash_at_any_write_loses_no_operation_and_applies_none_twice(stage: Stage, fault: Fault) -> None:
    assert stage.host.run("crossing", 1, "undisturbed")["output"] == OUTPUT
    until(lambda: state(stage.host, "undisturbed") == STATE)
    names = {f"at-{number:02}": number for number in range(1, len(stage.writes("undisturbed")) + 1)}
    caught = crash_at(stage, fault, names)
    assert caught >= {name for name, number in names.items() if number <= CERTAIN}
    stage.host.start()
    for name in names:
        if stage.host.status(name) is None:
            assert name == "at-01"
            stage.host.begin("crossing", 1, name)
        ended = stage.host.finished(name)
        assert (ended["runtimeStatus"], ended["output"]) == ("Completed", OUTPUT), f"{name}: {stage.host.log}"
    until(lambda: states(stage.host, names) == [STATE] * len(names), 20, lambda: str(states(stage.host, names)))
    stage.host.kill()
    stage.host.start()
    assert states(stage.host, names) == [STATE] * len(names)
    assert faults_after(stage.host) == []


def crash_at(stage: Stage, fault: Fault, points: dict[str, int]) -> set[str]:
    """Start an instance for each point, and kill devhost when each stands at its write or has ended; who stands."""
    with ThreadPoolExecutor(len(points)) as starters, ExitStack() as faults:
        rules: dict[str, Rule] = {}
        for name, number in points.items():
            rules[name] = faults.enter_context(stage.tables.failing(WRITES + name, fault, 1, number - 1))
            starters.submit(begin_or_be_cut_off, stage.host, name)
        for name, rule in rules.items():
            until(lambda name=name, rule=rule: stands(rule) or has_ended(stage.host, name))  # type: ignore[misc]
        stage.host.kill()
        return {name for name, rule in rules.items() if stands(rule)}


def begin_or_be_cut_off(host: Devhost, instance: str) -> None:
    with suppress(OSError):
        host.begin("crossing", 1, instance)


def state(host: Devhost, key: str) -> Any:
    reply = host.get(host.api(f"/entities/account/{key}"))
    return reply.json if reply.body else None


def states(host: Devhost, keys: dict[str, int]) -> list[Any]:
    return [state(host, key) for key in keys]


def test_a_large_state_whose_row_a_crash_left_behind_is_listed_and_leaves_one_blob(stage: Stage) -> None:
    large = ["bag", "big", "fill"]
    stage.host.run("calls", [[*large, 40_000]])
    with stage.tables.failing(r"^(MERGE|PATCH|PUT|POST) [^\n]*Instances\(PartitionKey='%40bag%40big'", "hold") as row:
        caller = stage.host.begin("calls", [[*large, 50_000]])
        until(row.seen.is_set)
        stage.host.kill()
    stage.host.start()
    assert stage.host.finished(caller)["output"] == ["y" * 50_000]
    (listed,) = stage.host.get(stage.host.api("/entities/bag?fetchState=true")).json
    assert listed["state"] == "x" * 50_000
    signal = stage.host.post(stage.host.api("/entities/bag/big?op=fill"), "35000")
    assert signal.status == 202
    until(lambda: stage.host.get(stage.host.api("/entities/bag/big")).json == "x" * 35_000)
    until(lambda: blobs_of(stage.host, "@bag@big") == 1)
