"""The HTTP API of Durable Functions, route by route: statuses, headers and bodies as the extension answers them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.devhost.support.hosts import APPS, Devhost, Reply, until
from tests.devhost.support.provider_oracle import judged
from tests.support.servers import Azurite, FreePorts

APP = APPS / "conformance"
JSON_TYPE = "application/json; charset=utf-8"
ARGUMENT = "One or more of the arguments submitted is incorrect"
WRONG = "Something went wrong while processing your request"
FAILED = "Orchestrator function 'fails' failed: it was not to be"
FAULT = {"Message", "ExceptionMessage", "ExceptionType", "StackTrace"}
WHOLE_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture(scope="module")
def host(azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devhost]:
    """A devhost that serves the conformance app."""
    folder = tmp_path_factory.mktemp("http-api")
    with judged(Devhost(azurite.connection_string, ports(), folder, app=APP)) as shared:
        yield shared


@pytest.fixture(scope="module")
def ended(host: Devhost) -> dict[str, str]:
    """An instance in each state that has an end, by state."""
    ids = {"Completed": "is-completed", "Failed": "is-failed", "Terminated": "is-terminated"}
    for (state, instance), name in zip(ids.items(), ("plain", "fails", "two_names"), strict=True):
        host.begin(name, {"a": 1}, instance)
        if state == "Terminated":
            host.post(host.api(f"/instances/{instance}/terminate?reason=enough"))
        assert host.finished(instance)["runtimeStatus"] == state
    return ids


@pytest.fixture
def running(host: Devhost) -> str:
    """An instance that waits for events."""
    instance = host.begin("two_names")
    until(lambda: host.status(instance)["runtimeStatus"] == "Running")
    return instance


def send(host: Devhost, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
    return host.request(method, host.api(path), body, **headers)


def fault(reply: Reply, status: int, message: str, words: str) -> bool:
    """Whether an answer is one of the extension's faults."""
    body = reply.json
    assert (reply.status, reply.headers["Content-Type"]) == (status, JSON_TYPE)
    assert set(body) == FAULT
    return bool(body["Message"] == message and words in body["ExceptionMessage"])


# --- start ---


def test_a_start_is_answered_alike_at_both_addresses_and_in_any_case(host: Devhost) -> None:
    for base in ("/runtime/webhooks/durabletask", "/durabletask", "/RUNTIME/WebHooks/DurableTask"):
        for path in ("/orchestrators/plain", "/Orchestrators/Plain/"):
            reply = host.post(f"{base}{path}", {"a": 1})
            assert (reply.status, reply.headers["Content-Type"]) == (202, JSON_TYPE)
            assert reply.headers["Location"] == reply.json["statusQueryGetUri"]
            assert b": " not in reply.body


def test_an_unknown_function_is_named_beside_those_that_are_known(host: Devhost) -> None:
    reply = host.post(host.api("/orchestrators/dubble"))
    wanted = "The function 'dubble' doesn't exist, is disabled, or is not an orchestrator function. Additional info: "
    assert fault(reply, 400, ARGUMENT, f"{wanted}The following are the known orchestrator functions: 'activities', ")
    assert reply.json["ExceptionType"] == "System.ArgumentException"


@pytest.mark.parametrize("given", [{"a": [1, "Łódź"]}, [1, 2], 5, True, "text"])
def test_the_input_of_a_start_is_stored_as_it_came(host: Devhost, given: Any) -> None:
    """What is no object fails in get_input of the SDK, as it does on the real host, and is the row's input all the
    same; a text has to be JSON once more.
    """
    instance = host.post(host.api("/orchestrators/plain"), given).json["id"]
    status = host.finished(instance)
    (row,) = host.rows("Instances", instance)
    assert row["Input"] == json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    assert status["input"] == given
    assert status["runtimeStatus"] == ("Completed" if isinstance(given, dict) else "Failed")


