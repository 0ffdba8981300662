"""Every answer of the Durable API is JSON in UTF-8, whatever the texts and numbers of an app hold."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from devhost.history.events import compact_json
from devhost.history.statuses import parsed
from devtools.processes.http import HttpResponse
from tests.devhost.apps.any_text.function_app import VALUES
from tests.devhost.support.hosts import APPS, FINISHED, Devhost, until

Hosts = Callable[..., Devhost]
ANY_TEXT = APPS / "any_text"
PLACES = (
    "in_status in_output in_result in_activity_input in_failure in_own_failure in_next_input in_child in_state".split()
)
OVER_HTTP = [
    b'"caf\\ud83d"',
    b"NaN",
    b'{"a":[-Infinity]}',
    b"1e999",
    b'{"caf\\ud83d":1}',
    b"[" * 60 + b"]" * 60,
    b'"' + "é😀".encode() + b'"',
]


def strict(response: HttpResponse) -> Any:
    """The JSON of an answer, read as a client does that takes nothing else."""
    assert response.status in (200, 202), (response.status, response.body[:300])
    return json.loads(response.body.decode("utf-8"), parse_constant=no_number)


def no_number(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def all_of(host: Devhost) -> list[Any]:
    statuses: list[Any] = strict(host.get(host.api("/instances?top=1000")))
    return statuses


def test_any_text_of_an_app_is_listed_raised_and_shown_also_after_a_restart(new_host: Hosts) -> None:
    host = new_host(app=ANY_TEXT).start()
    instances = [host.begin_over_http(place, text) for place in PLACES for text in VALUES]
    instances += [host.get(f"/api/start/{quote(text)}").text for text in VALUES]
    for body in OVER_HTTP:
        response = host.request("POST", host.api("/orchestrators/echo"), body, **{"Content-Type": "application/json"})
        instances.append(strict(response)["id"])
    for text in VALUES:
        instances.append(host.begin_over_http("in_event"))
        assert host.get(f"/api/raise/{instances[-1]}/{quote(text)}").text == "raised"
    for body in OVER_HTTP:
        instances.append(host.begin_over_http("in_event"))
        path = host.api(f"/instances/{instances[-1]}/raiseEvent/value")
        assert host.request("POST", path, body, **{"Content-Type": "application/json"}).status == 202
    until(lambda: all(each["runtimeStatus"] in FINISHED for each in all_of(host) if each["name"][0] != "@"))
    ended = {each["instanceId"]: each for each in all_of(host)}
    failed = {each["name"] for each in ended.values() if each["runtimeStatus"] == "Failed"}
    assert failed <= {"in_failure", "in_own_failure", "echo"}, failed  # to the SDK an input is JSON in a JSON text
    not_finite = [ended[host_id]["output"] for host_id in instances[len(VALUES) :][: len(VALUES)]]
    assert not_finite[3:6] == ["NaN", "Infinity", "-Infinity"]
    host.kill()
    host.start()
    assert {each["instanceId"] for each in all_of(host)} >= set(instances)
    for instance in instances:
        strict(host.get(host.api(f"/instances/{instance}?showHistory=true&showHistoryOutput=true&showInput=true")))
    strict(host.get(host.api("/entities?fetchState=true")))
    assert int(host.get("/api/count").text) == 100
    host.kill()  # not judged: the judge compares texts that a strict reader cannot compare


def test_what_cannot_be_a_key_or_a_header_fails_its_orchestrator_with_a_sentence(new_host: Hosts) -> None:
    host = new_host(app=ANY_TEXT).start()
    outputs = {name: host.finished(host.begin_over_http(name))["output"] for name in ("in_child_id", "in_entity_key")}
    reason = "An id must not hold half of a surrogate pair: "
    assert outputs == {
        "in_child_id": f"Orchestrator function 'in_child_id' failed: {reason}'caf\\ud83d'.",
        "in_entity_key": f"Orchestrator function 'in_entity_key' failed: {reason}'@keeper@caf\\ud83d'.",
    }
    assert "BuiltIn::HttpActivity" in host.finished(host.begin_over_http("in_request"))["output"]
    host.kill()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), '"NaN"'),
        ([float("inf"), float("-inf")], '["Infinity","-Infinity"]'),
        ({"NaN": 'a "NaN", \\'}, '{"NaN":"a \\"NaN\\", \\\\"}'),
        ({"a": '\\"', "b": float("nan"), "c": "Infinity"}, '{"a":"\\\\\\"","b":"NaN","c":"Infinity"}'),
        ("caf\ud83d", '"caf\\ud83d"'),
        ("é😀", '"é😀"'),
    ],
)
def test_compact_json_is_valid_whatever_it_holds(value: Any, text: str) -> None:
    assert compact_json(value) == text
    json.loads(compact_json(value).encode(), parse_constant=no_number)


def test_a_text_that_is_nested_too_deeply_is_shown_as_text() -> None:
    assert parsed("[" * 100_000) == "[" * 100_000
    assert parsed("[" * 100 + "]" * 100) != "[" * 100 + "]" * 100
    for depth in range(400, 1000):
        compact_json([{"output": parsed("[" * depth + "]" * depth)}])
