"""What an operator does to instances over the Durable API, and the states in which it can be done."""

import pytest

from devtools.processes.http import HttpResponse
from tests.devhost.support.durable_api import FAULT, JSON_TYPE, WRONG, fault, send
from tests.devhost.support.hosts import APPS, Devhost

APP = APPS / "conformance"
COMMANDS: dict[str, tuple[str, str, bytes | None]] = {
    "raise": ("POST", "/instances/{}/raiseEvent/x", b"1"),
    "terminate": ("POST", "/instances/{}/terminate", b""),
    "suspend": ("POST", "/instances/{}/suspend", b""),
    "resume": ("POST", "/instances/{}/resume", b""),
    "rewind": ("POST", "/instances/{}/rewind", b""),
    "status": ("GET", "/instances/{}", None),
    "purge": ("DELETE", "/instances/{}", None),
}


def send_command(host: Devhost, command: str, instance: str) -> HttpResponse:
    method, path, body = COMMANDS[command]
    return send(host, method, path.format(instance), body, **{"Content-Type": "application/json"})


@pytest.mark.parametrize("command", COMMANDS)
def test_an_instance_that_is_not_there_is_404_without_a_body(host: Devhost, command: str) -> None:
    response = send_command(host, command, "nobody")
    assert (response.status, response.body) == (404, b"")


@pytest.mark.parametrize("state", ["Completed", "Failed", "Terminated"])
@pytest.mark.parametrize("command", ["raise", "terminate", "suspend", "resume"])
def test_an_instance_that_has_ended_is_410_without_a_body(
    host: Devhost, ended: dict[str, str], command: str, state: str
) -> None:
    response = send_command(host, command, ended[state])
    assert (response.status, response.body) == (410, b"")


@pytest.mark.parametrize("state", ["Completed", "Terminated"])
def test_only_a_failed_instance_can_be_rewound(host: Devhost, ended: dict[str, str], state: str) -> None:
    response = send_command(host, "rewind", ended[state])
    assert (response.status, response.body) == (410, b"")


def test_what_is_asked_in_the_wrong_state_is_a_server_error(host: Devhost, running: str) -> None:
    only_failed = "The rewind operation is only supported on failed orchestration instances."
    assert fault(send_command(host, "rewind", running), 500, WRONG, only_failed)
    assert fault(send_command(host, "resume", running), 500, WRONG, "Cannot resume the orchestration instance")
    response = send_command(host, "suspend", running)
    assert (response.status, response.body) == (202, b"")
    assert fault(send_command(host, "suspend", running), 500, WRONG, "Cannot suspend the orchestration instance")
    for command in ("resume", "terminate"):
        response = send_command(host, command, running)
        assert (response.status, response.body) == (202, b"")


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
    response = send(host, "POST", f"/instances/{running}/raiseEvent/x", body, **{"Content-Type": content_type})
    assert (response.status, response.headers["Content-Type"]) == (status, JSON_TYPE)
    if status == 415:
        assert response.json() == {"Message": "Only application/json request content is supported"}
    else:
        assert (set(response.json()), response.json()["Message"]) == (FAULT, "Invalid JSON content")


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


def test_a_content_type_may_name_its_charset(host: Devhost, running: str) -> None:
    path, kind = f"/instances/{running}/raiseEvent/first", "Application/JSON; charset=utf-8"
    assert send(host, "POST", path, "Łódź".join('""').encode(), **{"Content-Type": kind}).status == 202
    assert host.event(running, "second", 2).status == 202
    assert host.finished(running)["output"] == ["Łódź", 2]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_make_primary_is_always_done(host: Devhost, method: str) -> None:
    response = send(host, method, "/makeprimary", b"" if method in ("POST", "PUT") else None)
    assert (response.status, response.body) == (200, b"")


def test_a_purge_counts_what_it_deleted(host: Devhost) -> None:
    host.run("plain", None, "purged")
    response = send(host, "DELETE", "/instances/purged")
    assert (response.status, response.json(), response.headers["Content-Type"]) == (
        200,
        {"instancesDeleted": 1},
        JSON_TYPE,
    )
    assert host.rows("History", "purged") == host.rows("Instances", "purged") == []


def test_a_purge_of_many_takes_those_of_its_time_and_state(host: Devhost, listed: list[str]) -> None:
    early = send(host, "DELETE", "/instances?createdTimeFrom=2020-01-01T00:00:00Z&createdTimeTo=2020-01-02T00:00:00Z")
    assert (early.status, early.body) == (404, b"")
    running = send(host, "DELETE", "/instances?createdTimeFrom=2020-01-01T00:00:00Z&runtimeStatus=Running")
    assert (running.status, running.body) == (404, b"")
    host.run("fails", None, "fails-and-goes")
    failed = send(host, "DELETE", "/instances/?createdTimeFrom=2020-01-01T00:00:00Z&runtimeStatus=Failed,Canceled")
    assert failed.json()["instancesDeleted"] >= 1
    assert host.status("fails-and-goes") is None
    assert host.status(listed[0])["runtimeStatus"] == "Completed"
    without = send(host, "DELETE", "/instances")
    assert (without.status, without.json()) == (400, "Please provide value for 'createdTimeFrom' parameter.")
