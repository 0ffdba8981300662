"""The status of an instance, its history and lists of instances, as the extension answers them."""

import re
from typing import Any

import pytest

from devtools.processes.http import HttpResponse
from tests.devhost.support.durable_api import JSON_TYPE, send
from tests.devhost.support.hosts import APPS, Devhost, until

APP = APPS / "conformance"
WHOLE_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_a_status_has_these_fields_and_whole_seconds(host: Devhost, ended: dict[str, str]) -> None:
    response = send(host, "GET", f"/instances/{ended['Completed']}")
    assert (response.status, response.headers["Content-Type"]) == (200, JSON_TYPE)
    status = response.json()
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
        response = send(host, "GET", path)
        assert (response.status, response.headers["Retry-After"]) == (202, "5")
        assert response.headers["Location"] == f"{host.url}{host.api(path)}"
        assert response.json()["runtimeStatus"] == ("Suspended" if verb == "suspend" else "Running")


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
    response = send(host, "GET", f"/instances/{ended[state]}{query}")
    assert (response.status, response.json()["runtimeStatus"]) == (status, state)
    assert not {"Location", "Retry-After"} & set(response.headers)


def test_inputs_and_outputs_are_shown_when_they_are_asked_for(host: Devhost, ended: dict[str, str]) -> None:
    instance = ended["Completed"]
    assert host.status(instance, "?showInput=false")["input"] is None
    assert host.status(instance, "?showInput=true")["input"] == '{"a": 1}'
    assert "historyEvents" not in host.status(instance, "?showHistoryOutput=true")
    assert "historyEvents" not in host.status(instance, "?showHistory=false")


def history(host: Devhost, instance: str, query: str = "") -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = host.status(instance, f"?showHistory=true{query}")["historyEvents"]
    return events


def test_the_history_of_a_status_has_each_event_once(host: Devhost) -> None:
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


def names(response: HttpResponse) -> list[str]:
    return [each["instanceId"] for each in response.json()]


@pytest.mark.parametrize(
    ("query", "wanted"),
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
def test_a_list_is_filtered(host: Devhost, listed: list[str], query: str, wanted: slice) -> None:
    for path in ("/instances", "/instances/", "/Instances"):
        response = send(host, "GET", f"{path}?instanceIdPrefix=listed-{query}")
        assert (response.status, response.headers["Content-Type"]) == (200, JSON_TYPE)
        assert names(response) == listed[wanted]


def test_a_list_is_of_status_objects(host: Devhost, listed: list[str]) -> None:
    response = send(host, "GET", "/instances?instanceIdPrefix=listed-")
    assert response.json() == [host.status(each) for each in listed]
    hidden = send(host, "GET", "/instances?instanceIdPrefix=listed-&showInput=false")
    assert [each["input"] for each in hidden.json()] == [None] * 5


def test_a_list_goes_on_where_its_token_says(host: Devhost, listed: list[str]) -> None:
    ids: list[str] = []
    token = ""
    for _ in range(3):
        response = send(
            host, "GET", "/instances?instanceIdPrefix=listed-&top=2", None, **{"x-ms-continuation-token": token}
        )
        ids += names(response)
        token = response.headers.get("x-ms-continuation-token", "")
    assert (ids, token) == (listed, "")


def test_a_page_has_a_hundred_instances(host: Devhost) -> None:
    for number in range(101):
        assert host.post(host.api(f"/orchestrators/plain/many-{number:03}")).status == 202
    response = send(host, "GET", "/instances?instanceIdPrefix=many-")
    assert len(response.json()) == 100
    assert response.headers["x-ms-continuation-token"]
