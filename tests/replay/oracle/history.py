"""A history as the SDK is sent it: its events, its executions, and what each of them decided."""

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from typing import Any
from unittest.mock import patch

Event = dict[str, Any]
Action = dict[str, Any]
Orchestrator = Callable[[str], str]

FAILURE_MARK = "\n\n$OutOfProcData$:"
# A replay by the SDK does little but parse the times of its events, and one history is replayed many times. So each
# text is parsed once, by the SDK's own parser: a quarter of the time.
HISTORY_EVENT = importlib.import_module("azure.durable_functions.models.history.HistoryEvent")
PARSED_ONCE = lru_cache(maxsize=100_000)(HISTORY_EVENT.dt_parse)


class Kind(IntEnum):
    """Event types by the number they carry on the wire."""

    ExecutionStarted = 0
    ExecutionCompleted = 1
    ExecutionTerminated = 3
    TaskScheduled = 4
    TaskCompleted = 5
    TaskFailed = 6
    SubOrchestrationInstanceCreated = 7
    SubOrchestrationInstanceCompleted = 8
    SubOrchestrationInstanceFailed = 9
    TimerCreated = 10
    TimerFired = 11
    OrchestratorStarted = 12
    OrchestratorCompleted = 13
    EventSent = 14
    EventRaised = 15
    ContinueAsNew = 16
    GenericEvent = 17
    HistoryState = 18
    ExecutionSuspended = 19
    ExecutionResumed = 20
    ExecutionRewound = 21


DECISIONS = {
    Kind.TaskScheduled,
    Kind.SubOrchestrationInstanceCreated,
    Kind.TimerCreated,
    Kind.EventSent,
    Kind.ExecutionCompleted,
    Kind.ContinueAsNew,
}
STATUS = {0: "Running", 1: "Completed", 2: "ContinuedAsNew", 3: "Failed", 4: "Canceled", 5: "Terminated"}


class MalformedHistory(ValueError):
    """The list of events has not the shape of a history: nothing can be said about its decisions."""


class UnknownAction(ValueError):
    """The orchestrator asked for something that this oracle does not know how the extension carries out."""


@dataclass(frozen=True)
class Decision:
    """One decision of an execution: the event's sequence id, its type, and the name it carries.

    `name` is the activity's or sub-orchestrator's name, the final status for ExecutionCompleted, and empty for a timer.
    """

    id: int
    kind: str
    name: str

    def same_as(self, other: "Decision | None") -> bool:
        """The extension compares kinds, and names without regard to case; nothing else."""
        return other is not None and (self.id, self.kind, self.name.casefold()) == (
            other.id,
            other.kind,
            other.name.casefold(),
        )

    def __str__(self) -> str:
        return f"{self.kind}({self.id}{', ' + self.name if self.name else ''})"


@dataclass(frozen=True)
class Disagreement:
    """Where the walk and the history part.

    `expected` is the walk's decision for `id`, `found` is the history's; None is "nothing".
    """

    execution: int
    id: int
    expected: Decision | None
    found: Decision | None

    def __str__(self) -> str:
        return (
            f"execution {self.execution}, id {self.id}: the real host would have {self.expected or 'nothing'}, "
            f"the history has {self.found or 'nothing'}"
        )


@dataclass(frozen=True)
class Execution:
    """One run of the orchestrator: what it was given (`messages`, OrchestratorStarted first) and what it decided."""

    events: list[Event]
    messages: list[Event]
    decisions: list[Decision]


def split(history: Sequence[Event]) -> list[Execution]:
    """Cut a history into its executions, each beginning with OrchestratorStarted. Raises MalformedHistory."""
    starts = [place for place, event in enumerate(history) if event["EventType"] == Kind.OrchestratorStarted]
    if starts[:1] != [0] or len(history) < 2 or history[1]["EventType"] != Kind.ExecutionStarted:
        raise MalformedHistory("A history begins with OrchestratorStarted and ExecutionStarted.")
    return [_execution(number, list(history[a:b])) for number, (a, b) in enumerate(pairwise([*starts, len(history)]))]


def _execution(number: int, events: list[Event]) -> Execution:
    if events[-1]["EventType"] != Kind.OrchestratorCompleted:
        raise MalformedHistory(f"Execution {number} does not end with OrchestratorCompleted.")
    before_end = [event for event in events if event["EventType"] != Kind.OrchestratorCompleted]
    decided = [event["EventType"] in DECISIONS for event in before_end]
    if decided != sorted(decided):
        raise MalformedHistory(f"Execution {number} has a message after its first decision.")
    messages = [event for event in before_end if event["EventType"] not in DECISIONS]
    return Execution(events, messages, [decision_of(event) for event in before_end if event["EventType"] in DECISIONS])


def decision_of(event: Event) -> Decision:
    kind = Kind(event["EventType"])
    if kind is Kind.ExecutionCompleted:
        return Decision(event["EventId"], kind.name, STATUS[event["OrchestrationStatus"]])
    return Decision(event["EventId"], kind.name, event.get("Name") or "")


def request(history: Sequence[Event]) -> str:
    """The JSON text that the extension sends to the orchestrator's function for this history."""
    started = history[1]
    parent = (started.get("ParentInstance") or {}).get("OrchestrationInstance") or {}
    return json.dumps(
        {
            "history": list(history),
            "input": None if started["Input"] is None else json.loads(started["Input"]),
            "instanceId": started["OrchestrationInstance"]["InstanceId"],
            "isReplaying": started["IsPlayed"],
            "parentInstanceId": parent.get("InstanceId"),
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
            "longRunningTimerIntervalDuration": "3.00:00:00",
            "maximumShortTimerDuration": "6.00:00:00",
            "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
        }
    )


def response(orchestrator: Orchestrator, text: str) -> dict[str, Any]:
    """The orchestrator's answer.

    A failure arrives as an exception with the state behind a mark; without the mark there is no state. The last mark
    counts: the message before it may quote one, and JSON text holds no bare line break.
    """
    try:
        with patch.object(HISTORY_EVENT, "dt_parse", PARSED_ONCE):
            answer = orchestrator(text)
    except Exception as error:
        _, mark, state = str(error).rpartition(FAILURE_MARK)
        answer = state if mark else json.dumps({"isDone": False, "actions": [], "error": str(error)})
    parsed: dict[str, Any] = json.loads(answer)
    return parsed
