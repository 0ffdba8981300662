"""What operators do to an instance over the HTTP API: suspend, resume, rewind, restart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.devhost.support.hosts import Devhost, until

Hosts = Callable[..., Devhost]


def ask(host: Devhost, instance: str, verb: str, reason: str = "") -> int:
    return host.post(host.api(f"/instances/{instance}/{verb}?reason={reason}")).status


def status_of(host: Devhost, instance: str) -> str:
    return str(host.status(instance)["runtimeStatus"])


def waiting(host: Devhost) -> str:
    """An instance whose first step is done, and which waits for an event."""
    instance = host.begin("steps_and_events")
    until(lambda: "TaskCompleted" in host.events(instance))
    return instance


def test_a_suspended_instance_keeps_what_comes_and_decides_nothing_until_it_is_resumed(host: Devhost) -> None:
    instance = waiting(host)
    assert ask(host, instance, "suspend", "a%20look") == 202
    assert host.status(instance)["runtimeStatus"] == "Suspended"
    (row,) = host.rows("Instances", instance)
    assert (row["RuntimeStatus"], row["Output"]) == ("Suspended", "a look")
    assert host.event(instance, "go", "on").status == 202
    until(lambda: "EventRaised" in host.events(instance))
    assert host.events(instance).count("TaskScheduled") == 1
    assert ask(host, instance, "resume", "looked") == 202
    assert host.finished(instance)["output"] == [2, "on", 8]
    assert [name for name in host.events(instance) if name.startswith("Execution")] == [
        "ExecutionStarted",
        "ExecutionSuspended",
        "ExecutionResumed",
        "ExecutionCompleted",
    ]


def test_an_activity_that_ends_while_its_instance_is_suspended_counts_after_it(host: Devhost, tmp_path: Path) -> None:
    instance = host.begin("long_sleep", str(tmp_path / "gate"))
    until(lambda: "TaskScheduled" in host.events(instance))
    assert ask(host, instance, "suspend") == 202
    (tmp_path / "gate").touch()
    until(lambda: "TaskCompleted" in host.events(instance))
    assert status_of(host, instance) == "Suspended"
    assert ask(host, instance, "resume") == 202
    assert host.finished(instance)["output"] == "slept"


def test_a_retry_waits_until_its_suspended_instance_goes_on(host: Devhost, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    instance = host.begin("retrying", {"key": "suspended-retry", "times": 1, "gate": str(gate)})
    until(lambda: "fail_times suspended-retry" in host.notes)
    assert ask(host, instance, "suspend") == 202
    gate.touch()
    until(lambda: f"Activity 'fail_times' (instance {instance}) raised" in host.log)
    assert status_of(host, instance) == "Suspended"
    assert "TimerCreated" not in host.events(instance)
    assert ask(host, instance, "resume") == 202
    assert host.finished(instance)["output"] == [2, 4]


def test_a_suspended_instance_can_be_terminated(host: Devhost) -> None:
    instance = waiting(host)
    assert ask(host, instance, "suspend") == 202
    assert ask(host, instance, "terminate", "enough") == 202
    assert host.finished(instance)["output"] == "enough"


def test_a_suspension_and_what_it_holds_survive_a_kill(new_host: Hosts) -> None:
    host = new_host().start()
    instance = waiting(host)
    assert ask(host, instance, "suspend") == 202
    assert host.event(instance, "go", "on").status == 202
    host.kill()
    host.start()
    until(lambda: host.status(instance)["runtimeStatus"] == "Suspended")
    assert host.events(instance).count("TaskScheduled") == 1
    assert ask(host, instance, "suspend") == 500
    assert ask(host, instance, "resume") == 202
    assert host.finished(instance)["output"] == [2, "on", 8]


def test_what_cannot_be_suspended_or_resumed_says_so(host: Devhost) -> None:
    instance = waiting(host)
    assert ask(host, instance, "resume") == 500
    assert ask(host, instance, "suspend") == 202
    response = host.post(host.api(f"/instances/{instance}/suspend"))
    assert response.status == 500
    assert response.json()["ExceptionMessage"].startswith("Cannot suspend the orchestration instance")
    assert ask(host, instance, "terminate") == 202
    host.finished(instance)
    for verb in ("suspend", "resume"):
        assert ask(host, instance, verb) == 410
        assert ask(host, "nobody", verb) == 404


def test_a_rewound_instance_runs_its_failed_step_again_under_the_same_id(host: Devhost) -> None:
    instance = host.begin("fragile", {"key": "rewound", "times": 1})
    assert host.finished(instance)["runtimeStatus"] == "Failed"
    assert ask(host, instance, "rewind", "mended") == 202
    until(lambda: status_of(host, instance) == "Completed")
    assert host.status(instance)["output"] == [2, 2]
    rows = [row for row in host.rows("History", instance) if row["RowKey"] != "sentinel"]
    assert [row["Reason"] for row in rows if row.get("Reason")] == [
        "Rewound: TaskScheduled",
        "Rewound: TaskFailed",
        "Rewound: ExecutionCompleted",
    ]
    assert [row["EventId"] for row in rows if row["EventType"] == "TaskScheduled"] == [0, 1]
    assert host.notes.count("fail_times rewound") == 2


def test_a_rewound_parent_rewinds_its_failed_child(new_host: Hosts) -> None:
    host = new_host().start()
    host.begin("fragile_parent", {"key": "child", "times": 1}, "family")
    assert host.finished("family")["runtimeStatus"] == "Failed"
    host.kill()
    host.start()
    assert ask(host, "family", "rewind", "mended") == 202
    until(lambda: status_of(host, "family") == "Completed")
    assert host.status("family")["output"] == [2, 2]
    assert host.status("family-child")["runtimeStatus"] == "Completed"


def test_only_a_failed_instance_can_be_rewound(host: Devhost) -> None:
    instance = waiting(host)
    response = host.post(host.api(f"/instances/{instance}/rewind?reason=why"))
    assert response.status == 500
    assert "only supported on failed orchestration instances" in response.json()["ExceptionMessage"]
    assert ask(host, instance, "terminate") == 202
    host.finished(instance)
    assert ask(host, instance, "rewind") == 410
    assert ask(host, "nobody", "rewind") == 404


@pytest.mark.parametrize("same", [True, False])
def test_a_restarted_instance_runs_again_with_its_input(host: Devhost, same: bool) -> None:
    instance = host.begin("chain", 3)
    assert host.finished(instance)["output"] == 24
    query = f"?restartWithNewInstanceId={str(not same).lower()}"
    response = host.post(host.api(f"/instances/{instance}/restart{query}"))
    assert response.status == 202, response.text
    again = response.json()["id"]
    assert (again == instance) is same
    assert host.finished(again)["output"] == 24
    assert [row["Generation"] for row in host.rows("Instances", again)] == [1 if same else 0]


def test_what_is_not_there_cannot_be_restarted(host: Devhost) -> None:
    response = host.post(host.api("/instances/nobody/restart"))
    assert response.status == 400
    assert response.json()["Message"] == "InstanceId does not match a valid orchestration instance."
