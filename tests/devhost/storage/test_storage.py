"""The rows that an orchestration leaves: columns and types of the Azure Storage provider, read by azure-data-tables."""

import gzip
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from azure.storage.blob import BlobServiceClient

from devhost.storage.account import parse_connection_string
from devtools.processes.http import fetch
from tests.devhost.support.hosts import Devhost, until

COMMON = {"PartitionKey", "RowKey", "EventId", "IsPlayed", "_Timestamp", "EventType", "ExecutionId"}


def events_of(host: Devhost, instance: str, kind: str) -> list[dict[str, Any]]:
    return [row for row in host.rows("History", instance) if row.get("EventType") == kind]


def test_the_instances_row_of_a_completed_order_has_the_providers_columns(host: Devhost) -> None:
    host.run("chain", 1, "stored")
    (row,) = host.rows("Instances", "stored")
    types = {name: type(value).__name__ for name, value in row.items()}
    assert types == {
        "PartitionKey": "str",
        "RowKey": "str",
        "Name": "str",
        "Version": "str",
        "Input": "str",
        "Output": "str",
        "CustomStatus": "str",
        "CreatedTime": "TablesEntityDatetime",
        "LastUpdatedTime": "TablesEntityDatetime",
        "CompletedTime": "TablesEntityDatetime",
        "RuntimeStatus": "str",
        "ExecutionId": "str",
        "TaskHubName": "str",
        "Generation": "int",
        "Tags": "str",
    }
    assert (row["RowKey"], row["Name"], row["Version"], row["Input"], row["Output"]) == ("", "chain", "", '"1"', "8")
    assert (row["RuntimeStatus"], row["CustomStatus"], row["Tags"], row["Generation"]) == (
        "Completed",
        "null",
        "null",
        0,
    )
    assert (len(row["ExecutionId"]), row["TaskHubName"]) == (32, host.hub)


def test_the_history_rows_are_numbered_and_end_with_the_sentinel(host: Devhost) -> None:
    instance = host.run("chain", 1)["instanceId"]
    rows = host.rows("History", instance)
    keys = [row["RowKey"] for row in rows]
    assert keys == [f"{number:016X}" for number in range(len(rows) - 1)] + ["sentinel"]
    sentinel = rows[-1]
    assert sentinel["IsCheckpointComplete"] is True
    assert isinstance(sentinel["CheckpointCompletedTimestamp"], datetime)
    (instance_row,) = host.rows("Instances", instance)
    assert {row["ExecutionId"] for row in rows} == {instance_row["ExecutionId"]}
    turn = ["OrchestratorStarted", "TaskCompleted", "TaskScheduled", "OrchestratorCompleted"]
    first = ["OrchestratorStarted", "ExecutionStarted", "TaskScheduled", "OrchestratorCompleted"]
    last = ["OrchestratorStarted", "TaskCompleted", "ExecutionCompleted", "OrchestratorCompleted"]
    assert [row["EventType"] for row in rows[:-1]] == [*first, *turn, *turn, *last]


def test_each_event_has_its_columns(host: Devhost) -> None:
    instance = host.run("chain", 1)["instanceId"]
    (started,) = events_of(host, instance, "ExecutionStarted")
    execution = {"InstanceId": instance, "ExecutionId": started["ExecutionId"]}
    assert json.loads(started["OrchestrationInstance"]) == execution
    assert (started["ParentInstance"], started["Tags"], started["ParentTraceContext"]) == ("null", "null", "null")
    assert set(started) == COMMON | {
        *("OrchestrationInstance", "ParentInstance", "Name", "Version", "Input", "Tags", "ParentTraceContext"),
        "Generation",
    }
    assert (started["EventId"], started["IsPlayed"]) == (-1, True)
    scheduled = events_of(host, instance, "TaskScheduled")
    assert set(scheduled[0]) == COMMON | {"Name", "Version", "Input", "ParentTraceContext", "Tags"}
    assert [(row["EventId"], row["IsPlayed"]) for row in scheduled] == [(0, False), (1, False), (2, False)]
    assert (scheduled[0]["Name"], scheduled[0]["Input"]) == ("double", '["1"]')
    completed = events_of(host, instance, "TaskCompleted")
    assert set(completed[0]) == COMMON | {"TaskScheduledId", "Result"}
    assert [(row["TaskScheduledId"], row["Result"]) for row in completed] == [(0, "2"), (1, "4"), (2, "8")]
    (ended,) = events_of(host, instance, "ExecutionCompleted")
    assert set(ended) == COMMON | {"OrchestrationStatus", "Result", "FailureDetails"}
    assert (ended["EventId"], ended["OrchestrationStatus"], ended["FailureDetails"]) == (3, "Completed", "null")


