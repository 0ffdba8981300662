"""The histories of a task hub, read from its tables as any table client sees them.

Rows become the events that the SDK receives: numbers for enumerations, nested JSON for the columns that hold JSON
text, all fields present. Written from the storage layout of the Azure Storage provider, not from devhost, so that a
column that devhost spells wrong is missing here.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from tests.replay.oracle.history import STATUS, Event, Kind

Row = Mapping[str, Any]

JSON_COLUMNS = {"OrchestrationInstance", "ParentInstance", "Tags", "FailureDetails", "ParentTraceContext"}
FIELDS = {
    Kind.ExecutionStarted: "OrchestrationInstance ParentInstance Name Version Input Tags",
    Kind.ExecutionCompleted: "OrchestrationStatus Result FailureDetails",
    Kind.ExecutionTerminated: "Input",
    Kind.TaskScheduled: "Name Version Input",
    Kind.TaskCompleted: "TaskScheduledId Result",
    Kind.TaskFailed: "TaskScheduledId Reason Details FailureDetails",
    Kind.SubOrchestrationInstanceCreated: "Name Version InstanceId Input",
    Kind.SubOrchestrationInstanceCompleted: "TaskScheduledId Result",
    Kind.SubOrchestrationInstanceFailed: "TaskScheduledId Reason Details FailureDetails",
    Kind.TimerCreated: "FireAt",
    Kind.TimerFired: "TimerId FireAt",
    Kind.EventSent: "InstanceId Name Input",
    Kind.EventRaised: "Name Input",
    Kind.ContinueAsNew: "OrchestrationStatus Result FailureDetails",
    Kind.GenericEvent: "Data",
    Kind.ExecutionSuspended: "Reason",
    Kind.ExecutionResumed: "Reason",
}
STATUS_NUMBER = {name: number for number, name in STATUS.items()}


def histories(connection_string: str, hub: str) -> dict[str, list[Event]]:
    """Every instance's history of its current execution, by instance id; events in the SDK's JSON shape, in stored
    order.

    `hub` as it is spelled in the tables' names. Payloads that were moved to `<hub>-largemessages` are fetched from
    there.
    """
    partitions = defaultdict(list)
    with TableServiceClient.from_connection_string(connection_string) as tables:
        for row in tables.get_table_client(f"{hub}History").list_entities():
            partitions[row["PartitionKey"]].append(row)
    with BlobServiceClient.from_connection_string(connection_string) as blobs:
        stored = [history(rows, blobs, hub) for rows in partitions.values()]
    return {events[1]["OrchestrationInstance"]["InstanceId"]: events for events in stored}


def history(rows: Iterable[Row], blobs: BlobServiceClient, hub: str) -> list[Event]:
    """The current execution of one instance, from the rows of its partition."""
    container = blobs.get_container_client(f"{hub.lower()}-largemessages")

    def fetch(blob: str) -> str:
        return gzip.decompress(container.download_blob(blob).readall()).decode(errors="surrogatepass")

    *events, sentinel = sorted(rows, key=lambda row: str(row["RowKey"]))  # Hex digits sort before "sentinel".
    current = takewhile(lambda row: row["ExecutionId"] == sentinel["ExecutionId"], events)
    return [_event(row, fetch) for row in current]


def _event(row: Row, fetch: Any) -> Event:
    kind = Kind[row["EventType"]]
    common = {
        "EventType": int(kind),
        "EventId": row["EventId"],
        "IsPlayed": row["IsPlayed"],
        "Timestamp": _text(row["_Timestamp"]),
    }
    return common | {name: _value(row, name, fetch) for name in FIELDS.get(kind, "").split()}


def _value(row: Row, name: str, fetch: Any) -> Any:
    if blob := row.get(f"{name}BlobName"):
        return fetch(blob)
    value = row.get(name)
    if value is None:
        return None
    if name in JSON_COLUMNS:
        return json.loads(value)
    if name == "OrchestrationStatus":
        return STATUS_NUMBER[value]
    return _text(value) if isinstance(value, datetime) else value


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