def test_a_second_start_of_an_active_id_is_a_server_error_with_its_status(host: Devhost, running: str) -> None:
    text = "An Orchestration instance with the status {} already exists."
    assert fault(host.post(host.api(f"/orchestrators/plain/{running}")), 500, WRONG, text.format("Running"))
    assert host.post(host.api(f"/instances/{running}/suspend")).status == 202
    assert fault(host.post(host.api(f"/orchestrators/plain/{running}")), 500, WRONG, text.format("Suspended"))


@pytest.mark.parametrize(
    ("name", "query", "status", "body"),
    [
        ("activities", "", 200, [{"deep": [8, "Łódź", None, 1.5, True]}, [1, 2], None]),
        ("silent", "", 200, None),
        (
            "fails",
            "",
            200,
            {"runtimeStatus": "Failed", "output": "Orchestrator function 'fails' failed: it was not to be"},
        ),
        ("fails", "&returnInternalServerErrorOnFailure=true", 500, {"runtimeStatus": "Failed"}),
    ],
)
def test_a_start_that_waits_is_answered_by_the_end(
    host: Devhost, name: str, query: str, status: int, body: Any
) -> None:
    reply = host.post(host.api(f"/orchestrators/{name}?timeout=20&pollingInterval=0.1{query}"))
    assert (reply.status, reply.headers["Content-Type"]) == (status, JSON_TYPE)
    assert reply.json.items() >= body.items() if isinstance(body, dict) else reply.json == body


def test_a_start_that_waits_in_vain_is_answered_like_any_other(host: Devhost) -> None:
    reply = host.post(host.api("/orchestrators/two_names/waits?timeout=0.2&pollingInterval=0.1"))
    assert (reply.status, reply.headers["Retry-After"]) == (202, "10")
    assert reply.headers["Location"] == reply.json["statusQueryGetUri"]
    assert list(reply.json) == list(host.post(host.api("/orchestrators/plain")).json)
    assert fault(host.post(host.api("/orchestrators/plain?timeout=1&pollingInterval=2")), 400, ARGUMENT, "timeout")


def test_half_a_wish_to_wait_is_none(host: Devhost) -> None:
    assert host.post(host.api("/orchestrators/two_names?timeout=20")).status == 202
    assert host.post(host.api("/orchestrators/two_names?pollingInterval=20")).status == 202


# --- status ---


def test_a_status_has_these_fields_and_whole_seconds(host: Devhost, ended: dict[str, str]) -> None:
    reply = send(host, "GET", f"/instances/{ended['Completed']}")
    assert (reply.status, reply.headers["Content-Type"]) == (200, JSON_TYPE)
    status = reply.json
    assert list(status) == [
        *("name", "instanceId", "runtimeStatus", "input", "customStatus", "output", "createdTime", "lastUpdatedTime")
    ]
    assert (status["name"], status["instanceId"], status["runtimeStatus"]) == ("plain", "is-completed", "Completed")
    # The client of the SDK wraps the input in one more layer of JSON.
    assert (status["input"], status["customStatus"], status["output"]) == ('{"a": 1}', None, {"input": {"a": 1}})
    assert WHOLE_SECOND.fullmatch(status["createdTime"])
    assert WHOLE_SECOND.fullmatch(status["lastUpdatedTime"])


def test_a_status_is_202_with_its_own_address_until_the_end(host: Devhost, running: str) -> None:
    for verb in ("", "suspend", "resume"):
        if verb:
            assert host.post(host.api(f"/instances/{running}/{verb}?reason=why")).status == 202
        path = f"/instances/{running}?taskHub={host.hub}&connection=Storage&SHOWINPUT=False"
        reply = send(host, "GET", path)
        assert (reply.status, reply.headers["Retry-After"]) == (202, "5")
        assert reply.headers["Location"] == f"{host.url}{host.api(path)}"
        assert reply.json["runtimeStatus"] == ("Suspended" if verb == "suspend" else "Running")