def test_timers_events_and_children_have_their_columns(host: Devhost) -> None:
    parent = host.run("parent")["instanceId"]
    created = events_of(host, parent, "SubOrchestrationInstanceCreated")
    assert set(created[0]) == COMMON | {"Name", "Version", "InstanceId", "Input", "Tags"}
    assert created[0]["InstanceId"] == f"{created[0]['ExecutionId']}:0"
    assert created[0]["Input"] == '"5"'
    (failed,) = events_of(host, parent, "SubOrchestrationInstanceFailed")
    assert set(failed) == COMMON | {"TaskScheduledId", "Reason", "Details", "FailureDetails"}
    (child,) = events_of(host, created[0]["InstanceId"], "ExecutionStarted")
    caller = {"InstanceId": parent, "ExecutionId": created[0]["ExecutionId"]}
    assert json.loads(child["ParentInstance"]) == {
        "Name": "parent",
        "OrchestrationInstance": caller,
        "TaskScheduleId": 0,
        "Version": "",
    }
    waiting = host.begin("approval", 60)
    host.event(waiting, "answer", {"yes": 1})
    host.finished(waiting)
    (timer,) = events_of(host, waiting, "TimerCreated")
    assert set(timer) == COMMON | {"FireAt"}
    assert isinstance(timer["FireAt"], datetime)
    (raised,) = events_of(host, waiting, "EventRaised")
    assert (raised["Name"], raised["Input"], raised["ParentTraceContext"]) == ("answer", '{"yes":1}', "null")


def test_a_failed_and_a_terminated_instance_say_so_in_both_tables(host: Devhost) -> None:
    failed = host.run("uncaught")["instanceId"]
    (row,) = host.rows("Instances", failed)
    (ended,) = events_of(host, failed, "ExecutionCompleted")
    assert (row["RuntimeStatus"], ended["OrchestrationStatus"]) == ("Failed", "Failed")
    assert row["Output"] == ended["Result"]
    (failure,) = events_of(host, failed, "TaskFailed")
    assert failure["FailureDetails"] == "null"
    terminated = host.begin("approval")
    host.post(host.api(f"/instances/{terminated}/terminate?reason=enough"))
    host.finished(terminated)
    (why,) = events_of(host, terminated, "ExecutionTerminated")
    (row,) = host.rows("Instances", terminated)
    assert (why["Input"], row["RuntimeStatus"], row["Output"]) == ("enough", "Terminated", "enough")


def test_a_second_run_of_an_id_is_the_next_generation_without_the_old_output(host: Devhost) -> None:
    host.run("chain", 1, "again")
    host.begin("approval", 60, "again")
    until(lambda: host.rows("Instances", "again")[0]["RuntimeStatus"] == "Running")
    (row,) = host.rows("Instances", "again")
    assert row["Generation"] == 1
    assert "Output" not in row
    current = [each for each in host.rows("History", "again") if each["ExecutionId"] == row["ExecutionId"]]
    assert [each.get("EventType") for each in current][:2] == ["OrchestratorStarted", "ExecutionStarted"]


def test_a_continued_instance_has_one_execution_and_its_last_input(host: Devhost) -> None:
    instance = host.run("counting", 1)["instanceId"]
    (row,) = host.rows("Instances", instance)
    (started,) = events_of(host, instance, "ExecutionStarted")
    assert (row["Input"], started["Input"], row["Output"]) == ('"3"', '"3"', "4")
    assert row["ExecutionId"] == started["ExecutionId"]
    assert host.events(instance)[:3] == ["OrchestratorStarted", "ExecutionStarted", "OrchestratorCompleted"]


