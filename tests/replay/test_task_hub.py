"""What the tables of a task hub hold comes back as the events that the SDK is sent."""

import gzip
import json
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from azure.data.tables import TableClient
from azure.storage.blob import ContainerClient

from tests.replay.driver import play
from tests.replay.oracle.history import STATUS, Event, Kind
from tests.replay.oracle.small_programs import APPROVED_IN_TIME, event_or_deadline, fine, handle
from tests.replay.oracle.walk import walk
from tests.replay.scenarios import ORDER, ORDER_SAGA, SCENARIOS
from tests.replay.task_hub import JSON_COLUMNS, histories
from tests.support.servers import Azurite

EXECUTION = "0123456789abcdef0123456789abcdef"
OLDER = "f" * 32


@pytest.fixture
def hub() -> str:
    return f"Replay{uuid.uuid4().hex[:12]}"


def row(ordinal: int, event: Event, instance: str, execution: str = EXECUTION) -> dict[str, Any]:
    """An event in the columns of the Azure Storage provider."""
    columns: dict[str, Any] = {"PartitionKey": instance, "RowKey": f"{ordinal:016X}", "ExecutionId": execution}
    for name, value in event.items():
        if name in JSON_COLUMNS:
            columns[name] = json.dumps(value)
        elif value is not None:
            columns["_Timestamp" if name == "Timestamp" else name] = value
    columns["EventType"] = Kind(event["EventType"]).name
    if "OrchestrationStatus" in event:
        columns["OrchestrationStatus"] = STATUS[event["OrchestrationStatus"]]
    moments = {name: datetime.fromisoformat(columns[name]) for name in ("_Timestamp", "FireAt") if name in columns}
    return columns | moments


def sentinel(instance: str) -> dict[str, Any]:
    return {"PartitionKey": instance, "RowKey": "sentinel", "ExecutionId": EXECUTION, "IsCheckpointComplete": True}


def store(azurite: Azurite, hub: str, rows: Iterable[dict[str, Any]]) -> None:
    with TableClient.from_connection_string(azurite.connection_string, f"{hub}History") as table:
        table.create_table()
        for each in rows:
            table.create_entity(each)


def rows_of(history: list[Event], instance: str) -> list[dict[str, Any]]:
    return [*(row(place, event, instance) for place, event in enumerate(history)), sentinel(instance)]


def same(loaded: list[Event], history: list[Event]) -> bool:
    """Every field that was loaded is as it was; one that the history does not mention is null."""
    pairs = zip(loaded, history, strict=True)
    return all(value == event.get(name) for stored, event in pairs for name, value in stored.items())


def test_the_events_of_a_table_are_those_that_were_stored(azurite: Azurite, hub: str) -> None:
    history = play(handle(event_or_deadline), fine, events=APPROVED_IN_TIME)
    store(azurite, hub, rows_of(history, "instance-1"))
    loaded = histories(azurite.connection_string, hub)
    assert list(loaded) == ["instance-1"]
    assert same(loaded["instance-1"], history)
    assert walk(loaded["instance-1"], handle(event_or_deadline)) == []


def test_a_failed_activity_and_its_timers_come_back_whole(azurite: Azurite, hub: str) -> None:
    history = SCENARIOS["process_payment recovered"].history()
    store(azurite, hub, rows_of(history, ORDER))
    assert walk(histories(azurite.connection_string, hub)[ORDER], ORDER_SAGA) == []


def test_rows_that_an_earlier_longer_execution_left_behind_are_not_read(azurite: Azurite, hub: str) -> None:
    history = SCENARIOS["completed"].history()
    left_behind = [row(len(history) + more, history[-1], ORDER, OLDER) for more in range(3)]
    store(azurite, hub, rows_of(history, ORDER) + left_behind)
    assert same(histories(azurite.connection_string, hub)[ORDER], history)


def test_a_payload_that_was_moved_to_a_blob_is_fetched(azurite: Azurite, hub: str) -> None:
    history = SCENARIOS["completed"].history()
    rows = rows_of(history, ORDER)
    place = next(at for at, each in enumerate(rows) if each.get("EventType") == "TaskCompleted")
    blob = f"{ORDER}/history-{place:016X}-TaskCompleted-0badcafe-Result.json.gz"
    with ContainerClient.from_connection_string(azurite.connection_string, f"{hub.lower()}-largemessages") as container:
        container.create_container()
        container.upload_blob(blob, gzip.compress(rows[place]["Result"].encode()))
    rows[place] |= {"Result": "", "ResultBlobName": blob}
    store(azurite, hub, rows)
    assert same(histories(azurite.connection_string, hub)[ORDER], history)


def test_instances_are_kept_apart(azurite: Azurite, hub: str) -> None:
    one, other = SCENARIOS["completed"].history(), play(handle(event_or_deadline), fine, instance_id="order-2")
    store(azurite, hub, rows_of(one, ORDER) + rows_of(other, "order-2"))
    loaded = histories(azurite.connection_string, hub)
    assert {name: len(history) for name, history in loaded.items()} == {ORDER: len(one), "order-2": len(other)}
