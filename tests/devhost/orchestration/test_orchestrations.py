"""Each feature of an orchestration, run through devhost and the SDK's own client."""

import json

import pytest

from tests.devhost.support.hosts import Devhost, until


def test_activities_in_a_chain_hand_on_their_results(host: Devhost) -> None:
    assert host.run("chain", 5)["output"] == 40


def test_an_instance_takes_the_id_that_it_is_given(host: Devhost) -> None:
    status = host.run("echo", {"a": [1, "ź"]}, "my-own-id")
    assert (status["instanceId"], status["output"]) == ("my-own-id", {"a": [1, "ź"]})


def test_an_orchestrator_without_a_yield_completes(host: Devhost) -> None:
    assert host.run("plain")["output"] == "no generator"


def test_no_input_is_none_and_no_output_is_null(host: Devhost) -> None:
    status = host.run("echo")
    assert (status["input"], status["output"]) == (None, None)


def test_fan_out_runs_sync_and_async_activities(host: Devhost) -> None:
    assert host.run("fan_out", 20)["output"] == [380, [8, "double_slowly"]]


def test_more_tasks_than_one_transaction_holds_are_all_scheduled(host: Devhost) -> None:
    assert host.run("wide")["output"] == 2 * sum(range(150))


def test_timers_fire_not_early_and_at_once_when_past(host: Devhost) -> None:
    assert host.run("clock")["output"] == "fired"


def test_an_event_over_http_arrives_decoded_and_ends_the_wait(host: Devhost) -> None:
    instance = host.begin("approval")
    assert host.event(instance, "answer", {"yes": True}).status == 202
    assert host.finished(instance)["output"] == {"yes": True}


def test_an_event_through_the_sdk_arrives_as_json_text(host: Devhost) -> None:
    instance = host.begin("approval")
    assert host.post(f"/api/raise/{instance}/answer", {"yes": True}).status == 200
    assert host.finished(instance)["output"] == '{"yes": true}'


def test_a_wait_that_times_out_goes_the_other_way(host: Devhost) -> None:
    assert host.run("approval", 0.2)["output"] == "timed out"


def test_an_event_before_its_wait_is_not_lost(host: Devhost) -> None:
    instance = host.begin("two_events")
    assert host.event(instance, "second", 2).status == 202
    assert host.event(instance, "first", 1).status == 202
    assert host.finished(instance)["output"] == [1, 2]


def test_a_retry_calls_again_and_goes_on_with_the_right_ids(host: Devhost) -> None:
    status = host.run("retrying", {"key": "twice", "times": 2})
    assert status["output"] == [3, 6]
    events = host.rows("History", status["instanceId"])
    ids = [row["EventId"] for row in events if row.get("EventType") in ("TaskScheduled", "TimerCreated")]
    assert ids == [0, 1, 2, 3, 4, 5]


def test_a_retry_that_is_exhausted_fails_with_the_last_error(host: Devhost) -> None:
    status = host.run("retrying", {"key": "always", "times": 9})
    assert status["runtimeStatus"] == "Failed"
    assert "ValueError: call 3 of always" in status["output"]
    assert host.events(status["instanceId"]).count("TimerFired") == 3


def test_retries_side_by_side_do_not_mix_their_ids(host: Devhost) -> None:
    inputs = [{"key": f"side-{index}", "times": times} for index, times in enumerate((0, 1, 2, 1))]
    assert host.run("retrying_all", inputs)["output"] == [1, 2, 3, 2]


def test_a_failed_activity_is_reported_as_the_extension_words_it(host: Devhost) -> None:
    text = host.run("caught")["output"]
    assert text.startswith("Activity function 'fail_times' failed:  ValueError: call 1 of ")
    assert ' \n {"ClassName":"System.Exception","Message":" ValueError: call 1 of ' in text


def test_an_activity_failure_that_nobody_catches_fails_the_instance(host: Devhost) -> None:
    status = host.run("uncaught")
    assert status["runtimeStatus"] == "Failed"
    wanted = "Orchestrator function 'uncaught' failed: Activity function 'fail_times' failed:  ValueError: call 1"
    assert status["output"].startswith(wanted)


def test_an_orchestrator_that_raises_fails_with_its_own_text(host: Devhost) -> None:
    status = host.run("raises")
    assert status["output"] == "Orchestrator function 'raises' failed: this $OutOfProcData$: {is} no state"
    assert "this $OutOfProcData$" in host.log


@pytest.mark.parametrize(
    ("orchestrator", "sentence"),
    [
        ("misspelled", "The function 'dubble' doesn't exist, is disabled, or is not an activity function."),
        ("misspelled_child", "The function 'chian' doesn't exist, is disabled, or is not an orchestrator function."),
        ("large_status", "The size of the JSON-serialized payload of the custom status must not exceed 16 KB."),
    ],
)
def test_what_would_hang_elsewhere_fails_with_a_sentence(host: Devhost, orchestrator: str, sentence: str) -> None:
    status = host.run(orchestrator)
    assert status["runtimeStatus"] == "Failed"
    assert sentence in status["output"]
    assert sentence in host.log


def test_a_request_of_an_orchestrator_is_made_and_its_answer_kept(host: Devhost) -> None:
    status = host.run("calls_http", f"{host.url}/api/first/one", "requesting")
    assert status["output"] == [200, "the word"]
    (scheduled,) = [row for row in host.rows("History", "requesting") if row.get("EventType") == "TaskScheduled"]
    assert scheduled["Name"] == "BuiltIn::HttpActivity"
    (request,) = json.loads(scheduled["Input"])
    assert (request["method"], request["uri"]) == ("GET", f"{host.url}/api/first/one")
    assert host.run("calls_http", f"{host.url}/nowhere")["output"][0] == 404


