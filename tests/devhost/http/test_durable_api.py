"""The Durable API over the life of an instance: start, status, events, end, purge."""

from collections.abc import Callable

import pytest

from tests.devhost.support.hosts import Devhost, until


def test_a_start_answers_202_with_every_url(host: Devhost) -> None:
    response = host.post(host.api("/orchestrators/echo/by-http?code=x"), {"a": 1})
    assert response.status == 202
    base = f"{host.url}/runtime/webhooks/durabletask/instances/by-http"
    query = f"taskHub={host.hub}&connection=Storage&code="
    assert response.json() == {
        "id": "by-http",
        "statusQueryGetUri": f"{base}?{query}",
        "sendEventPostUri": f"{base}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{base}/terminate?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{base}?{query}",
        "restartPostUri": f"{base}/restart?{query}",
        "suspendPostUri": f"{base}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{base}/resume?reason={{text}}&{query}",
    }
    assert response.headers["Location"] == response.json()["statusQueryGetUri"]
    assert response.headers["Retry-After"] == "10"
    assert host.finished("by-http")["output"] == {"a": 1}


def test_the_same_urls_come_from_the_sdk(host: Devhost) -> None:
    response = host.post("/api/start/echo?id=by-sdk")
    assert response.json()["statusQueryGetUri"].startswith(f"{host.url}/runtime/webhooks/durabletask/instances/by-sdk?")
    assert host.get(response.json()["statusQueryGetUri"]).status in (200, 202)


def test_a_start_that_waits_answers_with_the_output_alone(host: Devhost) -> None:
    assert host.post(host.api("/orchestrators/chain?timeout=10&pollingInterval=0.05"), "2").json() == 16
    assert host.post(host.api("/orchestrators/approval?timeout=0.1&pollingInterval=0.05")).status == 202
    assert host.post(host.api("/orchestrators/chain?timeout=1&pollingInterval=5")).status == 400


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("/orchestrators/chian", {}, "The function 'chian' doesn't exist"),
        ("/orchestrators/echo/@x", {}, "must not begin with '@'"),
        (f"/orchestrators/echo/{'x' * 257}", {}, "256 characters"),
        ("/orchestrators/echo/a%23b", {}, "must not contain"),
    ],
)
def test_a_bad_start_is_400_with_the_reason(host: Devhost, path: str, content: object, words: str) -> None:
    response = host.post(host.api(path), content)
    assert response.status == 400
    assert words in response.json()["ExceptionMessage"]


def test_a_start_with_bad_json_is_400(host: Devhost) -> None:
    kind = {"Content-Type": "application/json"}
    response = host.request("POST", host.api("/orchestrators/echo"), b"{", **kind)
    assert (response.status, response.json()["Message"]) == (400, "Invalid JSON content")
    assert host.request("POST", host.api("/orchestrators/echo"), b"[" * 100_000, **kind).status == 400


def test_a_second_start_of_a_running_id_is_refused_and_of_a_finished_one_not(host: Devhost) -> None:
    host.begin("approval", None, "twice")
    until(lambda: host.status("twice")["runtimeStatus"] == "Running")
    response = host.post(host.api("/orchestrators/approval/twice"))
    assert response.status == 500
    assert response.json()["ExceptionMessage"] == "An Orchestration instance with the status Running already exists."
    host.event("twice", "answer", 1)
    host.finished("twice")
    assert host.post(host.api("/orchestrators/echo/twice"), {"again": 1}).status == 202
    until(lambda: host.status("twice")["name"] == "echo")


def test_the_status_follows_the_instance(host: Devhost) -> None:
    instance = host.begin("approval", 60)
    until(lambda: host.status(instance)["customStatus"] == "waiting")
    response = host.get(host.api(f"/instances/{instance}"))
    assert (response.status, response.headers["Retry-After"]) == (202, "5")
    assert response.headers["Location"] == f"{host.url}{host.api(f'/instances/{instance}')}"
    assert set(response.json()) == {
        *("name", "instanceId", "runtimeStatus", "input", "customStatus", "output", "createdTime", "lastUpdatedTime")
    }
    assert host.status(instance, "?showInput=false")["input"] is None
    assert host.get(host.api("/instances/unknown")).status == 404
    host.event(instance, "answer", 1)
    host.finished(instance)
    assert host.get(host.api(f"/instances/{instance}")).status == 200


def test_a_failed_instance_is_500_only_when_asked(host: Devhost) -> None:
    instance = host.run("raises")["instanceId"]
    assert host.get(host.api(f"/instances/{instance}")).status == 200
    assert host.get(host.api(f"/instances/{instance}?returnInternalServerErrorOnFailure=true")).status == 500


