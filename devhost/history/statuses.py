"""The status of an instance as the HTTP API shows it: from its Instances row and, on request, its history."""

import json
from datetime import UTC, datetime
from typing import Any

from devhost.history.events import COMPACT, SPECS, Event, Row, iso_time

CREATED = ("TaskScheduled", "SubOrchestrationInstanceCreated")
ENDED = {
    "TaskCompleted": "TaskScheduled",
    "TaskFailed": "TaskScheduled",
    "SubOrchestrationInstanceCompleted": "SubOrchestrationInstanceCreated",
    "SubOrchestrationInstanceFailed": "SubOrchestrationInstanceCreated",
    "TimerFired": "TimerCreated",
}
HIDDEN_COLUMNS = (
    "TaskScheduledId TimerId EventId IsPlayed Version OrchestrationInstance ParentInstance Tags Correlation "
    "ParentTraceContext ScheduledStartTime Generation FailureDetails ClientSpanId"
).split()
PARSED = ("Result", "Input")
DEEP = 400


def status_body(instance_id: str, row: Row, show_input: bool) -> dict[str, Any]:
    """The status object: texts that are JSON are shown parsed, others as they are."""
    return {
        "name": row["Name"],
        "instanceId": instance_id,
        "runtimeStatus": row["RuntimeStatus"],
        "input": parsed(row.get("Input")) if show_input else None,
        "customStatus": parsed(row.get("CustomStatus")),
        "output": parsed(row.get("Output")),
        "createdTime": whole_seconds(row["CreatedTime"]),
        "lastUpdatedTime": whole_seconds(row["LastUpdatedTime"]),
    }


def history_body(events: list[Event], show_input: bool, show_output: bool) -> list[dict[str, Any]]:
    """The history for readers: a scheduled task and its end are one entry; the events of turns are left out."""
    created = {(event.type, event.event_id): event for event in events if event.event_id >= 0}
    ended = {(ENDED[event.type], _task_id(event)) for event in events if event.type in ENDED}
    shown = [
        event
        for event in events
        if event.type not in ("OrchestratorStarted", "OrchestratorCompleted")
        and not (event.type in CREATED and (event.type, event.event_id) in ended)
    ]
    return [_entry(event, created, show_input, show_output) for event in shown]


def _entry(event: Event, created: dict[tuple[str, int], Event], show_input: bool, show_output: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"EventType": event.type, "Timestamp": iso_time(event.at)}
    for column in SPECS[event.type].columns:
        if column not in HIDDEN_COLUMNS:
            entry[column] = _cell(column, event.fields.get(column))
    scheduled = created.get((ENDED.get(event.type, ""), _task_id(event)))
    if scheduled and scheduled.type in CREATED:
        entry["ScheduledTime"] = iso_time(scheduled.at)
        entry["Name"] = scheduled.fields.get("Name")
        entry["Input"] = _cell("Input", scheduled.fields.get("Input"))
    return _trimmed(entry, event, show_input, show_output)


def _trimmed(entry: dict[str, Any], event: Event, show_input: bool, show_output: bool) -> dict[str, Any]:
    if "Name" in entry and event.type not in ("EventRaised", "EventSent"):
        entry["FunctionName"] = entry.pop("Name")
    if not show_input:
        entry.pop("Input", None)
    if not show_output:
        entry.pop("Result", None)
    return entry


def _task_id(event: Event) -> int:
    task_id = event.fields.get("TaskScheduledId")
    return int(event.fields.get("TimerId", -1) if task_id is None else task_id)


def _cell(column: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_time(value)
    return parsed(value) if column in PARSED else value


def parsed(text: str | None) -> Any:
    """A stored text parsed as JSON. A text that is no JSON, or nested too deeply for an answer, stays a text."""
    if text is None:
        return None
    try:
        value = json.loads(text)
        if text.count("[") + text.count("{") > DEEP:
            COMPACT.encode([[[[[[value]]]]]])  # an answer nests it this deep: a RecursionError comes here, not there
        return value
    except (ValueError, RecursionError):
        return text


def whole_seconds(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
