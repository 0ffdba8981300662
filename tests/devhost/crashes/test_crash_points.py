"""A crash at every write: devhost dies by SIGKILL just before, and just after, each write of an orchestration is done.

Each crash point has an instance of its own, which stands still at its n-th write; when all of them stand, one kill
crashes them all. Rejected: a devhost for each point, which proves the same and takes a minute of process starts.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.devhost.support.crash_points import WRITES, Stage, has_ended, stands
from tests.devhost.support.hosts import Devhost, until
from tests.devhost.support.provider_oracle import faults_after
from tests.support.servers import Azurite, FreePorts
from tests.support.storage_proxy import Fault, Rule, StorageProxy

OUTPUT = ["one", "two", "three", "four", "five", "six"]


@pytest.fixture
def stage(azurite: Azurite, ports: FreePorts, tmp_path: Path) -> Iterator[Stage]:
    answered: list[str] = []
    with StorageProxy(ports(), azurite.table.rsplit("/", 1)[0], answered) as tables:
        storage = azurite.connection_string.replace(azurite.table.rsplit("/", 1)[0], tables.address)
        host = Devhost(storage, ports(), tmp_path)
        try:
            yield Stage(host.start(), tables, answered)
        finally:
            host.kill()


@pytest.mark.parametrize("fault", ["hold", "hold_answer"])
def test_a_crash_at_any_write_changes_no_result_and_runs_nothing_too_early(stage: Stage, fault: Fault) -> None:
    assert stage.host.run("marking", [], "undisturbed")["output"] == OUTPUT
    assert stage.runs("undisturbed") == {step: 2 if step == "three" else 1 for step in OUTPUT}
    writes = stage.writes("undisturbed")
    crash_points = {f"at-{number:02}": number for number in range(1, len(writes) + 1)}
    # How many late writes of the Instances row join is a matter of speed; each turn is written for certain.
    certain = sum("$batch" in text.splitlines()[0] for text in writes)
    caught = crash_at(stage, fault, crash_points)
    assert caught >= {name for name, number in crash_points.items() if number <= certain}
    early = {name: stage.runs(name) for name in crash_points if stage.runs(name).total() > stage.scheduled(name)}
    assert not early, "activities ran whose schedule was not acknowledged"
    stage.host.start()
    for name in crash_points:
        assert_ends_as_undisturbed(stage, name)
    assert faults_after(stage.host) == []


def crash_at(stage: Stage, fault: Fault, crash_points: dict[str, int]) -> set[str]:
    """Start an instance for each point, and kill devhost when each stands at its write or has ended; who stands."""
    with ThreadPoolExecutor(len(crash_points)) as starters, ExitStack() as faults:
        rules: dict[str, Rule] = {}
        for name, number in crash_points.items():
            one = stage.tables.failing(WRITES + name, fault, times=1, spared=number - 1)
            rules[name] = faults.enter_context(one)
            starters.submit(begin_or_be_cut_off, stage.host, name)
        for name, rule in rules.items():
            until(lambda name=name, rule=rule: stands(rule) or has_ended(stage.host, name))  # type: ignore[misc]
        stage.host.kill()
        return {name for name, rule in rules.items() if stands(rule)}


def begin_or_be_cut_off(host: Devhost, instance: str) -> None:
    with suppress(OSError):
        host.begin("marking", [], instance)


def assert_ends_as_undisturbed(stage: Stage, instance: str) -> None:
    """Started again only if its very first write, the one that its client waits for, was lost."""
    if stage.host.status(instance) is None:
        assert instance == "at-01"
        stage.host.begin("marking", [], instance)
    ended = stage.host.finished(instance)
    assert (ended["runtimeStatus"], ended["output"]) == ("Completed", OUTPUT), f"{instance}: {stage.host.log}"
    runs = stage.runs(instance)
    assert set(runs) == set(OUTPUT)
    assert all(count <= (3 if step == "three" else 2) for step, count in runs.items()), (instance, runs)


@pytest.mark.parametrize(("fault", "draws"), [("hold", 2), ("hold_answer", 1)])
def test_a_result_whose_repetition_is_another_one_is_known_only_as_it_is_stored(
    stage: Stage, fault: Fault, draws: int
) -> None:
    """Devhost knows a result and dies before it is written: the activity runs again, and its first answer never was."""
    with stage.tables.failing(WRITES + '"PartitionKey":"draw".*"EventType":"TaskCompleted"', fault, times=1) as rule:
        stage.host.begin("drawing", None, "draw")
        until(lambda: stands(rule))
        stage.host.kill()
    assert len(noted(stage, "drew")) == 1
    assert noted(stage, "used") == []
    stage.host.start()
    output = stage.host.finished("draw")["output"]
    drawn, used = noted(stage, "drew"), noted(stage, "used")
    stored = [row["Result"] for row in stage.host.rows("History", "draw") if row.get("EventType") == "TaskCompleted"]
    assert len(set(drawn)) == len(drawn) == draws
    assert output == used + drawn[-1:] == [drawn[-1]] * 3
    assert stored == [f'"{drawn[-1]}"'] * 3


def noted(stage: Stage, verb: str) -> list[str]:
    """What an activity said of the instance `draw`, in order."""
    return [line.split()[2] for line in stage.host.notes if line.startswith(f"{verb} draw ")]


def test_a_crash_between_the_end_and_its_row_loses_nothing_that_the_row_shows(stage: Stage) -> None:
    row_of_the_end = WRITES + 'Instances.*"RuntimeStatus":"Completed"'
    with stage.tables.failing(row_of_the_end, "hold", times=1) as rule:
        instance = stage.host.begin("approval", 0.1)
        until(lambda: stands(rule))
        stage.host.kill()
    assert stage.host.events(instance)[-2:] == ["ExecutionCompleted", "OrchestratorCompleted"]
    stage.host.start()
    ended = stage.host.finished(instance)
    assert (ended["output"], ended["customStatus"]) == ("timed out", {"waited": True})


def test_a_large_output_reaches_its_row_after_a_crash_before_it(stage: Stage) -> None:
    given = {"size": 40_000, "padding": ""}
    with stage.tables.failing(WRITES + 'Instances.*"RuntimeStatus":"Completed"', "hold", times=1) as rule:
        instance = stage.host.begin("large_texts", given)
        until(lambda: stands(rule))
        stage.host.kill()
    stage.host.start()
    assert stage.host.finished(instance)["output"] == [0, "x" * 40_000, 40_000]
    (row,) = stage.host.rows("Instances", instance)
    assert row["Output"].startswith("http://")


def test_a_child_with_a_large_input_goes_on_after_a_crash_before_its_row(stage: Stage) -> None:
    with stage.tables.failing(WRITES + "Instances.*large-child", "hold", times=1) as rule:
        instance = stage.host.begin("calls_large_child", 40_000, "large")
        until(lambda: stands(rule))
        stage.host.kill()
    stage.host.start()
    assert stage.host.finished(instance)["output"] == 40_000
