"""The rows of a task hub as the Azure Storage provider writes them, and what is wrong with rows that are found.

Two tables of columns and types, and the rules that hold between rows. They are written from the provider's layout and
share nothing with devhost, so that a column that devhost spells wrong or gives another type is named here. The rows are
those that azure-data-tables reads.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

Row = dict[str, Any]

# How azure-data-tables shows a type of the table service: an Int64 would be an EntityProperty.
PYTHON_TYPES = {"String": "str", "Int32": "int", "Boolean": "bool", "DateTime": "TablesEntityDatetime"}

COMMON = "PartitionKey:String RowKey:String ExecutionId:String EventId:Int32 IsPlayed:Boolean _Timestamp:DateTime"

# The columns of each event. `?` may be missing, because the value is null; JSON is the text of an object; NULL is the
# four letters `null`, which stand for an object that there is not.
EVENTS = {
    "ExecutionStarted": "OrchestrationInstance:JSON ParentInstance:JSON Name:String Version:String Input:String? "
    "Tags:NULL ParentTraceContext:NULL Generation:Int32",
    "ExecutionCompleted": "OrchestrationStatus:String Result:String? FailureDetails:NULL",
    "ExecutionTerminated": "Input:String",
    "TaskScheduled": "Name:String Version:String Input:String? ParentTraceContext:NULL Tags:NULL",
    "TaskCompleted": "TaskScheduledId:Int32 Result:String?",
    "TaskFailed": "TaskScheduledId:Int32 Reason:String Details:String FailureDetails:NULL",
    "SubOrchestrationInstanceCreated": "Name:String Version:String InstanceId:String Input:String? Tags:NULL",
    "SubOrchestrationInstanceCompleted": "TaskScheduledId:Int32 Result:String?",
    "SubOrchestrationInstanceFailed": "TaskScheduledId:Int32 Reason:String Details:String FailureDetails:NULL",
    "TimerCreated": "FireAt:DateTime",
    "TimerFired": "TimerId:Int32 FireAt:DateTime",
    "OrchestratorStarted": "",
    "OrchestratorCompleted": "",
    "EventSent": "InstanceId:String Name:String Input:String",
    "EventRaised": "Name:String Input:String ParentTraceContext:NULL",
    "ExecutionSuspended": "Reason:String",
    "ExecutionResumed": "Reason:String",
    "GenericEvent": "Data:String? Reason:String?",
}
SENTINEL = (
    "PartitionKey:String RowKey:String ExecutionId:String IsCheckpointComplete:Boolean "
    "CheckpointCompletedTimestamp:DateTime"
)
INSTANCE = (
    "PartitionKey:String RowKey:String Name:String Version:String Input:String? Output:String? CustomStatus:String "
    "CreatedTime:DateTime LastUpdatedTime:DateTime RuntimeStatus:String ExecutionId:String TaskHubName:String "
    "Generation:Int32 Tags:NULL"
)
ENDED = ("Completed", "Failed", "Terminated")
LARGE = ("Name", "Input", "Result", "Reason", "Details")

# Which events are decisions with an id of their own, and which refer to them.
DECISIONS = ("TaskScheduled", "SubOrchestrationInstanceCreated", "TimerCreated", "EventSent")
ANSWERS = {
    "TaskCompleted": ("TaskScheduledId", "TaskScheduled"),
    "TaskFailed": ("TaskScheduledId", "TaskScheduled"),
    "SubOrchestrationInstanceCompleted": ("TaskScheduledId", "SubOrchestrationInstanceCreated"),
    "SubOrchestrationInstanceFailed": ("TaskScheduledId", "SubOrchestrationInstanceCreated"),
    "TimerFired": ("TimerId", "TimerCreated"),
}
UNPLAYED = (*DECISIONS, "ExecutionCompleted", "OrchestratorStarted", "OrchestratorCompleted")

# A letter for each event of a turn: begin, message, decision, end of the execution, close. A generation that continues
# another one closes once before its decisions.
TURNS = re.compile(r"(?:bm+c?d*e?c)+")
LETTERS = {
    "OrchestratorStarted": "b",
    "OrchestratorCompleted": "c",
    "ExecutionCompleted": "e",
    **dict.fromkeys(DECISIONS, "d"),
}


def faults_of_instance(row: Row, history: list[Row]) -> list[str]:
    """What is wrong with the rows of one instance: its row of Instances, and all of its partition in History."""
    *events, sentinel = sorted(history, key=lambda each: str(each["RowKey"]))
    events = [each for each in events if each["ExecutionId"] == sentinel["ExecutionId"]]
    columns = [_instance_columns(row), _sentinel(sentinel), *map(_event_columns, events)]
    # What holds between rows can only be asked when all are there.
    faults = _all(columns) or _all(_between(row, events))
    return [f"{row['PartitionKey']}: {fault}" for fault in faults]


def _all(rules: Iterable[Iterable[str]]) -> list[str]:
    return [fault for rule in rules for fault in rule]


def _between(row: Row, events: list[Row]) -> Iterator[Iterable[str]]:
    yield from (_agree(row, events), _keys(events), _started(events))
    if not any(_is_rewound(each) for each in events):  # rows that were overwritten keep what they had
        yield from (_ids(events), _played(events), _turns(events), _answers(events), _instance_ends(row, events))


def _is_rewound(row: Row) -> bool:
    return str(row.get("Reason")).startswith("Rewound: ")


def _wrong_columns(subject: str, row: Row, layout: str) -> Iterator[str]:
    columns = dict(each.split(":") for each in layout.split())
    for name in sorted(row.keys() - columns.keys()):
        if not name.endswith("BlobName") or row.get(name.removesuffix("BlobName")) != "":
            yield f"{subject} has the column {name}, which the provider does not write"
    for name, kind in columns.items():
        if name not in row:
            if not kind.endswith("?"):
                yield f"{subject} has no {name}"
        elif not _is(kind.rstrip("?"), row[name]):
            yield f"{subject} has {name} as {type(row[name]).__name__} {row[name]!r}, not as {kind}"


def _is(kind: str, value: Any) -> bool:
    if kind == "NULL":
        return bool(value == "null")
    if kind == "JSON":
        return type(value) is str and isinstance(json.loads(value), dict | None)
    return type(value).__name__ == PYTHON_TYPES[kind]


def faults_of_pending(row: Row) -> list[str]:
    """What is wrong with the row of an instance that is started and has not begun: it has no CustomStatus yet."""
    return list(_wrong_columns("the row of Instances", row, INSTANCE.replace("CustomStatus:String ", "")))


def _event_columns(row: Row) -> Iterator[str]:
    subject = f"{row['EventType']} in {row['RowKey']}"
    if _is_rewound(row):
        return
    yield from _wrong_columns(subject, row, f"{COMMON} EventType:String {EVENTS[row['EventType']]}")
    for name in LARGE:
        if f"{name}BlobName" in row and row[name] != "":
            yield f"{subject} has {name} in a blob and in its cell"


def _instance_columns(row: Row) -> Iterator[str]:
    ended = " CompletedTime:DateTime" if row["RuntimeStatus"] in ENDED else ""
    yield from _wrong_columns("the row of Instances", row, INSTANCE + ended)
    if row["RowKey"] != "":
        yield "the RowKey of Instances is not empty"


def _sentinel(row: Row) -> Iterator[str]:
    yield from _wrong_columns("the sentinel", row, SENTINEL)
    if row["RowKey"] != "sentinel" or row["IsCheckpointComplete"] is not True:
        yield "the sentinel does not close the last checkpoint"


def _agree(row: Row, events: list[Row]) -> Iterator[str]:
    """The row of Instances repeats the history's first event."""
    first = events[1]
    for name in ("Name", "Version", "ExecutionId", "Generation"):
        if row[name] != first[name]:
            yield f"{name} is {row[name]!r} in Instances and {first[name]!r} in History"
    if row["CreatedTime"] != first["_Timestamp"]:
        yield "CreatedTime is not the time of ExecutionStarted"
    if "InputBlobName" not in first and row.get("Input") != first.get("Input"):
        yield "the two tables have different inputs"
    if not re.fullmatch("[0-9a-f]{32}", row["ExecutionId"]):
        yield f"the ExecutionId {row['ExecutionId']!r} is not 32 hex digits"


