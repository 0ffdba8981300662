"""Every call of the SDK's DurableOrchestrationClient, made by an HTTP function of the app as users make it."""

from typing import Any

import pytest

from tests.devhost.support.hosts import APPS, Devhost, until

APP = APPS / "conformance"
LONG_AGO, FAR_AWAY = "2020-01-01T00:00:00", "2999-01-01T00:00:00"


@pytest.fixture
def running(host: Devhost) -> str:
    """An instance that waits for events."""
    instance = host.begin("two_names")
    until(lambda: host.status(instance)["runtimeStatus"] == "Running")
    return instance


@pytest.fixture(scope="module")
def done(host: Devhost) -> str:
    return str(host.run("plain", {"a": 1}, "done")["instanceId"])


def call(host: Devhost, method: str, **arguments: Any) -> Any:
    """What a call of the client answered."""
    outcome = host.post(f"/api/call/{method}", arguments).json()
    assert "answer" in outcome, outcome
    return outcome["answer"]


def refused(host: Devhost, method: str, **arguments: Any) -> str:
    """What a call of the client raised."""
    return str(host.post(f"/api/call/{method}", arguments).json()["raised"])


def test_start_new_answers_the_id(host: Devhost) -> None:
    arguments = {"orchestration_function_name": "plain", "instance_id": "named", "client_input": {"a": [1]}}
    assert call(host, "start_new", **arguments) == "named"
    assert host.finished("named")["output"] == {"input": {"a": [1]}}
    assert len(call(host, "start_new", orchestration_function_name="plain")) == 32


def test_start_new_raises_the_message_of_the_host(host: Devhost, running: str) -> None:
    text = refused(host, "start_new", orchestration_function_name="dubble")
    assert text.startswith("The function 'dubble' doesn't exist, is disabled, or is not an orchestrator function.")
    twice = refused(host, "start_new", orchestration_function_name="plain", instance_id=running)
    assert "An Orchestration instance with the status Running already exists." in twice


@pytest.mark.parametrize("value", [{"k": 1}, [1, "Łódź"], "text", 5, 1.5, True, False])
def test_any_json_input_arrives_as_it_was_given(host: Devhost, value: Any) -> None:
    instance = call(host, "start_new", orchestration_function_name="plain", client_input=value)
    assert host.finished(instance)["output"] == {"input": value}


def test_get_status_reads_an_instance_and_is_false_for_none(host: Devhost, done: str) -> None:
    status = call(host, "get_status", instance_id=done, show_history=True, show_history_output=True, show_input=True)
    wanted = {"true": True, "instanceId": done, "name": "plain", "runtimeStatus": "Completed"}
    assert status.items() >= wanted.items()
    assert status["output"] == {"input": {"a": 1}}
    assert call(host, "get_status", instance_id="nobody") == {"true": False}


def test_get_status_all_and_by_list_instances(host: Devhost, done: str, running: str) -> None:
    everything = {each["instanceId"]: each["runtimeStatus"] for each in call(host, "get_status_all")}
    assert (everything[done], everything[running]) == ("Completed", "Running")
    by = {"created_time_from": LONG_AGO, "created_time_to": FAR_AWAY, "instance_id_prefix": done}
    assert [each["instanceId"] for each in call(host, "get_status_by", **by)] == [done]
    assert call(host, "get_status_by", **by, runtime_status=["Failed", "Terminated"]) == []
    assert call(host, "get_status_by", created_time_from=FAR_AWAY) == []


@pytest.mark.parametrize(
    ("data", "heard"), [({"k": 1}, '{"k": 1}'), (True, "true"), ("text", '"text"'), (None, "null")]
)
def test_raise_event_is_heard_as_json_text(host: Devhost, running: str, data: Any, heard: str) -> None:
    """The client encodes what is JSON already once more: user code hears a text."""
    call(host, "raise_event", instance_id=running, event_name="first", event_data=data)
    call(host, "raise_event", instance_id=running, event_name="second", event_data=1)
    assert host.finished(running)["output"] == [heard, "1"]


