"""Entities: called and signalled from everywhere, and kept in the provider's rows."""

import json
from collections.abc import Iterator

import pytest

from tests.devhost.support.entity_calls import becomes, blobs_of, open_gate, signal, state
from tests.devhost.support.hosts import APPS, Devhost, until
from tests.devhost.support.provider_oracle import judged
from tests.support.servers import Azurite, FreePorts

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
    assert host.get("/api/read/Account/client").json() == [False, None]
    for amount in (3, 4):
        signal(host, "Account", "client", "add", amount)
    becomes(host, "account", "client", 7)
    assert host.get("/api/read/Account/client").json() == [True, 7]
    assert host.delete(host.api("/entities/account/client")).status == 202
    until(lambda: host.get("/api/read/Account/client").json() == [False, None])


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
    assert (refused.status, refused.json()["ExceptionMessage"].startswith(sentence)) == (400, True)
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
    assert [each["entityId"] for each in first.json()] == [{"name": "bag", "key": f"list-{key}"} for key in "ab"]
    assert [each["state"] for each in first.json()] == ["xxx", "xxx"]
    rest = host.get(
        host.api("/entities/bag?top=2"), **{"x-ms-continuation-token": first.headers["x-ms-continuation-token"]}
    )
    assert [each["entityId"]["key"] for each in rest.json()] == ["list-c"]
    assert "state" not in rest.json()[0]
    moment = rest.json()[0]["lastOperationTime"]
    later = host.get(host.api(f"/entities?lastOperationTimeFrom={moment}")).json()
    assert {"name": "bag", "key": "list-c"} in [each["entityId"] for each in later]
    assert host.get(host.api("/entities/bag?lastOperationTimeTo=2020-01-01")).json() == []
    assert {"name": "account", "key": "gone"} not in [
        each["entityId"] for each in host.get(host.api("/entities/account?top=1000")).json()
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
        each["instanceId"] for each in host.get(host.api("/instances?instanceIdPrefix=@account@Rows")).json()
    ]


def test_a_purged_entity_begins_anew(host: Devhost) -> None:
    signal(host, "account", "purged", "add", 1)
    becomes(host, "account", "purged", 1)
    assert host.delete(host.api("/instances/@account@purged")).json() == {"instancesDeleted": 1}
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
    outputs = [host.finished(start.json()["id"])["output"][0] for start in starts]
    assert outputs[1] == "failed: The worker process died 3 times while it ran this operation."
    assert sorted((outputs[0], outputs[2])) == [3, 4]


def test_an_async_entity_function_fails_instead_of_doing_nothing(host: Devhost) -> None:
    (output,) = host.run("calls", [["never", "x", "set", None]])["output"]
    assert output.startswith("failed: Entity functions must not be async")


def test_a_suspended_caller_has_its_answer_when_it_goes_on(host: Devhost) -> None:
    instance = host.begin("calls", [["Journal", "suspended", "at_gate", "long"]])
    until(lambda: "begins suspended long" in host.notes)
    assert host.post(host.api(f"/instances/{instance}/suspend?reason=look")).status == 202
    open_gate(host, "suspended")
    becomes(host, "journal", "suspended", ["long"])
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
    open_gate(host, instance)
    becomes(host, "journal", instance, ["late"])
    with host.notes_file.open("a", encoding="utf-8") as notes:
        notes.write("mended\n")
    assert host.post(host.api(f"/instances/{instance}/rewind?reason=mended")).status == 202
    until(lambda: host.status(instance)["runtimeStatus"] == "Completed")
    assert host.status(instance)["output"].startswith("The orchestration had failed before this call was answered")
    assert state(host, "journal", instance) == ["late"]


def test_an_orchestration_ends_without_the_answer_to_an_open_call(host: Devhost) -> None:
    ended = host.run("leaves_a_call_open")
    assert ended["output"] == "ended"
    assert "EventRaised" not in host.events(ended["instanceId"])
    open_gate(host, ended["instanceId"])
    becomes(host, "journal", ended["instanceId"], ["late"])


def test_for_a_caller_that_was_terminated_no_answer_is_kept(host: Devhost) -> None:
    instance = host.begin("calls", [["Journal", "terminated", "at_gate", "long"]])
    until(lambda: "begins terminated long" in host.notes)
    assert host.post(host.api(f"/instances/{instance}/terminate?reason=enough")).status == 202
    assert host.finished(instance)["runtimeStatus"] == "Terminated"
    open_gate(host, "terminated")
    wanted = '{"exists":true,"state":"[\\"long\\"]","sorter":{}}'
    until(lambda: host.rows("Instances", "@journal@terminated")[0].get("Input") == wanted)


def test_large_states_and_answers_are_blobs_and_old_ones_go(host: Devhost) -> None:
    for size in (50_000, 60_000, 70_000):
        (answer,) = host.run("calls", [["bag", "large", "fill", size]])["output"]
        assert answer == "y" * size
    assert state(host, "bag", "large") == "x" * 70_000
    bags = host.get(host.api("/entities/bag?fetchState=true&top=1000")).json()
    assert [each["state"] for each in bags if each["entityId"]["key"] == "large"] == ["x" * 70_000]
    assert host.run("calls", [["bag", "large", "fill", 1]])["output"] == ["y"]
    until(lambda: blobs_of(host, "@bag@large") == 0)