@pytest.mark.parametrize(
    ("state", "query", "status"),
    [
        ("Completed", "", 200),
        ("Terminated", "", 200),
        ("Failed", "", 200),
        ("Completed", "?returnInternalServerErrorOnFailure=true", 200),
        ("Terminated", "?returnInternalServerErrorOnFailure=true", 200),
        ("Failed", "?returnInternalServerErrorOnFailure=true", 500),
        ("Failed", "?returnInternalServerErrorOnFailure=false", 200),
    ],
)
def test_the_status_of_what_has_ended(
    host: Devhost, ended: dict[str, str], state: str, query: str, status: int
) -> None:
    reply = send(host, "GET", f"/instances/{ended[state]}{query}")
    assert (reply.status, reply.json["runtimeStatus"]) == (status, state)
    assert not {"Location", "Retry-After"} & set(reply.headers)


def test_inputs_and_outputs_are_shown_when_they_are_asked_for(host: Devhost, ended: dict[str, str]) -> None:
    instance = ended["Completed"]
    assert host.status(instance, "?showInput=false")["input"] is None
    assert host.status(instance, "?showInput=true")["input"] == '{"a": 1}'
    assert "historyEvents" not in host.status(instance, "?showHistoryOutput=true")
    assert "historyEvents" not in host.status(instance, "?showHistory=false")