def _instance_ends(row: Row, events: list[Row]) -> Iterator[str]:
    end = next((each for each in events if each["EventType"] == "ExecutionCompleted"), None)
    if (end is not None) != (row["RuntimeStatus"] in ENDED):
        yield f"Instances says {row['RuntimeStatus']}, and the history does not"
    if end is None:
        return
    if end["OrchestrationStatus"] != row["RuntimeStatus"]:
        yield f"Instances says {row['RuntimeStatus']}, and the history {end['OrchestrationStatus']}"
    if "ResultBlobName" not in end and row.get("Output") != end.get("Result"):
        yield f"Output is {row.get('Output')!r}, Result is {end.get('Result')!r}"
    if row["LastUpdatedTime"] != events[-1]["_Timestamp"]:
        yield "LastUpdatedTime is not the time of the last event"


def _keys(events: list[Row]) -> Iterator[str]:
    if [each["RowKey"] for each in events] != [f"{number:016X}" for number in range(len(events))]:
        yield "the RowKeys of History are not 16 hex digits that count from 0"


def _started(events: list[Row]) -> Iterator[str]:
    """The first event names its own execution, and the parent in the provider's shape."""
    first = events[1]
    own = json.loads(first["OrchestrationInstance"])
    if own["ExecutionId"] != first["ExecutionId"] or list(own) != ["InstanceId", "ExecutionId"]:
        yield f"OrchestrationInstance is {own}"
    parent = json.loads(first["ParentInstance"])
    if parent is None:
        return
    if list(parent) != ["Name", "OrchestrationInstance", "TaskScheduleId", "Version"]:
        yield f"ParentInstance is {parent}"
    if list(parent["OrchestrationInstance"]) != ["InstanceId", "ExecutionId"]:
        yield f"the OrchestrationInstance of the parent is {parent['OrchestrationInstance']}"


