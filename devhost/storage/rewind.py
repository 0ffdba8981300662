"""The rules of a rewind: how the history rows of a failed instance change. Pure, and as in the Azure Storage provider.

The failures are removed from the history in place: their rows become events of a kind that replays ignore, each with a
reason that names the old event. The failed tasks are then scheduled again under their old ids. As in the provider, the
attempts of a task with retries leave their timers behind.
"""

from typing import Any, NamedTuple

from devhost.history.events import Row

TASK_FAILURES = ("TaskFailed", "SubOrchestrationInstanceFailed")


class Rewound(NamedTuple):
    """The rows to replace, and the instance ids of the sub-orchestrations that must be rewound too."""

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
    """The row as a GenericEvent. The other columns of the old event stay: the provider overwrites only two."""
    return {**row, "EventType": "GenericEvent", "Reason": _reason(row)}


def _reason(row: Row) -> str:
    return f"Rewound: {row['EventType']}"


def without_service_columns(row: Row) -> dict[str, Any]:
    """The row without the columns that a write must not have."""
    return {column: value for column, value in row.items() if not column.startswith("odata.") and column != "Timestamp"}
