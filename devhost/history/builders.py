"""The events that devhost itself writes."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from devhost.history.events import Event, Row


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Parent:
    """The instance that called this one as a sub-orchestration, its version, and the id of its task."""

    instance_id: str
    execution_id: str
    name: str
    task_id: int
    version: str

    def to_json(self) -> dict[str, Any]:
        return {
            "Name": self.name,
            "OrchestrationInstance": {"InstanceId": self.instance_id, "ExecutionId": self.execution_id},
            "TaskScheduleId": self.task_id,
            "Version": self.version,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any] | None) -> "Parent | None":
        if not stored:
            return None
        caller = stored["OrchestrationInstance"]
        return cls(
            caller["InstanceId"], caller["ExecutionId"], stored["Name"], stored["TaskScheduleId"], stored["Version"]
        )


class Child(NamedTuple):
    """The sub-orchestration that a task calls."""

    name: str
    version: str
    instance_id: str


def execution_started(
    instance_id: str, name: str, body: str | None, version: str, parent: Parent | None = None
) -> Event:
    """The first event of a new execution. `body` is the input as JSON text."""
    return Event(
        "ExecutionStarted",
        now(),
        fields={
            "OrchestrationInstance": {"InstanceId": instance_id, "ExecutionId": uuid.uuid4().hex},
            "ParentInstance": parent.to_json() if parent else None,
            "Name": name,
            "Version": version,
            "Input": body,
            "Generation": 0,
        },
    )


def started_again(instance_id: str, row: Row) -> Event:
    """The first event of an instance that was Pending before a crash, from its row."""
    event = execution_started(instance_id, row["Name"], row.get("Input"), row.get("Version") or "")
    event.fields["OrchestrationInstance"]["ExecutionId"] = row["ExecutionId"]
    event.fields["Generation"] = row.get("Generation") or 0
    return event


def execution_completed(status: str, result: str | None, event_id: int, at: datetime) -> Event:
    return Event("ExecutionCompleted", at, event_id, fields={"OrchestrationStatus": status, "Result": result})


def task_scheduled(task_id: int, name: str, body: str | None, at: datetime) -> Event:
    """`body`: the inputs of the activity as a JSON list, None when inputs are not stored."""
    return Event("TaskScheduled", at, task_id, fields={"Name": name, "Version": "", "Input": body})


def task_completed(task_id: int, result: str, at: datetime) -> Event:
    """The end of an activity; `result` is JSON text."""
    fields = {"TaskScheduledId": task_id, "Result": None if result == "null" else result}
    return Event("TaskCompleted", at, fields=fields)


def sub_orchestration_created(task_id: int, child: Child, body: str | None, at: datetime) -> Event:
    """`body`: the input as JSON text, None when inputs are not stored."""
    fields = {"Name": child.name, "Version": child.version, "InstanceId": child.instance_id, "Input": body}
    return Event("SubOrchestrationInstanceCreated", at, task_id, fields=fields)


def timer_created(task_id: int, fire_at: datetime, at: datetime) -> Event:
    return Event("TimerCreated", at, task_id, fields={"FireAt": fire_at})


def timer_fired(timer_id: int, fire_at: datetime) -> Event:
    return Event("TimerFired", now(), fields={"TimerId": timer_id, "FireAt": fire_at})


def event_sent(task_id: int, entity_id: str, request: str, at: datetime) -> Event:
    """A request to an entity. Its input is always stored: after a crash the request is sent again from this event."""
    return Event("EventSent", at, task_id, fields={"InstanceId": entity_id, "Name": "op", "Input": request})


def sub_orchestration_ended(task_id: int, status: str, result: str | None) -> Event:
    """The event for the parent of a finished sub-orchestration."""
    if status == "Completed":
        fields: dict[str, Any] = {"TaskScheduledId": task_id, "Result": result}
        return Event("SubOrchestrationInstanceCompleted", now(), fields=fields)
    details = f"Message: {result}, StackTrace: "
    fields = {"TaskScheduledId": task_id, "Reason": result, "Details": details}
    return Event("SubOrchestrationInstanceFailed", now(), fields=fields)
