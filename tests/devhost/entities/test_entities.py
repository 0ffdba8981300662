"""Entities: called and signalled from everywhere, kept in the provider's rows, each operation applied exactly once."""

import contextlib
import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from tests.devhost.support.hosts import APPS, Devhost, until
from tests.devhost.support.provider_oracle import judged
from tests.support.servers import Azurite, FreePorts

Hosts = Callable[..., Devhost]
APP = APPS / "entities"


@pytest.fixture(scope="module", params=["warm", "replaying"])
def host(
    request: pytest.FixtureRequest, azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Devhost]:
    """A devhost that serves the entities app, once with executions kept warm and once replaying each turn."""
    arguments = ("--full-replays",) if request.param == "replaying" else ()
    folder = tmp_path_factory.mktemp("entities")
    with judged(Devhost(azurite.connection_string, ports(), folder, app=APP, arguments=arguments)) as shared:
        yield shared


def state(host: Devhost, name: str, key: str) -> Any:
    """The state of an entity over plain HTTP; None when there is none."""
    reply = host.get(host.api(f"/entities/{name}/{key}"))
    assert reply.status in (200, 404)
    return reply.json if reply.status == 200 else None


def becomes(host: Devhost, name: str, key: str, wanted: Any, within_s: float = 60) -> None:
    until(lambda: state(host, name, key) == wanted, within_s, lambda: f"{state(host, name, key)}\n{host.log}")


def signal(host: Devhost, name: str, key: str, operation: str, given: Any = None) -> None:
    """Through the SDK's client."""
    reply = host.post(f"/api/signal/{name}/{key}/{operation}", given)
    assert reply.status == 202, reply.text


def test_an_orchestrator_calls_an_entity_and_has_its_result(host: Devhost) -> None:
    operations = [["Journal", "Mixed Case", "write", text] for text in ("a", "b")]
    ended = host.run("calls", operations)
    assert ended["output"] == [["journal", "Mixed Case", 1], ["journal", "Mixed Case", 2]]
    assert state(host, "JOURNAL", "Mixed%20Case") == ["a", "b"]
    sent = [row for row in host.rows("History", ended["instanceId"]) if row.get("EventType", "").startswith("Event")]
    assert [row["EventType"] for row in sent] == ["EventSent", "EventRaised"] * 2
    assert [row["EventId"] for row in sent if row["EventType"] == "EventSent"] == [0, 1]
    assert sent[0]["InstanceId"] == "@journal@Mixed Case"
    assert sent[1]["Name"] in sent[0]["Input"]


def test_a_failed_operation_raises_in_its_caller_and_changes_nothing(host: Devhost) -> None:
    add = ("account", "failing", "add")
    ended = host.run("calls", [[*add, 5], [*add, -9], [*add, 1], ["account", "failing", "unstorable", None]])
    assert ended["output"][:3] == [5, "failed: -4 is below zero", 6]
    assert ended["output"][3].startswith("failed: ")
    assert state(host, "account", "failing") == 6


def test_entities_answer_in_task_all_and_task_any(host: Devhost) -> None:
    keys = ("left", "right", "left", "middle")
    ended = host.run("calls_at_once", [["account", f"at-once-{key}", "add", 2] for key in keys])
    results, first = ended["output"]
    assert results == [2, 2, 4, 2]
    assert first >= 1


def test_signals_of_an_orchestrator_arrive_in_their_order_after_its_end(host: Devhost) -> None:
    texts = [f"line {number}" for number in range(120)]
    ended = host.run("signals", [["Journal", "in-order", "write", text] for text in texts])
    assert ended["output"] == "sent"
    becomes(host, "journal", "in-order", texts)


def test_each_generation_hands_over_what_it_sent(host: Devhost) -> None:
    assert host.run("rounds", 4)["output"] == 1 + 1 + 3 * 3
    becomes(host, "account", "rounds", 12)
    assert host.run("eager_rounds", 7)["runtimeStatus"] == "Completed"
    becomes(host, "account", "eager", 7)