def history(host: Devhost, instance: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = host.status(instance, f"?showHistory=true{query}")["historyEvents"]
    return found


def test_the_history_of_a_status_tells_each_event_once(host: Devhost) -> None:
    host.run("failed_activity", {"a": 1}, "shown")
    started, failed, completed, end = history(host, "shown", "&showHistoryOutput=true")
    assert (started["EventType"], started["FunctionName"], started["Input"]) == (
        *("ExecutionStarted", "failed_activity"),
        '{"a": 1}',
    )
    assert (failed["EventType"], failed["FunctionName"]) == ("TaskFailed", "fail_times")
    assert failed["Reason"] == "Activity function 'fail_times' failed:  ValueError: call 1"
    assert "ValueError: call 1" in failed["Details"]
    assert (completed["EventType"], completed["FunctionName"], completed["Result"]) == ("TaskCompleted", "double", 2)
    assert completed["Input"] == ["1"]  # the array of one text that an activity is sent
    assert completed["ScheduledTime"] <= completed["Timestamp"]
    assert (end["EventType"], end["OrchestrationStatus"]) == ("ExecutionCompleted", "Completed")
    assert end["Result"] == ["Activity function 'fail_times' failed:  ValueError: call 1", 2]
    hidden = {"TaskScheduledId", "TimerId", "EventId", "IsPlayed", "Version", "Name"}
    assert not any(hidden & set(each) for each in (started, failed, completed, end))
    assert not {"OrchestrationInstance", "ParentInstance", "Tags"} & set(started)


def test_the_history_of_a_status_leaves_out_what_is_not_asked_for(host: Devhost) -> None:
    host.run("sub_orchestrations", None, "shown-too")
    plain = history(host, "shown-too")
    assert not any("Result" in each for each in plain)
    assert [each["FunctionName"] for each in plain if each["EventType"].startswith("Sub")] == [
        *("child", "child", "two_generations", "child", "child", "fails")
    ]
    assert not any("Input" in each for each in history(host, "shown-too", "&showInput=false"))
    outputs = [each.get("Result") for each in history(host, "shown-too", "&showHistoryOutput=true")]
    assert {"doubled": 6, "has_parent": True} in outputs


def test_a_task_that_has_not_ended_is_shown_as_it_was_scheduled(host: Devhost) -> None:
    host.begin("cancelled_timer", 600, "timing")
    until(lambda: "TimerCreated" in host.events("timing"))
    host.begin("waiting_child", None, "calling")
    until(lambda: "SubOrchestrationInstanceCreated" in host.events("calling"))
    (timer,) = [each for each in history(host, "timing") if each["EventType"] == "TimerCreated"]
    assert set(timer) == {"EventType", "Timestamp", "FireAt"}
    (called,) = [each for each in history(host, "calling") if each["EventType"] == "SubOrchestrationInstanceCreated"]
    assert (called["FunctionName"], called["InstanceId"]) == ("two_names", "calling-child")
    host.event("timing", "go", 1)
    host.finished("timing")
    (raised,) = [each for each in history(host, "timing") if each["EventType"] == "EventRaised"]
    assert (raised["Name"], raised["Input"]) == ("go", 1)


# --- what an operator asks, and the states in which it can be asked ---

ASKED: dict[str, tuple[str, str, bytes | None]] = {
    "raise": ("POST", "/instances/{}/raiseEvent/x", b"1"),
    "terminate": ("POST", "/instances/{}/terminate", b""),
    "suspend": ("POST", "/instances/{}/suspend", b""),
    "resume": ("POST", "/instances/{}/resume", b""),
    "rewind": ("POST", "/instances/{}/rewind", b""),
    "status": ("GET", "/instances/{}", None),
    "purge": ("DELETE", "/instances/{}", None),
}


def asked(host: Devhost, what: str, instance: str) -> Reply:
    method, path, body = ASKED[what]
    return send(host, method, path.format(instance), body, **{"Content-Type": "application/json"})


@pytest.mark.parametrize("what", ASKED)
def test_an_instance_that_is_not_there_is_404_without_a_body(host: Devhost, what: str) -> None:
    reply = asked(host, what, "nobody")
    assert (reply.status, reply.body) == (404, b"")


@pytest.mark.parametrize("state", ["Completed", "Failed", "Terminated"])
@pytest.mark.parametrize("what", ["raise", "terminate", "suspend", "resume"])
def test_an_instance_that_has_ended_is_410_without_a_body(
    host: Devhost, ended: dict[str, str], what: str, state: str
) -> None:
    reply = asked(host, what, ended[state])
    assert (reply.status, reply.body) == (410, b"")


@pytest.mark.parametrize("state", ["Completed", "Terminated"])
def test_only_a_failed_instance_can_be_rewound(host: Devhost, ended: dict[str, str], state: str) -> None:
    reply = asked(host, "rewind", ended[state])
    assert (reply.status, reply.body) == (410, b"")


def test_what_is_asked_in_the_wrong_state_is_a_server_error(host: Devhost, running: str) -> None:
    only_failed = "The rewind operation is only supported on failed orchestration instances."
    assert fault(asked(host, "rewind", running), 500, WRONG, only_failed)
    assert fault(asked(host, "resume", running), 500, WRONG, "Cannot resume the orchestration instance")
    reply = asked(host, "suspend", running)
    assert (reply.status, reply.body) == (202, b"")
    assert fault(asked(host, "suspend", running), 500, WRONG, "Cannot suspend the orchestration instance")
    for what in ("resume", "terminate"):
        reply = asked(host, what, running)
        assert (reply.status, reply.body) == (202, b"")


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"1", 415),
        ("application/json", b"{", 400),
        ("application/json", b"", 400),
        ("text/plain", b"", 400),
        ("application/json", b"[" * 65 + b"]" * 65, 400),
    ],
)
def test_an_event_has_to_be_json(host: Devhost, running: str, content_type: str, body: bytes, status: int) -> None:
    reply = send(host, "POST", f"/instances/{running}/raiseEvent/x", body, **{"Content-Type": content_type})
    assert (reply.status, reply.headers["Content-Type"]) == (status, JSON_TYPE)
    if status == 415:
        assert reply.json == {"Message": "Only application/json request content is supported"}
    else:
        assert (set(reply.json), reply.json["Message"]) == (FAULT, "Invalid JSON content")


KINDS_OF_JSON = (
    "application/json",
    "APPLICATION/JSON;charset=utf-8",
    "application/cloudevents+json",
    " text/x+json ; q=1",
)
OTHER_KINDS = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/jsonp",
    "json",
    "x+json",
    "multipart/form-data",
    "",
)


@pytest.mark.parametrize(
    "path", ["/orchestrators/plain", "/instances/nobody/raiseEvent/x", "/instances/nobody/terminate"]
)
def test_a_body_is_declared_as_json_or_refused(host: Devhost, path: str) -> None:
    def status(kind: str, body: bytes = b"{}") -> int:
        return send(host, "POST", path, body, **{"Content-Type": kind}).status

    assert {kind: status(kind) for kind in KINDS_OF_JSON} == dict.fromkeys(KINDS_OF_JSON, status("application/json"))
    assert {kind: status(kind) for kind in OTHER_KINDS} == dict.fromkeys(OTHER_KINDS, 415)
    assert 415 not in {status(kind, b"") for kind in OTHER_KINDS}


