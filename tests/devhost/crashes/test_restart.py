"""What survives: kill -9 at many points, a clean stop, a storage that goes away. And what refuses to start."""

import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from devtools.processes.ports import PORTS_IN_A_ROW, Ports, answers
from tests.devhost.support.hosts import Devhost, until, workers_in
from tests.support.installed import installed_azurite
from tests.support.servers import Azurite, FreePorts, running

Hosts = Callable[..., Devhost]


def test_a_running_activity_runs_again_and_the_instance_completes(new_host: Hosts, tmp_path: Path) -> None:
    host = new_host().start()
    instance = host.begin("long_sleep", str(tmp_path / "gate"))
    until(lambda: "sleep begins" in host.notes)
    host.kill()
    (tmp_path / "gate").touch()
    host.start()
    assert host.finished(instance)["output"] == "slept"
    assert host.notes.count("sleep begins") == 2


def test_waits_events_timers_and_children_go_on_after_a_kill(new_host: Hosts) -> None:
    host = new_host().start()
    waiting = host.begin("approval", 600)
    buffered = host.begin("two_events")
    parent = host.begin("calls_approval")
    retrying = host.begin("retries_slowly", {"key": "slow", "times": 1})
    until(lambda: host.status("the-child") and host.status("the-child")["customStatus"] == "waiting")
    until(lambda: "TimerCreated" in host.events(retrying))
    assert host.event(buffered, "second", "kept").status == 202
    timing = host.begin("approval", 1.5)
    until(lambda: "TimerCreated" in host.events(timing))
    host.kill()
    host.start()
    assert re.search("[4-6] unfinished instance", host.log)  # timers may have fired before the kill
    host.event(waiting, "answer", "late")
    host.event(buffered, "first", "then")
    host.event("the-child", "answer", "from the child")
    assert host.finished(waiting)["output"] == "late"
    assert host.finished(buffered)["output"] == ["then", "kept"]
    assert host.finished(timing)["output"] == "timed out"
    assert host.finished(parent)["output"] == "from the child"
    assert host.finished(retrying)["output"] == 2


def test_kills_at_many_moments_lose_nothing(new_host: Hosts) -> None:
    host = new_host().start()
    instances = [host.begin("fan_out", 10) for _ in range(4)] + [host.begin("counting", 1)]
    for seconds in (0.02, 0.06, 0.1, 0.15):
        host.kill()
        host.start()
        instances.append(host.begin("parent", None, f"parent-{seconds}"))
        with pytest.raises(AssertionError, match="not within"):
            until(lambda: False, seconds)
    host.kill()
    host.start()
    statuses = [host.finished(instance) for instance in instances]
    assert [status["runtimeStatus"] for status in statuses] == ["Completed"] * len(instances), host.log
    assert "failed unexpectedly" not in host.log


def test_a_stop_is_quick_and_leaves_no_process(new_host: Hosts) -> None:
    host = new_host().start()
    host.begin("long_sleep", 30)
    until(lambda: "sleep begins" in host.notes)
    assert host.stop() == 0
    assert workers_in(host.folder) == []


def test_the_worker_dies_with_its_killed_host(new_host: Hosts) -> None:
    host = new_host().start()
    assert len(workers_in(host.folder)) == 1
    host.kill()
    until(lambda: workers_in(host.folder) == [])


def test_a_second_devhost_on_the_hub_says_so_and_ends(new_host: Hosts) -> None:
    first = new_host().start()
    second = new_host(hub=first.hub)
    assert second.launch().wait(10) == 1
    assert second.log.splitlines() == [
        f"Another devhost already serves the task hub '{first.hub}' of this storage account."
    ]


def test_a_taken_port_is_one_sentence(new_host: Hosts) -> None:
    first = new_host().start()
    second = new_host()
    second.port = first.port
    assert second.launch().wait(10) == 1
    assert second.log.splitlines() == [
        f"Port {first.port} is taken: stop what listens there, or choose another with --port."
    ]


def test_of_two_that_are_started_on_one_port_at_once_one_serves_and_the_other_says_so(new_host: Hosts) -> None:
    """Both are bound to the port while their workers load; the system refuses the second only as it listens."""
    hosts = [new_host(), new_host()]
    hosts[1].port = hosts[0].port
    processes = [each.launch() for each in hosts]
    until(lambda: any(process.poll() is not None for process in processes))
    refused, serving = sorted(hosts, key=lambda each: each.process is None or each.process.poll() is None)
    assert refused.process and refused.process.poll() == 1
    assert refused.log.splitlines() == [
        f"Port {refused.port} is taken: stop what listens there, or choose another with --port."
    ]
    assert serving.run("chain", 1)["output"] == 8


