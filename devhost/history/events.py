"""The events of an orchestration's history, and their three shapes: in memory, as a table row, as JSON for the SDK.

Each event type is one row of SPECS: its number in the protocol and its columns, in the Azure Storage provider's names.
A column's kind determines how the shapes differ, so a new event type needs one row here.
"""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
SURROGATE = re.compile("[\ud800-\udfff]")
ESCAPED = re.compile("[\ud800-\udfff\u2028\u2029]")
NOT_FINITE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|NaN|-?Infinity')

TEXT, INT, TIME, JSON, STATUS = "text", "int", "time", "json", "status"

STATUS_NUMBERS = {
    "Running": 0,
    "Completed": 1,
    "ContinuedAsNew": 2,
    "Failed": 3,
    "Canceled": 4,
    "Terminated": 5,
    "Pending": 6,
    "Suspended": 7,
}
UNFINISHED = ("Pending", "Running", "Suspended", "ContinuedAsNew")
FINISHED = ("Completed", "Failed", "Terminated", "Canceled")

Row = dict[str, Any]
"""A row of a table by column; the type of a cell is that of its value: str, bool, int (Int32), datetime (UTC)."""


@dataclass(frozen=True)
class Spec:
    number: int
    columns: dict[str, str]


SPECS = {
    "ExecutionStarted": Spec(
        0,
        {
            "OrchestrationInstance": JSON,
            "ParentInstance": JSON,
            "Name": TEXT,
            "Version": TEXT,
            "Input": TEXT,
            "Tags": JSON,
            "Correlation": TEXT,
            "ParentTraceContext": JSON,
            "ScheduledStartTime": TIME,
            "Generation": INT,
        },
    ),
    "ExecutionCompleted": Spec(1, {"OrchestrationStatus": STATUS, "Result": TEXT, "FailureDetails": JSON}),
    "ExecutionTerminated": Spec(3, {"Input": TEXT}),
    "TaskScheduled": Spec(4, {"Name": TEXT, "Version": TEXT, "Input": TEXT, "ParentTraceContext": JSON, "Tags": JSON}),
    "TaskCompleted": Spec(5, {"TaskScheduledId": INT, "Result": TEXT}),
    "TaskFailed": Spec(6, {"TaskScheduledId": INT, "Reason": TEXT, "Details": TEXT, "FailureDetails": JSON}),
    "SubOrchestrationInstanceCreated": Spec(
        7, {"Name": TEXT, "Version": TEXT, "InstanceId": TEXT, "Input": TEXT, "ClientSpanId": TEXT, "Tags": JSON}
    ),
    "SubOrchestrationInstanceCompleted": Spec(8, {"TaskScheduledId": INT, "Result": TEXT}),
    "SubOrchestrationInstanceFailed": Spec(
        9, {"TaskScheduledId": INT, "Reason": TEXT, "Details": TEXT, "FailureDetails": JSON}
    ),
    "TimerCreated": Spec(10, {"FireAt": TIME}),
    "TimerFired": Spec(11, {"TimerId": INT, "FireAt": TIME}),
    "OrchestratorStarted": Spec(12, {}),
    "OrchestratorCompleted": Spec(13, {}),
    "EventSent": Spec(14, {"InstanceId": TEXT, "Name": TEXT, "Input": TEXT}),
    "EventRaised": Spec(15, {"Name": TEXT, "Input": TEXT, "ParentTraceContext": JSON}),
    "GenericEvent": Spec(17, {"Data": TEXT, "Reason": TEXT}),
    "ExecutionSuspended": Spec(19, {"Reason": TEXT}),
    "ExecutionResumed": Spec(20, {"Reason": TEXT}),
}


@dataclass(frozen=True)
class Event:
    """One event. `at` is UTC; `event_id` is the sequence id of a Scheduled or Created event, else -1."""

    type: str
    at: datetime
    event_id: int = -1
    played: bool = False
    fields: dict[str, Any] = field(default_factory=dict)

    def as_played(self) -> "Event":
        """The event as it is stored once an execution has processed it."""
        return replace(self, played=True)


def to_row(event: Event) -> Row:
    """The columns of an event; the store adds keys and ExecutionId. JSON columns without a value hold `null`."""
    row: Row = {
        "EventId": event.event_id,
        "IsPlayed": event.played,
        "_Timestamp": event.at,
        "EventType": event.type,
    }
    for column, kind in SPECS[event.type].columns.items():
        value = event.fields.get(column)
        row[column] = value if kind != JSON else "null" if value is None else compact_json(value)
    return row


def from_row(row: Row) -> Event:
    """The event of a stored row whose large payloads have been fetched."""
    columns = SPECS[row["EventType"]].columns
    fields = {column: _from_cell(kind, row.get(column)) for column, kind in columns.items()}
    return Event(row["EventType"], row["_Timestamp"], row["EventId"], row["IsPlayed"], fields)


def _from_cell(kind: str, value: Any) -> Any:
    return json.loads(value) if kind == JSON and value is not None else value


def to_sdk(event: Event) -> str:
    """The event as the JSON text that the SDK's replay reads."""
    return compact_json(sdk_cells(event))


def sdk_cells(event: Event) -> dict[str, Any]:
    """The event as the SDK reads it: numbers for enums, nested JSON, nulls included."""
    spec = SPECS[event.type]
    cells: dict[str, Any] = {
        "EventType": spec.number,
        "EventId": event.event_id,
        "IsPlayed": event.played,
        "Timestamp": iso_time(event.at),
    }
    for column, kind in spec.columns.items():
        cells[column] = _to_sdk_cell(kind, event.fields.get(column))
    return cells


def _to_sdk_cell(kind: str, value: Any) -> Any:
    if value is not None and kind == TIME:
        return iso_time(value)
    return STATUS_NUMBERS[value] if kind == STATUS else value


def compact_json(value: Any) -> str:
    """JSON without spaces and without escapes for letters, as the real host stores it. It is valid for every value.

    NaN and the infinities, which JSON does not have, become strings, as .NET writes them.
    """
    text = COMPACT.encode(value)
    if "NaN" in text or "Infinity" in text:
        text = NOT_FINITE.sub(lambda match: match[0] if match[0][0] == '"' else f'"{match[0]}"', text)
    return fit_for_utf8(text)


def fit_for_utf8(text: str) -> str:
    """JSON text with halves of surrogate pairs as escapes: JSON allows an escaped half, and UTF-8 allows none.

    U+2028 and U+2029 are escaped too, as by .NET: Azurite takes them for ends of lines in a batch, and answers 500.
    """
    return text if text.isascii() else ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def iso_time(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z and a fraction without trailing zeros, as .NET writes it."""
    return utc_text(moment).rstrip("0").rstrip(".") + "Z"


def utc_text(moment: datetime) -> str:
    """Date and time in UTC with six digits of fraction and no zone. Optimized, because it is called often."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[: -len("+00:00")]