def test_raise_event_raises_for_an_instance_that_takes_no_events(host: Devhost, done: str) -> None:
    for instance, words in (("nobody", "No instance with ID nobody found"), (done, "either completed or failed")):
        event = {"instance_id": instance, "event_name": "x", "event_data": 1}
        assert words.lower() in refused(host, "raise_event", **event).lower()


def test_terminate_suspend_and_resume(host: Devhost, running: str, done: str) -> None:
    for method, state in (("suspend", "Suspended"), ("resume", "Running"), ("terminate", "Terminated")):
        call(host, method, instance_id=running, reason="a reason & more")
        until(lambda state=state: host.status(running)["runtimeStatus"] == state)  # type: ignore[misc]
    assert host.status(running)["output"] == "a reason & more"
    for method in ("suspend", "resume", "terminate"):
        call(host, method, instance_id=done, reason="too late, and no fault")
        assert "nobody" in refused(host, method, instance_id="nobody", reason="why")


def test_rewind_and_its_refusals(host: Devhost, done: str) -> None:
    host.run("fragile", None, "rewound")
    call(host, "rewind", instance_id="rewound", reason="mended by hand")
    until(lambda: host.status("rewound")["runtimeStatus"] == "Completed")
    assert "nobody" in refused(host, "rewind", instance_id="nobody", reason="why")
    assert refused(host, "rewind", instance_id=done, reason="why")


@pytest.mark.parametrize("new", [True, False])
def test_restart_answers_the_payload_of_the_new_instance(host: Devhost, new: bool) -> None:
    instance = str(host.run("plain", {"a": 1})["instanceId"])
    answer = call(host, "restart", instance_id=instance, restart_with_new_instance_id=new)
    assert (answer["id"] == instance) is not new
    assert host.finished(answer["id"])["output"] == {"input": {"a": 1}}


def test_purge_counts_what_went(host: Devhost) -> None:
    host.run("plain", None, "purged")
    assert call(host, "purge_instance_history", instance_id="purged") == {"purged": 1}
    assert call(host, "purge_instance_history", instance_id="purged") == {"purged": 0}
    host.run("fails", None, "purged-too")
    by = {"created_time_from": LONG_AGO, "runtime_status": ["Failed"]}
    assert call(host, "purge_instance_history_by", **by)["purged"] >= 1
    assert call(host, "purge_instance_history_by", created_time_from=FAR_AWAY) == {"purged": 0}


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("plain", 200, {"input": None}),
        ("silent", 200, None),
        ("fails", 500, {"runtimeStatus": "Failed"}),
        ("two_names", 202, {"id": "waits-two_names"}),
    ],
)
def test_waiting_for_an_end_answers_with_it_or_with_where_to_ask(
    host: Devhost, name: str, status: int, body: Any
) -> None:
    host.begin(name, None, f"waits-{name}")
    times = f"timeout_in_milliseconds={300 if status == 202 else 20_000}&retry_interval_in_milliseconds=50"
    response = host.post(f"/api/wait/waits-{name}?{times}")
    assert response.status == status, response.text
    assert response.json() is None if body is None else response.json().items() >= body.items()


def test_the_management_payload_works_as_it_stands(host: Devhost, running: str) -> None:
    urls = host.get(f"/api/payload/{running}").json()
    assert urls["id"] == running
    assert host.get(urls["statusQueryGetUri"]).json()["instanceId"] == running
    for name, words in (("suspendPostUri", "Suspended"), ("resumePostUri", "Running")):
        assert host.post(urls[name].replace("{text}", "why")).status == 202
        assert host.status(running)["runtimeStatus"] == words
    for event in ("first", "second"):
        assert host.post(urls["sendEventPostUri"].replace("{eventName}", event), event).status == 202
    assert host.finished(running)["output"] == ["first", "second"]
    assert host.post(urls["rewindPostUri"].replace("{text}", "why")).status == 410
    assert host.post(urls["terminatePostUri"].replace("{text}", "why")).status == 410
    assert host.post(urls["restartPostUri"]).status == 202
    assert host.delete(urls["purgeHistoryDeleteUri"]).json() == {"instancesDeleted": 1}