def test_json_is_read_sixty_four_deep_as_newtonsoft_does(host: Devhost) -> None:
    deep = b'{"a":' * 64 + b'"[[[[{{{{ in a text \\" do not count"' + b"}" * 64
    kind = {"Content-Type": "application/json"}
    assert send(host, "POST", "/orchestrators/plain", deep, **kind).status == 202
    assert send(host, "POST", "/orchestrators/plain", b"[" + deep + b"]", **kind).status == 400
    assert send(host, "POST", "/orchestrators/plain", b"[" * 500_000, **kind).status == 400


def test_a_content_type_may_name_its_charset(host: Devhost, running: str) -> None:
    path, kind = f"/instances/{running}/raiseEvent/first", "Application/JSON; charset=utf-8"
    assert send(host, "POST", path, "Łódź".join('""').encode(), **{"Content-Type": kind}).status == 202
    assert host.event(running, "second", 2).status == 202
    assert host.finished(running)["output"] == ["Łódź", 2]


def test_a_restart_is_answered_like_a_start(host: Devhost, ended: dict[str, str]) -> None:
    reply = host.post(host.api(f"/instances/{ended['Completed']}/restart"))
    assert (reply.status, reply.headers["Retry-After"]) == (202, "10")
    assert reply.json["id"] not in ended.values()
    assert host.finished(reply.json["id"])["output"] == {"input": {"a": 1}}
    waited = host.post(host.api(f"/instances/{ended['Completed']}/restart?timeout=20&pollingInterval=0.1"))
    assert (waited.status, waited.json) == (200, {"input": {"a": 1}})
    unknown = host.post(host.api("/instances/nobody/restart"))
    assert (unknown.status, set(unknown.json)) == (400, FAULT)
    assert unknown.json["Message"] == "InstanceId does not match a valid orchestration instance."


def test_a_restart_under_a_running_id_is_refused(host: Devhost, running: str) -> None:
    reply = host.post(host.api(f"/instances/{running}/restart?restartWithNewInstanceId=false"))
    assert fault(reply, 500, WRONG, "An Orchestration instance with the status Running already exists.")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_make_primary_is_always_done(host: Devhost, method: str) -> None:
    reply = send(host, method, "/makeprimary", b"" if method in ("POST", "PUT") else None)
    assert (reply.status, reply.body) == (200, b"")


# --- lists and purges ---


def names(reply: Reply) -> list[str]:
    return [each["instanceId"] for each in reply.json]


@pytest.fixture(scope="module")
def listed(host: Devhost) -> list[str]:
    """Five instances of one prefix: four that have completed, one that runs."""
    ids = [f"listed-{number}" for number in range(5)]
    for instance in ids[:4]:
        host.run("plain", {"n": instance}, instance)
    host.begin("two_names", None, ids[4])
    until(lambda: host.status(ids[4])["runtimeStatus"] == "Running")
    return ids


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", slice(0, 5)),
        ("&runtimeStatus=Completed", slice(0, 4)),
        ("&runtimeStatus=Running", slice(4, 5)),
        ("&runtimeStatus=Completed,Running", slice(0, 5)),
        ("&runtimeStatus=Completed&runtimeStatus=Running", slice(0, 5)),
        ("&RUNTIMESTATUS=Failed", slice(0, 0)),
        ("&createdTimeFrom=2020-01-01T00:00:00Z&createdTimeTo=2999-01-01T00:00:00Z", slice(0, 5)),
        ("&createdTimeFrom=2999-01-01T00:00:00Z", slice(0, 0)),
        ("&createdTimeTo=2020-01-01T00:00:00Z", slice(0, 0)),
        ("&top=2", slice(0, 2)),
    ],
)
def test_a_list_is_filtered(host: Devhost, listed: list[str], query: str, found: slice) -> None:
    for path in ("/instances", "/instances/", "/Instances"):
        reply = send(host, "GET", f"{path}?instanceIdPrefix=listed-{query}")
        assert (reply.status, reply.headers["Content-Type"]) == (200, JSON_TYPE)
        assert names(reply) == listed[found]