def test_a_client_signals_reads_and_deletes(host: Devhost) -> None:
    assert host.get("/api/read/Account/client").json == [False, None]
    for amount in (3, 4):
        signal(host, "Account", "client", "add", amount)
    becomes(host, "account", "client", 7)
    assert host.get("/api/read/Account/client").json == [True, 7]
    assert host.delete(host.api("/entities/account/client")).status == 202
    until(lambda: host.get("/api/read/Account/client").json == [False, None])


def test_the_api_takes_operations_as_the_extension_does(host: Devhost) -> None:
    """The SDK decodes an input twice: a JSON body has to be a string that holds JSON. A plain one is refused, because
    any web page may send one.
    """
    address = host.api("/Entities/account/$?op=add")
    assert host.post(address, "5").status == 202
    assert host.request("POST", address, b"6", **{"Content-Type": "text/plain"}).status == 415
    assert host.post(address, "6").status == 202
    becomes(host, "account", "$", 11)
    assert host.rows("Instances", "@account@")[0]["Name"] == "@account"
    refused = host.request("POST", address, b"{", **{"Content-Type": "application/json"})
    assert (refused.status, "Could not parse JSON content" in refused.text) == (400, True)


def test_an_entity_that_the_app_does_not_have_is_refused_with_one_sentence(host: Devhost) -> None:
    sentence = "The function 'nobody' doesn't exist, is disabled, or is not an entity function."
    refused = host.post(host.api("/entities/nobody/x?op=add"))
    assert (refused.status, refused.json["ExceptionMessage"].startswith(sentence)) == (400, True)
    assert host.get(host.api("/entities/nobody/x")).status == 404
    assert host.post("/api/signal/nobody/x/add").status == 502
    ended = host.run("calls", [["nobody", "x", "add", 1]])
    assert ended["runtimeStatus"] == "Failed"
    assert ended["output"].startswith(f"Orchestrator function 'calls' failed: {sentence}")


def test_entities_are_listed_by_name_time_and_page(host: Devhost) -> None:
    for key in ("list-a", "list-b", "list-c"):
        signal(host, "bag", key, "fill", 3)
    for key in ("list-a", "list-b", "list-c"):
        becomes(host, "bag", key, "xxx")
    signal(host, "Account", "gone", "delete")
    first = host.get(host.api("/entities/Bag?top=2&fetchState=true"))
    assert [each["entityId"] for each in first.json] == [{"name": "bag", "key": f"list-{key}"} for key in "ab"]
    assert [each["state"] for each in first.json] == ["xxx", "xxx"]
    rest = host.get(
        host.api("/entities/bag?top=2"), **{"x-ms-continuation-token": first.headers["x-ms-continuation-token"]}
    )
    assert [each["entityId"]["key"] for each in rest.json] == ["list-c"]
    assert "state" not in rest.json[0]
    moment = rest.json[0]["lastOperationTime"]
    later = host.get(host.api(f"/entities?lastOperationTimeFrom={moment}")).json
    assert {"name": "bag", "key": "list-c"} in [each["entityId"] for each in later]
    assert host.get(host.api("/entities/bag?lastOperationTimeTo=2020-01-01")).json == []
    assert {"name": "account", "key": "gone"} not in [
        each["entityId"] for each in host.get(host.api("/entities/account?top=1000")).json
    ]