def test_a_request_that_has_no_answer_fails_as_an_activity(host: Devhost) -> None:
    status = host.run("calls_http", "http://127.0.0.1:1/")
    assert status["runtimeStatus"] == "Failed"
    assert "Activity function 'BuiltIn::HttpActivity' failed:" in status["output"]


def test_sub_orchestrations_return_results_and_failures(host: Devhost) -> None:
    status = host.run("parent", None, "a-parent")
    one, two, text = status["output"]
    assert (one, two) == (40, 48)
    assert text.startswith("Orchestrator function 'uncaught' failed: Activity function 'fail_times' failed:")
    assert host.status("a-parent-child")["output"] == 48


def test_a_sub_orchestration_is_retried_under_its_own_id(host: Devhost) -> None:
    assert host.run("retrying_parent")["output"] == 3
    assert host.status("same-child")["runtimeStatus"] == "Completed"


def test_continue_as_new_begins_a_new_execution_under_the_same_id(host: Devhost) -> None:
    status = host.run("counting", 1)
    assert status["output"] == 4
    assert host.events(status["instanceId"]).count("ExecutionStarted") == 1


def test_an_endless_row_of_generations_can_be_terminated(host: Devhost) -> None:
    instance = host.begin("for_ever")
    until(lambda: host.status(instance)["runtimeStatus"] == "Running")
    assert host.post(host.api(f"/instances/{instance}/terminate?reason=enough")).status == 202
    assert host.finished(instance)["runtimeStatus"] == "Terminated"


def test_a_custom_status_is_shown_and_can_be_taken_back(host: Devhost) -> None:
    instance = host.begin("statuses")
    until(lambda: host.status(instance)["customStatus"] == {"step": 1, "name": "Łódź"})
    host.event(instance, "go", 0)
    until(lambda: host.status(instance)["customStatus"] is None)
    host.event(instance, "goon", 0)
    assert host.finished(instance)["output"] == "ended"


def test_a_result_that_is_no_json_is_a_failed_activity(host: Devhost) -> None:
    assert "activity trigger output must be json serializable" in host.run("not_json")["output"]


def test_large_texts_come_back_whole(host: Devhost) -> None:
    sizes = {"size": 200_000, "padding": "p" * 100_000}
    status = host.run("large_texts", sizes)
    assert status["output"] == [100_000, "x" * 200_000, 200_000]
    assert "padding" in status["input"]


def test_sys_exit_in_an_activity_is_that_activitys_failure(host: Devhost) -> None:
    assert "SystemExit: 3" in host.run("leaving", "sys.exit")["output"]


def test_an_activity_that_kills_its_worker_three_times_fails_named_and_alone(host: Devhost) -> None:
    neighbour = host.begin("fan_out", 30)
    text = host.finished(host.begin_over_http("leaving", "os._exit"))["output"]
    assert text.startswith("Activity function 'leave' failed:  The worker process died 3 times")
    assert host.notes.count("leave os._exit") == 3
    assert host.finished(neighbour)["runtimeStatus"] == "Completed"


def test_an_orchestrator_that_kills_its_worker_three_times_fails_alone(host: Devhost) -> None:
    neighbour = host.begin("fan_out", 30)
    # Not through an HTTP function: it would die with the worker before it has answered.
    text = host.finished(host.begin_over_http("leaving_orchestrator"))["output"]
    assert "The worker process died 3 times while it ran this orchestrator" in text
    assert host.notes.count("leaving orchestrator") == 3
    assert host.finished(neighbour)["runtimeStatus"] == "Completed"


def test_a_result_of_more_than_64_mib_fails_its_own_instance(host: Devhost) -> None:
    neighbour = host.begin("fan_out", 10)
    ended = host.run("large_texts", {"size": 64 * 2**20, "padding": ""})
    assert ended["runtimeStatus"] == "Failed"
    assert "the result has 67108866 bytes of JSON; at most 67108864 can be kept" in ended["output"]
    assert host.finished(neighbour)["runtimeStatus"] == "Completed"


def test_an_orchestrator_that_decides_otherwise_later_fails_with_a_sentence(host: Devhost) -> None:
    instance = host.begin("changing")
    until(lambda: "TaskCompleted" in host.events(instance))
    with host.notes_file.open("a", encoding="utf-8") as notes:
        notes.write("changed\n")
    host.event(instance, "go", 1)
    status = host.finished(instance)
    assert "Non-Deterministic workflow detected: step 1 was activity 'double'" in status["output"]


def test_what_azure_would_number_otherwise_runs_and_is_logged_once(host: Devhost) -> None:
    for key in ("deadline-1", "deadline-2"):
        assert host.run("retry_against_a_deadline", {"key": key, "times": 1})["output"] == 2
    warning = "Orchestrator 'retry_against_a_deadline' (instance "
    assert host.log.count(warning) == 1
    line = next(line for line in host.log.splitlines() if warning in line)
    assert "would not run like this in Azure: activity 'double' took number 4, after a retry" in line
    host.run("retrying", {"key": "no alarm", "times": 1})
    assert not [line for line in host.log.splitlines() if "'retrying'" in line and "in Azure" in line]


def test_an_instance_that_has_ended_and_waits_for_a_timer_is_named(host: Devhost) -> None:
    instance = host.begin("cancels_a_long_timer")
    until(lambda: "Orchestrator 'cancels_a_long_timer' (instance" in host.log)
    assert "has ended and stays Running until a timer fires, here as in Azure" in host.log
    assert host.status(instance)["runtimeStatus"] == "Running"
    assert host.post(host.api(f"/instances/{instance}/terminate")).status == 202