def test_large_texts_are_blobs_named_by_their_cells(host: Devhost) -> None:
    instance = host.run("large_texts", {"size": 40_000, "padding": "p" * 40_000})["instanceId"]
    first = events_of(host, instance, "TaskCompleted")[0]
    (row,) = host.rows("Instances", instance)
    with BlobServiceClient.from_connection_string(host.storage, api_version="2021-12-02") as service:
        container = service.get_container_client(f"{host.hub.lower()}-largemessages")
        assert first["Result"] == ""
        assert first["ResultBlobName"].startswith(f"{instance}/history-{first['RowKey']}-TaskCompleted-")
        assert first["ResultBlobName"].endswith("-Result.json.gz")
        content = container.download_blob(first["ResultBlobName"]).readall()
        assert json.loads(gzip.decompress(content)) == "x" * 40_000
        texts = {}
        for column in ("Input", "Output"):
            assert row[column].startswith(container.url + "/")
            blob = container.download_blob(row[column].removeprefix(container.url + "/"))
            texts[column] = json.loads(gzip.decompress(blob.readall()))
    assert json.loads(texts["Input"]) == {"size": 40_000, "padding": "p" * 40_000}
    assert texts["Output"] == [40_000, "x" * 40_000, 40_000]


def test_without_the_setting_no_input_is_in_the_history(new_host: Callable[..., Devhost]) -> None:
    setting = "AzureFunctionsJobHost__extensions__durableTask__storeInputsInOrchestrationHistory"
    host = new_host(settings={setting: "false"}).start()
    instance = host.run("chain", 1)["instanceId"]
    assert "Input" not in events_of(host, instance, "TaskScheduled")[0]


def test_an_id_with_characters_that_keys_refuse_is_escaped(host: Devhost) -> None:
    status = host.run("calls_odd_child", {"id": "a/b\\c#d?e^f"})
    assert status["output"] == 2
    assert len(host.rows("Instances", "a^0b^1c^2d^3e^^f")) == 1


def test_the_marker_of_the_hub_names_devhost(host: Devhost) -> None:
    with BlobServiceClient.from_connection_string(host.storage, api_version="2021-12-02") as service:
        blob = service.get_blob_client(f"{host.hub.lower()}-leases", "taskhub.json")
        marker = json.loads(blob.download_blob().readall())
    assert (marker["host"], marker["TaskHubName"], marker["PartitionCount"]) == ("devhost", host.hub, 4)


def queues_of(host: Devhost) -> list[str]:
    account = parse_connection_string(host.storage)
    url = f"{account.queue_endpoint}?comp=list&prefix={host.hub.lower()}"
    answer = fetch(url, headers={"Content-Type": "", **account.sign_request("GET", url, {}, 0)})
    return re.findall("<Name>(.*?)</Name>", answer.body.decode())


def test_a_new_hub_looks_as_the_provider_leaves_it(new_host: Callable[..., Devhost]) -> None:
    count = "AzureFunctionsJobHost__extensions__durableTask__storageProvider__partitionCount"
    host = new_host(settings={count: "2"}).start()
    hub = host.hub.lower()
    assert queues_of(host) == [f"{hub}-control-00", f"{hub}-control-01", f"{hub}-workitems"]
    with BlobServiceClient.from_connection_string(host.storage, api_version="2021-12-02") as service:
        assert {each.name for each in service.list_containers(hub)} == {f"{hub}-applease", f"{hub}-leases"}


def test_an_account_without_queues_does_as_well(new_host: Callable[..., Devhost]) -> None:
    host = new_host()
    host.storage = host.storage.replace("QueueEndpoint=http://127.0.0.1:", "QueueEndpoint=http://127.0.0.2:")
    assert host.start().run("chain", 1)["output"] == 8
    assert "The hub has no queues, which devhost can do without" in host.log


def test_what_storage_cannot_keep_fails_the_instance_and_is_reported_to_its_caller(host: Devhost) -> None:
    status = host.run("calls_child_named", {"length": 5000})
    assert "An id must not be longer than 512 characters, as keys in storage are" in str(status["output"])