def _ids(events: list[Row]) -> Iterator[str]:
    """Decisions count from 0 without a gap, the end takes the next number, and everything else has -1."""
    numbered = [each["EventId"] for each in events if each["EventType"] in (*DECISIONS, "ExecutionCompleted")]
    if numbered != list(range(len(numbered))):
        yield f"the ids of the decisions are {numbered}"
    rest = {each["EventId"] for each in events if each["EventType"] not in (*DECISIONS, "ExecutionCompleted")}
    if rest != {-1}:
        yield f"events that decide nothing have the ids {rest}"


def _played(events: list[Row]) -> Iterator[str]:
    for each in events:
        if each["IsPlayed"] is (each["EventType"] in UNPLAYED):
            yield f"{each['EventType']} in {each['RowKey']} has IsPlayed {each['IsPlayed']}"


def _turns(events: list[Row]) -> Iterator[str]:
    order = "".join(LETTERS.get(each["EventType"], "m") for each in events)
    if not TURNS.fullmatch(order):
        yield f"the order of its events is {order}"
    if [each["EventType"] for each in events].index("ExecutionStarted") != 1:
        yield "the second event is not ExecutionStarted"


def _answers(events: list[Row]) -> Iterator[str]:
    """What ends a task names one that was begun before; a timer fires at the time that it was created with."""
    begun: dict[tuple[str, int], Row] = {}
    for each in events:
        if each["EventType"] in DECISIONS:
            begun[each["EventType"], each["EventId"]] = each
        if each["EventType"] not in ANSWERS:
            continue
        column, cause = ANSWERS[each["EventType"]]
        origin = begun.pop((cause, each[column]), None)
        if origin is None:
            yield f"{each['EventType']} in {each['RowKey']} answers nothing"
        elif "FireAt" in each and each["FireAt"] != origin["FireAt"]:
            yield f"{each['EventType']} in {each['RowKey']} has another FireAt than its timer"
        elif "FireAt" in each and each["_Timestamp"] < origin["FireAt"]:
            yield f"{each['EventType']} in {each['RowKey']} is too early"


def of_type(rows: Iterable[Row], kind: str) -> list[Row]:
    """The events of one type, in order."""
    return [row for row in rows if row.get("EventType") == kind]