def test_an_entity_is_an_eternal_orchestration_in_the_tables(host: Devhost) -> None:
    signal(host, "Account", "Rows", "add", 41)
    becomes(host, "account", "Rows", 41)
    until(lambda: '"state":"41"' in host.rows("Instances", "@account@Rows")[0].get("Input", ""))
    (row,) = host.rows("Instances", "@account@Rows")
    assert (row["Name"], row["RuntimeStatus"], row["CustomStatus"]) == ("@account", "Running", '{"entityExists":true}')
    assert row["Input"] == '{"exists":true,"state":"41","sorter":{}}'
    history = host.rows("History", "@account@Rows")
    sentinel = history[-1]
    current = [each["EventType"] for each in history[:3]]
    assert current == ["OrchestratorStarted", "ExecutionStarted", "OrchestratorCompleted"]
    assert {each["ExecutionId"] for each in (row, sentinel, *history[:3])} == {row["ExecutionId"]}
    status = host.status("@account@Rows")
    assert (status["runtimeStatus"], status["input"]["state"]) == ("Running", "41")
    assert "@account@Rows" in [
        each["instanceId"] for each in host.get(host.api("/instances?instanceIdPrefix=@account@Rows")).json
    ]


def test_a_purged_entity_begins_anew(host: Devhost) -> None:
    signal(host, "account", "purged", "add", 1)
    becomes(host, "account", "purged", 1)
    assert host.delete(host.api("/instances/@account@purged")).json == {"instancesDeleted": 1}
    assert host.rows("Instances", "@account@purged") == host.rows("History", "@account@purged") == []
    assert host.get(host.api("/entities/account/purged")).status == 404
    signal(host, "account", "purged", "add", 2)
    becomes(host, "account", "purged", 2)


def test_an_operation_that_ends_its_worker_fails_alone(host: Devhost) -> None:
    add = ["account", "crashing", "add", 1]
    crash, leave = (["account", "crashing", how, None] for how in ("crash", "exit"))
    assert host.run("calls", [add, leave, add])["output"] == [1, "failed: 3", 2]
    # Not through the app: its functions end with the worker too.
    starts = [host.post(host.api("/orchestrators/calls"), json.dumps([each])) for each in (add, crash, add)]
    outputs = [host.finished(start.json["id"])["output"][0] for start in starts]
    assert outputs[1] == "failed: The worker process died 3 times while it ran this operation."
    assert sorted((outputs[0], outputs[2])) == [3, 4]


def test_an_async_entity_function_fails_instead_of_doing_nothing(host: Devhost) -> None:
    (output,) = host.run("calls", [["never", "x", "set", None]])["output"]
    assert output.startswith("failed: Entity functions must not be async")


def test_a_suspended_caller_has_its_answer_when_it_goes_on(host: Devhost) -> None:
    instance = host.begin("calls", [["Journal", "suspended", "slowly", 0.3]])
    until(lambda: "begins suspended 0.3" in host.notes)
    assert host.post(host.api(f"/instances/{instance}/suspend?reason=look")).status == 202
    becomes(host, "journal", "suspended", [0.3])
    assert host.status(instance)["runtimeStatus"] == "Suspended"
    assert host.post(host.api(f"/instances/{instance}/resume?reason=on")).status == 202
    assert host.finished(instance)["output"] == [["journal", "suspended", 1]]


def test_a_rewound_caller_does_not_send_again_what_it_had_sent(host: Devhost) -> None:
    instance = host.begin("signals_and_fails")
    assert host.finished(instance)["runtimeStatus"] == "Failed"
    assert host.post(host.api(f"/instances/{instance}/rewind?reason=again")).status == 202
    until(lambda: host.status(instance)["runtimeStatus"] == "Completed")
    assert host.run("calls", [["account", "rewound", "add", 0]])["output"] == [2]


def test_a_call_that_was_open_when_its_caller_failed_is_not_made_again(host: Devhost) -> None:
    instance = host.begin("fails_while_it_calls", None, "open-call")
    assert host.finished(instance)["runtimeStatus"] == "Failed"
    becomes(host, "journal", instance, [0.5])
    with host.notes_file.open("a", encoding="utf-8") as notes:
        notes.write("mended\n")
    assert host.post(host.api(f"/instances/{instance}/rewind?reason=mended")).status == 202
    until(lambda: host.status(instance)["runtimeStatus"] == "Completed")
    assert host.status(instance)["output"].startswith("The orchestration had failed before this call was answered")
    assert state(host, "journal", instance) == [0.5]