def test_a_list_is_of_status_objects(host: Devhost, listed: list[str]) -> None:
    reply = send(host, "GET", "/instances?instanceIdPrefix=listed-")
    assert reply.json == [host.status(each) for each in listed]
    hidden = send(host, "GET", "/instances?instanceIdPrefix=listed-&showInput=false")
    assert [each["input"] for each in hidden.json] == [None] * 5


def test_a_list_goes_on_where_its_token_says(host: Devhost, listed: list[str]) -> None:
    found: list[str] = []
    token = ""
    for _ in range(3):
        reply = send(
            host, "GET", "/instances?instanceIdPrefix=listed-&top=2", None, **{"x-ms-continuation-token": token}
        )
        found += names(reply)
        token = reply.headers.get("x-ms-continuation-token", "")
    assert (found, token) == (listed, "")


def test_a_page_has_a_hundred_instances(host: Devhost) -> None:
    for number in range(101):
        assert host.post(host.api(f"/orchestrators/plain/many-{number:03}")).status == 202
    reply = send(host, "GET", "/instances?instanceIdPrefix=many-")
    assert len(reply.json) == 100
    assert reply.headers["x-ms-continuation-token"]


def test_a_purge_counts_what_it_deleted(host: Devhost) -> None:
    host.run("plain", None, "purged")
    reply = send(host, "DELETE", "/instances/purged")
    assert (reply.status, reply.json, reply.headers["Content-Type"]) == (200, {"instancesDeleted": 1}, JSON_TYPE)
    assert host.rows("History", "purged") == host.rows("Instances", "purged") == []


def test_a_purge_of_many_takes_those_of_its_time_and_state(host: Devhost, listed: list[str]) -> None:
    early = send(host, "DELETE", "/instances?createdTimeFrom=2020-01-01T00:00:00Z&createdTimeTo=2020-01-02T00:00:00Z")
    assert (early.status, early.body) == (404, b"")
    running = send(host, "DELETE", "/instances?createdTimeFrom=2020-01-01T00:00:00Z&runtimeStatus=Running")
    assert (running.status, running.body) == (404, b"")
    host.run("fails", None, "fails-and-goes")
    failed = send(host, "DELETE", "/instances/?createdTimeFrom=2020-01-01T00:00:00Z&runtimeStatus=Failed,Canceled")
    assert failed.json["instancesDeleted"] >= 1
    assert host.status("fails-and-goes") is None
    assert host.status(listed[0])["runtimeStatus"] == "Completed"
    without = send(host, "DELETE", "/instances")
    assert (without.status, without.json) == (400, "Please provide value for 'createdTimeFrom' parameter.")


# --- what functions answer ---


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "body"),
    [
        ("text", 200, "text/plain; charset=utf-8", "Łódź".encode()),
        ("html", 200, "text/html; charset=latin-1", b"<p>"),
        ("json", 201, "application/json", b"{}"),
        ("header", 200, "text/csv", b"a"),
        ("bytes", 200, "application/octet-stream", b"\x00\xff"),
        ("empty", 204, None, b""),
        ("str", 200, "text/plain; charset=utf-8", b"plain"),
        ("none", 500, None, b""),
        ("unknown", 500, None, b""),
    ],
)
def test_the_answer_of_a_function_is_passed_on(
    host: Devhost, kind: str, status: int, content_type: str | None, body: bytes
) -> None:
    reply = host.get(f"/api/answers/{kind}")
    assert (reply.status, reply.body) == (status, body)
    assert content_type is None or reply.headers["Content-Type"] == content_type


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
def test_a_verb_that_a_function_does_not_list_is_404(host: Devhost, method: str) -> None:
    reply = host.request(method, "/api/answers/text", b"" if method == "POST" else None)
    assert (reply.status, reply.body) == (404, b"")