def test_the_history_is_shown_for_readers(host: Devhost) -> None:
    instance = host.run("chain", 1)["instanceId"]
    history = host.status(instance, "?showHistory=true&showHistoryOutput=true")["historyEvents"]
    kinds = ["ExecutionStarted", "TaskCompleted", "TaskCompleted", "TaskCompleted", "ExecutionCompleted"]
    assert [entry["EventType"] for entry in history] == kinds
    assert history[0]["FunctionName"] == "chain"
    assert (history[1]["FunctionName"], history[1]["Result"]) == ("double", 2)
    assert history[1]["ScheduledTime"] < history[1]["Timestamp"]
    assert (history[-1]["OrchestrationStatus"], history[-1]["Result"]) == ("Completed", 8)
    assert "TaskScheduledId" not in history[1]
    without = host.status(instance, "?showHistory=true&showInput=false")["historyEvents"]
    assert not any("Result" in entry or "Input" in entry for entry in without)


def test_the_sdk_reads_the_status(host: Devhost) -> None:
    instance = host.run("chain", 1)["instanceId"]
    status = host.get(f"/api/client/{instance}").json()
    assert status == {"status": "OrchestrationRuntimeStatus.Completed", "output": 8, "truth": True}


def test_events_are_refused_by_the_state_of_their_instance(host: Devhost) -> None:
    done = host.run("plain")["instanceId"]
    assert host.event("unknown", "x", 1).status == 404
    assert host.event(done, "x", 1).status == 410
    running = host.begin("approval")
    path = host.api(f"/instances/{running}/raiseEvent/answer")
    assert host.request("POST", path, b"1", **{"Content-Type": "text/plain"}).status == 415
    assert host.request("POST", path, b"{", **{"Content-Type": "application/json"}).status == 400
    assert host.request("POST", path, b"", **{"Content-Type": "application/json"}).status == 400
    assert (host.event(running, "answer", 1).status, host.event(running, "x", 1).body) == (202, b"")


def test_terminate_ends_an_instance_with_its_reason(host: Devhost) -> None:
    instance = host.begin("approval")
    path = host.api(f"/instances/{instance}/terminate?reason=no%20more")
    assert host.post(path).status == 202
    status = host.finished(instance)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "no more")
    assert host.post(path).status == 410
    assert host.post(host.api("/instances/unknown/terminate")).status == 404


def test_purge_takes_every_trace(host: Devhost) -> None:
    instance = host.run("large_texts", {"size": 100_000, "padding": ""})["instanceId"]
    response = host.delete(host.api(f"/instances/{instance}"))
    assert (response.status, response.json()) == (200, {"instancesDeleted": 1})
    assert host.rows("Instances", instance) + host.rows("History", instance) == []
    assert host.delete(host.api(f"/instances/{instance}")).status == 404


def test_a_running_instance_can_be_purged(host: Devhost) -> None:
    instance = host.begin("approval")
    until(lambda: host.status(instance)["runtimeStatus"] == "Running")
    assert host.delete(host.api(f"/instances/{instance}")).status == 200
    assert host.get(host.api(f"/instances/{instance}")).status == 404


def test_instances_are_listed_by_prefix_status_and_page(host: Devhost) -> None:
    for number in range(3):
        host.run("plain", None, f"listed-{number}")
    host.begin("approval", None, "listed-3")
    until(lambda: host.status("listed-3")["runtimeStatus"] == "Running")
    everything = host.get(host.api("/instances?instanceIdPrefix=listed-")).json()
    assert [entry["instanceId"] for entry in everything] == [f"listed-{number}" for number in range(4)]
    running = host.get(host.api("/instances/?instanceIdPrefix=listed-&runtimeStatus=Running,Pending")).json()
    assert [entry["instanceId"] for entry in running] == ["listed-3"]
    page = host.get(host.api("/instances?instanceIdPrefix=listed-&top=3"))
    rest = host.get(
        host.api("/instances?instanceIdPrefix=listed-&top=3"),
        **{"x-ms-continuation-token": page.headers["x-ms-continuation-token"]},
    )
    assert (len(page.json()), len(rest.json())) == (3, 1)
    assert "x-ms-continuation-token" not in rest.headers
    assert host.get(host.api("/instances?top=none")).status == 400
    assert host.get(host.api("/instances?createdTimeFrom=2999-01-01T00:00:00Z")).json() == []


def test_finished_instances_are_purged_by_time(new_host: Callable[..., Devhost]) -> None:
    host = new_host().start()
    host.run("plain")
    running = host.begin("approval")
    assert host.delete(host.api("/instances")).json() == "Please provide value for 'createdTimeFrom' parameter."
    response = host.delete(host.api("/instances?createdTimeFrom=2020-01-01T00:00:00Z"))
    assert response.json() == {"instancesDeleted": 1}
    assert host.delete(host.api("/instances/?createdTimeFrom=2020-01-01T00:00:00Z")).status == 404
    assert host.status(running)["runtimeStatus"] in ("Pending", "Running")
