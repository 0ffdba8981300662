"""A crash at every write: devhost dies by SIGKILL just before, and just after, each write of an orchestration is done.

Each crash point has an instance of its own, which stands still at its n-th write; when all of them stand, one kill
crashes them all. Rejected: a devhost for each point, which proves the same and takes a minute of process starts.
"""

import pytest

from tests.devhost.support.crash_points import WRITES, ProxiedDevhost, crash_at, stands
from tests.devhost.support.hosts import until
from tests.devhost.support.provider_oracle import faults_after
from tests.support.storage_proxy import Fault

OUTPUT = ["one", "two", "three", "four", "five", "six"]


@pytest.mark.parametrize("fault", ["hold", "hold_answer"])
def test_a_crash_at_any_write_changes_no_result_and_runs_nothing_too_early(
    proxied: ProxiedDevhost, fault: Fault
) -> None:
    assert proxied.host.run("marking", [], "undisturbed")["output"] == OUTPUT
    assert proxied.runs("undisturbed") == {step: 2 if step == "three" else 1 for step in OUTPUT}
    writes = proxied.writes("undisturbed")
    crash_points = {f"at-{number:02}": number for number in range(1, len(writes) + 1)}
    # How many late writes of the Instances row join is a matter of speed; each turn is written for certain.
    certain = sum("$batch" in text.splitlines()[0] for text in writes)
    caught = crash_at(proxied, fault, crash_points, "marking", [])
    assert caught >= {name for name, number in crash_points.items() if number <= certain}
    early = {name: proxied.runs(name) for name in crash_points if proxied.runs(name).total() > proxied.scheduled(name)}
    assert not early, "activities ran whose schedule was not acknowledged"
    proxied.host.start()
    for name in crash_points:
        assert_ends_as_undisturbed(proxied, name)
    assert faults_after(proxied.host) == []


def assert_ends_as_undisturbed(proxied: ProxiedDevhost, instance: str) -> None:
    """Started again only if its very first write, the one that its client waits for, was lost."""
    if proxied.host.status(instance) is None:
        assert instance == "at-01"
        proxied.host.begin("marking", [], instance)
    ended = proxied.host.finished(instance)
    assert (ended["runtimeStatus"], ended["output"]) == ("Completed", OUTPUT), f"{instance}: {proxied.host.log}"
    runs = proxied.runs(instance)
    assert set(runs) == set(OUTPUT)
    assert all(count <= (3 if step == "three" else 2) for step, count in runs.items()), (instance, runs)


@pytest.mark.parametrize(("fault", "draws"), [("hold", 2), ("hold_answer", 1)])
def test_a_result_whose_repetition_is_another_one_is_known_only_as_it_is_stored(
    proxied: ProxiedDevhost, fault: Fault, draws: int
) -> None:
    """Devhost knows a result and dies before it is written: the activity runs again, and its first answer never was."""
    with proxied.tables.failing(WRITES + '"PartitionKey":"draw".*"EventType":"TaskCompleted"', fault, times=1) as rule:
        proxied.host.begin("drawing", None, "draw")
        until(lambda: stands(rule))
        proxied.host.kill()
    assert len(noted(proxied, "drew")) == 1
    assert noted(proxied, "used") == []
    proxied.host.start()
    output = proxied.host.finished("draw")["output"]
    drawn, used = noted(proxied, "drew"), noted(proxied, "used")
    stored = [row["Result"] for row in proxied.host.rows("History", "draw") if row.get("EventType") == "TaskCompleted"]
    assert len(set(drawn)) == len(drawn) == draws
    assert output == used + drawn[-1:] == [drawn[-1]] * 3
    assert stored == [f'"{drawn[-1]}"'] * 3


def noted(proxied: ProxiedDevhost, verb: str) -> list[str]:
    """What an activity noted of the instance `draw`, in order."""
    return [line.split()[2] for line in proxied.host.notes if line.startswith(f"{verb} draw ")]


def test_a_crash_between_the_end_and_its_row_loses_nothing_that_the_row_shows(proxied: ProxiedDevhost) -> None:
    row_of_the_end = WRITES + 'Instances.*"RuntimeStatus":"Completed"'
    with proxied.tables.failing(row_of_the_end, "hold", times=1) as rule:
        instance = proxied.host.begin("approval", 0.1)
        until(lambda: stands(rule))
        proxied.host.kill()
    assert proxied.host.events(instance)[-2:] == ["ExecutionCompleted", "OrchestratorCompleted"]
    proxied.host.start()
    ended = proxied.host.finished(instance)
    assert (ended["output"], ended["customStatus"]) == ("timed out", {"waited": True})


def test_a_large_output_reaches_its_row_after_a_crash_before_it(proxied: ProxiedDevhost) -> None:
    sizes = {"size": 40_000, "padding": ""}
    with proxied.tables.failing(WRITES + 'Instances.*"RuntimeStatus":"Completed"', "hold", times=1) as rule:
        instance = proxied.host.begin("large_texts", sizes)
        until(lambda: stands(rule))
        proxied.host.kill()
    proxied.host.start()
    assert proxied.host.finished(instance)["output"] == [0, "x" * 40_000, 40_000]
    (row,) = proxied.host.rows("Instances", instance)
    assert row["Output"].startswith("http://")


def test_a_child_with_a_large_input_goes_on_after_a_crash_before_its_row(proxied: ProxiedDevhost) -> None:
    with proxied.tables.failing(WRITES + "Instances.*large-child", "hold", times=1) as rule:
        instance = proxied.host.begin("calls_large_child", 40_000, "large")
        until(lambda: stands(rule))
        proxied.host.kill()
    proxied.host.start()
    assert proxied.host.finished(instance)["output"] == 40_000
