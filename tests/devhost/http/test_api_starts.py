"""Starts and restarts over the Durable API: statuses, headers and bodies as the extension answers them."""

import json
from typing import Any

import pytest

from tests.devhost.support.durable_api import ARGUMENT, FAULT, JSON_TYPE, WRONG, fault, send
from tests.devhost.support.hosts import APPS, Devhost

APP = APPS / "conformance"


def test_a_start_is_answered_alike_at_both_addresses_and_in_any_case(host: Devhost) -> None:
    for base in ("/runtime/webhooks/durabletask", "/durabletask", "/RUNTIME/WebHooks/DurableTask"):
        for path in ("/orchestrators/plain", "/Orchestrators/Plain/"):
            response = host.post(f"{base}{path}", {"a": 1})
            assert (response.status, response.headers["Content-Type"]) == (202, JSON_TYPE)
            assert response.headers["Location"] == response.json()["statusQueryGetUri"]
            assert b": " not in response.body


def test_an_unknown_function_is_named_beside_those_that_are_known(host: Devhost) -> None:
    response = host.post(host.api("/orchestrators/dubble"))
    wanted = "The function 'dubble' doesn't exist, is disabled, or is not an orchestrator function. Additional info: "
    assert fault(response, 400, ARGUMENT, f"{wanted}The following are the known orchestrator functions: 'activities', ")
    assert response.json()["ExceptionType"] == "System.ArgumentException"


@pytest.mark.parametrize("value", [{"a": [1, "Łódź"]}, [1, 2], 5, True, "text"])
def test_the_input_of_a_start_is_stored_as_it_came(host: Devhost, value: Any) -> None:
    """What is no object fails in get_input of the SDK, as it does on the real host, and is the row's input all the
    same; a text has to be JSON once more.
    """
    instance = host.post(host.api("/orchestrators/plain"), value).json()["id"]
    status = host.finished(instance)
    (row,) = host.rows("Instances", instance)
    assert row["Input"] == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert status["input"] == value
    assert status["runtimeStatus"] == ("Completed" if isinstance(value, dict) else "Failed")


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
    response = host.post(host.api(f"/orchestrators/{name}?timeout=20&pollingInterval=0.1{query}"))
    assert (response.status, response.headers["Content-Type"]) == (status, JSON_TYPE)
    assert response.json().items() >= body.items() if isinstance(body, dict) else response.json() == body


def test_a_start_that_waits_in_vain_is_answered_like_any_other(host: Devhost) -> None:
    response = host.post(host.api("/orchestrators/two_names/waits?timeout=0.2&pollingInterval=0.1"))
    assert (response.status, response.headers["Retry-After"]) == (202, "10")
    assert response.headers["Location"] == response.json()["statusQueryGetUri"]
    assert list(response.json()) == list(host.post(host.api("/orchestrators/plain")).json())
    assert fault(host.post(host.api("/orchestrators/plain?timeout=1&pollingInterval=2")), 400, ARGUMENT, "timeout")


def test_half_a_wish_to_wait_is_none(host: Devhost) -> None:
    assert host.post(host.api("/orchestrators/two_names?timeout=20")).status == 202
    assert host.post(host.api("/orchestrators/two_names?pollingInterval=20")).status == 202


def test_a_restart_is_answered_like_a_start(host: Devhost, ended: dict[str, str]) -> None:
    response = host.post(host.api(f"/instances/{ended['Completed']}/restart"))
    assert (response.status, response.headers["Retry-After"]) == (202, "10")
    assert response.json()["id"] not in ended.values()
    assert host.finished(response.json()["id"])["output"] == {"input": {"a": 1}}
    waited = host.post(host.api(f"/instances/{ended['Completed']}/restart?timeout=20&pollingInterval=0.1"))
    assert (waited.status, waited.json()) == (200, {"input": {"a": 1}})
    unknown = host.post(host.api("/instances/nobody/restart"))
    assert (unknown.status, set(unknown.json())) == (400, FAULT)
    assert unknown.json()["Message"] == "InstanceId does not match a valid orchestration instance."


def test_a_restart_under_a_running_id_is_refused(host: Devhost, running: str) -> None:
    response = host.post(host.api(f"/instances/{running}/restart?restartWithNewInstanceId=false"))
    assert fault(response, 500, WRONG, "An Orchestration instance with the status Running already exists.")


def test_json_is_read_sixty_four_deep_as_newtonsoft_does(host: Devhost) -> None:
    deep = b'{"a":' * 64 + b'"[[[[{{{{ in a text \\" do not count"' + b"}" * 64
    kind = {"Content-Type": "application/json"}
    assert send(host, "POST", "/orchestrators/plain", deep, **kind).status == 202
    assert send(host, "POST", "/orchestrators/plain", b"[" + deep + b"]", **kind).status == 400
    assert send(host, "POST", "/orchestrators/plain", b"[" * 500_000, **kind).status == 400
