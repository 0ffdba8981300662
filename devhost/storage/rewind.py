"""Rewinding a failed instance: what becomes of its history's rows, as pure rules.

The failures are taken out of the history in place: their rows turn into events of a kind that replays ignore, each with
a reason that says what it was. The tasks that failed are then scheduled again under the ids that they had. As the
Azure Storage provider does it; like there, the attempts of a task with retries leave their timers behind.
"""

from typing import Any, NamedTuple

from devhost.history.events import Row

TASK_FAILURES = ("TaskFailed", "SubOrchestrationInstanceFailed")


class Rewound(NamedTuple):
    """The rows to replace, and the instance ids of the sub-orchestrations that have to be rewound too."""

    rows: list[Row]
    children: list[str]


def rewound(rows: list[Row]) -> Rewound:
    """`rows`: the History rows of a failed execution, in order, without the sentinel."""
    failed = {row["TaskScheduledId"] for row in rows if row["EventType"] in TASK_FAILURES}
    changed, children = [], []
    for row in rows:
        if is_failure(row) or (row["EventType"] == "TaskScheduled" and row["EventId"] in failed):
            changed.append(_generic(row))
        elif row["EventType"] == "SubOrchestrationInstanceCreated" and row["EventId"] in failed:
            changed.append({**row, "Reason": _reason(row)})
            children.append(row["InstanceId"])
    return Rewound(changed, children)


def is_failure(row: Row) -> bool:
    ended = row["EventType"] == "ExecutionCompleted" and row["OrchestrationStatus"] == "Failed"
    return ended or row["EventType"] in TASK_FAILURES


def _generic(row: Row) -> Row:
    """The columns of the old event stay: the provider overwrites only the two."""
    return {**row, "EventType": "GenericEvent", "Reason": _reason(row)}


def _reason(row: Row) -> str:
    return f"Rewound: {row['EventType']}"


def without_service_columns(row: Row) -> dict[str, Any]:
    """The row as it can be written again."""
    return {column: value for column, value in row.items() if not column.startswith("odata.") and column != "Timestamp"}