def test_a_hub_of_the_real_host_is_refused(new_host: Hosts, azurite: Azurite) -> None:
    host = new_host()
    with BlobServiceClient.from_connection_string(azurite.connection_string, api_version="2021-12-02") as service:
        container = service.create_container(f"{host.hub.lower()}-leases")
        container.upload_blob("taskhub.json", b'{"TaskHubName":"x","PartitionCount":4}')
    assert host.launch().wait(10) == 1
    assert f"The task hub '{host.hub}' has been used by the Azure Functions host" in host.log


def write_app(folder: Path, code: str) -> Path:
    app = folder / "app"
    app.mkdir()
    (app / "host.json").write_text('{"version": "2.0"}')
    (app / "function_app.py").write_text(f"import azure.functions as func\n{code}\n")
    return app


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "app = func.FunctionApp()\ndef startup_faults(): return ['A is missing.', 'B is wrong.']",
            "A is missing.\nB is wrong.",
        ),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("", "exactly one FunctionApp"),
        ("import os\nos._exit(3)", "The worker ended while it was importing the app"),
        ("app = func.FunctionApp()\n@app.timer_trigger('t', 'x y')\ndef tick(t): ...", "must have six fields"),
        ("app = func.FunctionApp()\n@app.route('admin/x')\ndef x(req): ...", "conflicts with built in routes"),
    ],
)
def test_an_app_that_cannot_be_served_ends_devhost_with_the_reason(
    new_host: Hosts, tmp_path: Path, code: str, words: str
) -> None:
    host = new_host(app=write_app(tmp_path, code))
    assert host.launch().wait(15) == 1
    assert words in host.log


def test_an_empty_folder_and_a_missing_storage_are_named(new_host: Hosts, tmp_path: Path) -> None:
    empty = new_host(app=tmp_path)
    assert empty.launch().wait(10) == 1
    assert "There is no host.json in" in empty.log
    unset = new_host(settings={"AzureWebJobsStorage": ""})
    assert unset.launch().wait(10) == 1
    assert "AzureWebJobsStorage is not set" in unset.log


def test_a_storage_that_is_away_is_waited_for_and_a_stop_still_works(new_host: Hosts) -> None:
    host = new_host(settings={"AzureWebJobsStorage": nowhere()})
    process = host.launch()
    until(lambda: "Storage does not answer" in host.log)
    process.send_signal(signal.SIGTERM)
    assert process.wait(6) == 0
    assert host.log.count("Storage does not answer") == 1


def nowhere() -> str:
    base = "http://127.0.0.1:1/devstoreaccount1"
    return f"AccountName=devstoreaccount1;AccountKey=a2V5;BlobEndpoint={base};TableEndpoint={base};QueueEndpoint={base}"


def test_an_outage_of_storage_delays_and_loses_nothing(new_host: Hosts, ports: FreePorts, tmp_path: Path) -> None:
    numbers = Ports.counted_from(ports(PORTS_IN_A_ROW))
    command = installed_azurite(numbers, tmp_path / "azurite")
    log = tmp_path / "azurite.log"

    def is_up() -> bool:
        return all(map(answers, numbers.storage))

    host = new_host()
    host.storage = numbers.storage_connection_string
    with running(command, log, is_up):
        host.start()
        waiting, working = host.begin("approval", 600), host.begin("long_sleep", 0.5)
        until(lambda: host.status(waiting)["customStatus"] == "waiting" and "sleep begins" in host.notes)
    until(lambda: "Storage does not answer" in host.log)
    with ThreadPoolExecutor() as threads:
        raised = threads.submit(host.event, waiting, "answer", "kept")
        with running(command, log, is_up):
            assert raised.result().status == 202
            assert host.finished(waiting)["output"] == "kept"
            assert host.finished(working)["output"] == "slept"
            assert host.log.count("Storage does not answer") == 1
            assert "Storage answers again" in host.log
            host.stop()


def test_a_timer_function_is_called_by_its_schedule(new_host: Hosts) -> None:
    host = new_host(settings={"TICK": "* * * * * *"}).start()
    until(lambda: host.notes.count("tick past_due=False") >= 2)