def test_an_orchestration_ends_without_the_answer_to_an_open_call(host: Devhost) -> None:
    ended = host.run("leaves_a_call_open")
    assert ended["output"] == "ended"
    assert "EventRaised" not in host.events(ended["instanceId"])
    becomes(host, "journal", ended["instanceId"], [1])


def test_for_a_caller_that_was_terminated_no_answer_is_kept(host: Devhost) -> None:
    instance = host.begin("calls", [["Journal", "terminated", "slowly", 0.4]])
    until(lambda: "begins terminated 0.4" in host.notes)
    assert host.post(host.api(f"/instances/{instance}/terminate?reason=enough")).status == 202
    assert host.finished(instance)["runtimeStatus"] == "Terminated"
    wanted = '{"exists":true,"state":"[0.4]","sorter":{}}'
    until(lambda: host.rows("Instances", "@journal@terminated")[0].get("Input") == wanted)


def test_large_states_and_answers_are_blobs_and_old_ones_go(host: Devhost) -> None:
    for size in (50_000, 60_000, 70_000):
        (answer,) = host.run("calls", [["bag", "large", "fill", size]])["output"]
        assert answer == "y" * size
    assert state(host, "bag", "large") == "x" * 70_000
    found = host.get(host.api("/entities/bag?fetchState=true&top=1000")).json
    assert [each["state"] for each in found if each["entityId"]["key"] == "large"] == ["x" * 70_000]
    assert host.run("calls", [["bag", "large", "fill", 1]])["output"] == ["y"]
    until(lambda: blobs_of(host, "@bag@large") == 0)


def blobs_of(host: Devhost, instance_id: str) -> int:
    with BlobServiceClient.from_connection_string(host.storage) as service:
        container = service.get_container_client(f"{host.hub.lower()}-largemessages")
        return len(list(container.list_blobs(name_starts_with=f"{instance_id}/")))


