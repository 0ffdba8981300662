"""The events that the engine itself writes, and the columns of the Instances row that follow from them."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from devhost.history.events import Event, compact_json
from devhost.orchestration.executor import TurnResult
from devhost.orchestration.instance import Instance, Parent
from devhost.orchestration.task_table import ACTIVITY, CALL, HTTP_ACTIVITY, SIGNAL, SUB_ORCHESTRATION, TIMER, Task
from devhost.storage.tables import Row
from devhost.storage.task_hub import FINISHED


def now() -> datetime:
    return datetime.now(UTC)


def execution_started(
    instance_id: str, name: str, given: str | None, version: str, parent: Parent | None = None
) -> Event:
    """The first event of a new execution. `given` is the input as JSON text."""
    return Event(
        "ExecutionStarted",
        now(),
        fields={
            "OrchestrationInstance": {"InstanceId": instance_id, "ExecutionId": uuid.uuid4().hex},
            "ParentInstance": parent.to_json() if parent else None,
            "Name": name,
            "Version": version,
            "Input": given,
            "Generation": 0,
        },
    )


def started_again(instance_id: str, row: Row) -> Event:
    """The first event of an instance that was started, but not begun, before a crash: from its Pending row."""
    event = execution_started(instance_id, row["Name"], row.get("Input"), row.get("Version") or "")
    event.fields["OrchestrationInstance"]["ExecutionId"] = row["ExecutionId"]
    event.fields["Generation"] = row.get("Generation") or 0
    return event


def pending_columns(started: Event, hub: str) -> Row:
    """The columns of the Instances row that a start inserts."""
    fields = started.fields
    return {
        "Name": fields["Name"],
        "Version": fields["Version"],
        "Input": fields["Input"],
        "CreatedTime": started.at,
        "LastUpdatedTime": started.at,
        "RuntimeStatus": "Pending",
        "ExecutionId": fields["OrchestrationInstance"]["ExecutionId"],
        "TaskHubName": hub,
        "Tags": "null",
    }


def row_columns(instance: Instance, result: TurnResult, at: datetime, hub: str) -> Row:
    """The columns of the Instances row as this turn leaves them, the times apart."""
    assert instance.started is not None
    fields = instance.started.fields
    columns = {
        "Name": instance.name,
        "Version": fields["Version"],
        "Input": fields["Input"],
        "CreatedTime": instance.started.at,
        "RuntimeStatus": result.status,
        "CustomStatus": result.custom_status,
        "ExecutionId": instance.execution_id,
        "TaskHubName": hub,
        "Generation": fields.get("Generation") or 0,
        "Tags": "null",
    }
    if result.status in FINISHED:
        columns |= {"Output": result.result, "CompletedTime": at}
    elif result.result is not None:  # the reason of a suspension, and of its end: the provider writes it there too
        columns |= {"Output": result.result}
    return columns


def by_address(columns: Row, addresses: dict[str, str]) -> Row:
    """The cells of an Instances row whose text the History keeps in a blob: the blob's address stands there."""
    origins = {"Input": "ExecutionStarted.Input", "Output": "ExecutionCompleted.Result"}
    return {name: addresses[origin] for name, origin in origins.items() if name in columns and origin in addresses}


def execution_completed(result: TurnResult, event_id: int, now: datetime) -> Event:
    fields = {"OrchestrationStatus": result.status, "Result": result.result}
    return Event("ExecutionCompleted", now, event_id, fields=fields)


def _task_scheduled(task: Task, now: datetime, store_inputs: bool) -> Event:
    # The request of call_http is an object in the list; every other input is the JSON text that the SDK gave.
    given = json.loads(task.input or "null") if task.name == HTTP_ACTIVITY else task.input
    fields = {"Name": task.name, "Version": "", "Input": compact_json([given]) if store_inputs else None}
    return Event("TaskScheduled", now, task.id, fields=fields)


def _child_created(task: Task, now: datetime, store_inputs: bool) -> Event:
    given = compact_json(task.input) if store_inputs and task.input is not None else None
    fields = {"Name": task.name, "Version": task.version or "", "InstanceId": task.instance_id, "Input": given}
    return Event("SubOrchestrationInstanceCreated", now, task.id, fields=fields)


def _timer_created(task: Task, now: datetime, store_inputs: bool) -> Event:
    return Event("TimerCreated", now, task.id, fields={"FireAt": task.fire_at})


def _event_sent(task: Task, now: datetime, store_inputs: bool) -> Event:
    """A request to an entity. Its input is kept in any case: after a crash it is sent again from here."""
    fields = {"InstanceId": task.instance_id, "Name": "op", "Input": task.request}
    return Event("EventSent", now, task.id, fields=fields)


SCHEDULED: dict[str, Callable[[Task, datetime, bool], Event]] = {
    ACTIVITY: _task_scheduled,
    SUB_ORCHESTRATION: _child_created,
    TIMER: _timer_created,
    CALL: _event_sent,
    SIGNAL: _event_sent,
}


def sub_orchestration_ended(task_id: int, status: str, result: str | None) -> Event:
    """What the parent of a finished sub-orchestration is told."""
    if status == "Completed":
        fields: dict[str, Any] = {"TaskScheduledId": task_id, "Result": result}
        return Event("SubOrchestrationInstanceCompleted", now(), fields=fields)
    details = f"Message: {result}, StackTrace: "
    fields = {"TaskScheduledId": task_id, "Reason": result, "Details": details}
    return Event("SubOrchestrationInstanceFailed", now(), fields=fields)