def test_signals_answered_with_202_survive_a_kill_at_once(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    signal(host, "journal", "kept", "slowly", 0.5)
    until(lambda: "begins kept 0.5" in host.notes)
    for text in ("a", "b"):
        signal(host, "journal", "kept", "write", text)
    signal(host, "account", "new", "add", 1)
    host.kill()
    host.start()
    becomes(host, "journal", "kept", [0.5, "a", "b"])
    becomes(host, "account", "new", 1)
    assert "unfinished" not in host.log


def test_a_call_in_flight_is_answered_after_a_kill(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    caller = host.begin("calls", [["Journal", "in-flight", "slowly", 0.5]])
    until(lambda: "begins in-flight 0.5" in host.notes)
    host.kill()
    host.start()
    assert host.finished(caller)["output"] == [["journal", "in-flight", 1]]
    assert state(host, "journal", "in-flight") == [0.5]


def test_an_unfinished_entity_does_not_keep_a_stop_waiting(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    signal(host, "journal", "stopped", "slowly", 20)
    until(lambda: "begins stopped 20" in host.notes)
    began = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - began < 5


def test_a_batch_is_as_large_as_host_json_says(new_host: Hosts) -> None:
    limits = {
        "AzureFunctionsJobHost__extensions__durableTask__maxEntityOperationBatchSize": "2",
        "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentEntityFunctions": "1",
    }
    host = new_host(app=APP, settings=limits).start()
    operations = [("write", "a"), ("write", "b"), ("slowly", 0.5), ("write", "c")]
    host.run("signals", [["Journal", "batches", operation, given] for operation, given in operations])
    until(lambda: "begins batches 0.5" in host.notes)
    assert state(host, "journal", "batches") == ["a", "b"]
    becomes(host, "journal", "batches", ["a", "b", 0.5, "c"])
    for key in ("one", "two"):
        signal(host, "journal", key, "slowly", 0.3)
    becomes(host, "journal", "one", [0.3])
    becomes(host, "journal", "two", [0.3])
    assert [line.split()[0] for line in host.notes] == ["begins", "ends"] * 3


def test_a_batch_without_a_limit_is_all_that_waits(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    host.run("signals", [["Journal", "all", *operation] for operation in (("write", "a"), ("slowly", 0.5))])
    until(lambda: "begins all 0.5" in host.notes)
    assert state(host, "journal", "all") is None
    becomes(host, "journal", "all", ["a", 0.5])


def test_what_waits_for_a_function_that_is_gone_stays(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    signal(host, "journal", "waiting", "slowly", 1)
    until(lambda: "begins waiting 1" in host.notes)
    host.kill()
    host.settings["AzureWebJobs.journal_function.Disabled"] = "true"
    host.start()
    until(lambda: "What waits for @journal@waiting stays." in host.log)
    host.kill()
    del host.settings["AzureWebJobs.journal_function.Disabled"]
    host.start()
    becomes(host, "journal", "waiting", [1])


def test_entities_do_not_wait_for_each_other(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    for key in ("one", "two"):
        signal(host, "journal", key, "slowly", 1)
    until(lambda: len(host.notes) == 4)
    assert [line.split()[0] for line in host.notes] == ["begins", "begins", "ends", "ends"]


def test_without_rollback_a_failed_operation_leaves_what_it_changed(new_host: Hosts) -> None:
    setting = "AzureFunctionsJobHost__extensions__durableTask__rollbackEntityOperationsOnExceptions"
    host = new_host(app=APP, settings={setting: "false"}).start()
    ended = host.run("calls", [["account", "left", "add", -9], ["account", "left", "add", 1]])
    assert ended["output"] == ["failed: -9 is below zero", "failed: -8 is below zero"]
    assert state(host, "account", "left") == -8


WORKLOAD = 111_111
CLIENT_SIGNAL = 1_000_000


def test_no_operation_is_lost_or_applied_twice_whenever_devhost_dies(new_host: Hosts) -> None:
    """Many orchestrations signal and call, clients signal, and devhost dies at random moments."""
    host = new_host(app=APP).start()
    moments = random.Random(0)
    instances, answered = [], 0
    for _ in range(8):
        for number in range(3):
            instances.append(host.begin("workload", f"key-{number}"))
        answered += signals_until_killed(host, moments.uniform(0.0, 0.4))
        host.start()
    ends = [host.finished(instance)["runtimeStatus"] for instance in instances]
    assert ends == ["Completed"] * len(instances), host.log
    for number in range(3):
        becomes(host, "account", f"key-{number}", WORKLOAD * 8)
    clients = state(host, "account", "clients") or 0
    assert answered <= clients <= answered + 8  # the last one before each kill may have had no answer
    assert "Traceback" not in host.log


def signals_until_killed(host: Devhost, seconds: float) -> int:
    """Signal an entity from a client, kill devhost after so many seconds; how many signals were answered with 202."""
    answered = 0
    killer = threading.Timer(seconds, host.kill)
    killer.start()
    with contextlib.suppress(OSError, http.client.HTTPException):
        while host.post(host.api("/entities/account/clients?op=add"), "1").status == 202:
            answered += 1
    killer.join()
    return answered


def test_a_caller_that_waits_goes_on_with_the_entity_after_a_kill(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    instance = host.begin("waits_between", "between")
    becomes(host, "account", "between", 1)
    until(lambda: "EventRaised" in host.events(instance))
    host.kill()
    host.start()
    assert host.event(instance, "go", "on").status == 202
    assert host.finished(instance)["output"] == 2


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_kept_for_a_sender_goes_when_it_has_ended(new_host: Hosts, killed: bool) -> None:
    host = new_host(app=APP).start()
    host.run("calls", [["account", "forgetful", "add", 1]])
    if killed:
        host.kill()
        host.start()
    signal(host, "account", "forgetful", "add", 1)
    wanted = '{"exists":true,"state":"2","sorter":{}}'
    until(lambda: host.rows("Instances", "@account@forgetful")[0].get("Input") == wanted)
