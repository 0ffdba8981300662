"""Would the real host have written this history? An independent second opinion.

An orchestration in Python is numbered twice. The SDK gives ids to tasks in the order in which the orchestrator
yields them. The real host's extension asks the orchestrator for its list of actions and *walks* it: invoke an
action, await it, invoke the next; it gives ids in the order of invocation. Where the two disagree, the real host
hangs or fails the instance, although a host that follows the SDK runs it.

This module is the second numbering, written from what the .NET extension and its framework do, and sharing no code
with devhost. `walk` takes a history and the orchestrator, goes through the executions one by one and names the
first one that the extension would have ended with other decisions. No disagreement means: the real host would have
produced the same ids, and can take the instance over at any point.

Rejected: comparing only the last execution (a wrong id in the middle can be right again at the end), and trusting
the recorded decisions of the execution under test (they are what is to be proved). Not covered: rewound histories,
whose failed rows are overwritten so that the past cannot be walked any more.
"""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise, zip_longest
from typing import Any, ClassVar

Event = dict[str, Any]
Action = dict[str, Any]
Orchestrator = Callable[[str], str]

FAILURE_MARK = "\n\n$OutOfProcData$:"
HTTP_ACTIVITY = "BuiltIn::HttpActivity"
ENTITY_REQUEST = "op"


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


def walk(history: Sequence[Event], orchestrator: Orchestrator) -> list[Disagreement]:
    """Re-execute `history` as the real host does; return the disagreements of the first execution that has any.

    `history` is the list of events in the SDK's JSON shape (PascalCase, numeric EventType), in stored order; an
    instance still in flight is fine. `orchestrator` takes the request's JSON text and returns the response's, as
    the SDK's `handle` does. Later executions are not looked at after a disagreement: on the real host they would
    have had another past.

    Raises MalformedHistory, UnknownAction.
    """
    executions = split(history)
    past: list[Event] = []
    for number, execution in enumerate(executions):
        if found := _disagreements(number, past, execution, orchestrator):
            return found
        past = past + execution.events
    return []


def split(history: Sequence[Event]) -> list[Execution]:
    """Cut a history into its executions, each beginning with OrchestratorStarted. Raises MalformedHistory."""
    starts = [place for place, event in enumerate(history) if event["EventType"] == Kind.OrchestratorStarted]
    if starts[:1] != [0] or len(history) < 2 or history[1]["EventType"] != Kind.ExecutionStarted:
        raise MalformedHistory("A history begins with OrchestratorStarted and ExecutionStarted.")
    return [_execution(number, list(history[a:b])) for number, (a, b) in enumerate(pairwise([*starts, len(history)]))]


def _execution(number: int, events: list[Event]) -> Execution:
    if events[-1]["EventType"] != Kind.OrchestratorCompleted:
        raise MalformedHistory(f"Execution {number} does not end with OrchestratorCompleted.")
    told = [event for event in events if event["EventType"] != Kind.OrchestratorCompleted]
    decided = [event["EventType"] in DECISIONS for event in told]
    if decided != sorted(decided):
        raise MalformedHistory(f"Execution {number} has a message after its first decision.")
    messages = [event for event in told if event["EventType"] not in DECISIONS]
    return Execution(events, messages, [_decision(event) for event in told if event["EventType"] in DECISIONS])


def _decision(event: Event) -> Decision:
    kind = Kind(event["EventType"])
    if kind is Kind.ExecutionCompleted:
        return Decision(event["EventId"], kind.name, STATUS[event["OrchestrationStatus"]])
    return Decision(event["EventId"], kind.name, event.get("Name") or "")


def _disagreements(
    number: int, past: list[Event], execution: Execution, orchestrator: Orchestrator
) -> list[Disagreement]:
    current = [{**event, "IsPlayed": False} for event in execution.messages]
    replay = _Replay(number, past + current, orchestrator)
    for event in past + current:
        replay.feed(event)
        if replay.disagreement:
            return [replay.disagreement]
    return list(_compare(number, replay.decisions(), execution.decisions))


def _compare(number: int, expected: list[Decision], found: list[Decision]) -> Iterable[Disagreement]:
    if sorted(decision.id for decision in found) != [decision.id for decision in found]:
        # Decisions are appended in the order of their ids: name the places that are out of order.
        pairs = list(zip_longest(expected, found))
    else:
        wanted, held = ({decision.id: decision for decision in side} for side in (expected, found))
        pairs = [(wanted.get(id_), held.get(id_)) for id_ in sorted(wanted.keys() | held.keys())]
    for want, have in pairs:
        if want is None or not want.same_as(have):
            yield Disagreement(number, (want or have).id, want, have)


class _Task:
    """Something awaited by the walk.

    Continuations run at once and inside the caller, as on the framework's own scheduler.
    """

    def __init__(self) -> None:
        self.settled = False
        self.failed = False
        self._continuations: list[Callable[[], None]] = []

    def settle(self, *, failed: bool = False) -> None:
        self.settled, self.failed = True, failed
        for continuation in self._continuations:
            continuation()

    def then(self, continuation: Callable[[], None]) -> None:
        if self.settled:
            continuation()
        else:
            self._continuations.append(continuation)


Steps = Generator[_Task, None, None]
"""A coroutine of the extension.

Yields what it awaits. Its own failure is never of interest: the walk swallows errors.
"""


def _drive(steps: Steps) -> _Task:
    whole = _Task()

    def resume() -> None:
        awaited = next(steps, None)
        if awaited is None:
            whole.settle()
        else:
            awaited.then(resume)

    resume()
    return whole


@dataclass
class _Answer:
    """What the orchestrator's function returned: its actions so far, and how it ended, if it did."""

    actions: list[Action]
    status: str | None


@dataclass
class _Replay:
    """One execution of the extension: a fresh context that is fed the whole history, event by event.

    `undecided` holds invoked actions that no event of the history has confirmed yet: what is left of it at the end
    is what this execution decides. `open_tasks` holds what an instance must wait for before it can end. `requests` are
    those to entities by their ids, `answers` what waits for their answers, which are events with the requests' names.
    """

    number: int
    history: list[Event]
    orchestrator: Orchestrator
    next_id: int = 0
    undecided: dict[int, Decision] = field(default_factory=dict)
    confirmed: dict[int, str] = field(default_factory=dict)
    open_tasks: dict[int, _Task] = field(default_factory=dict)
    waiters: dict[str, list[_Task]] = field(default_factory=lambda: defaultdict(list))
    buffered: dict[str, deque[Event]] = field(default_factory=lambda: defaultdict(deque))
    requests: dict[int, _Task] = field(default_factory=dict)
    answers: dict[str, _Task] = field(default_factory=dict)
    suspended: bool = False
    held_back: deque[Event] = field(default_factory=deque)
    ended_with: str | None = None
    terminated: bool = False
    disagreement: Disagreement | None = None

    # Feeding

    def feed(self, event: Event) -> None:
        kind = Kind(event["EventType"])
        if self.suspended and kind not in (Kind.ExecutionResumed, Kind.ExecutionTerminated):
            self.held_back.append(event)
        elif handler := self._ON_EVENT.get(kind):
            handler(self, event)

    def _on_started(self, event: Event) -> None:
        answer = _ask(self.orchestrator, self.history)
        _drive(self._walk(answer))

    def _on_confirmed(self, event: Event) -> None:
        found = _decision(event)
        expected = self.undecided.get(found.id)
        if found.same_as(expected):
            del self.undecided[found.id]
            self.confirmed[found.id] = found.kind
            if found.kind == Kind.EventSent.name:
                self.answers[json.loads(event["Input"])["id"]] = self.requests[found.id]
        else:
            self.disagreement = Disagreement(self.number, found.id, expected, found)

    def _on_answer(self, event: Event) -> None:
        kind = Kind(event["EventType"])
        cause, key, failed = self._ANSWERS[kind]
        id_ = event[key]
        if self.confirmed.get(id_) != cause.name:
            self.disagreement = Disagreement(self.number, id_, None, Decision(id_, kind.name, ""))
        elif id_ in self.open_tasks:
            self.open_tasks.pop(id_).settle(failed=failed)
        # Else a duplicate, or a cancelled timer that fires all the same: the framework logs it and goes on.

    def _on_raised(self, event: Event) -> None:
        name = event["Name"].casefold()
        if event["Name"] in self.answers:
            self.answers[event["Name"]].settle()
        elif self.waiters[name]:
            self.waiters[name].pop().settle()  # A stack: the newest wait gets the event.
        else:
            self.buffered[name].append(event)

    def _on_terminated(self, event: Event) -> None:
        self.terminated = True

    def _on_suspended(self, event: Event) -> None:
        self.suspended = True

    def _on_resumed(self, event: Event) -> None:
        self.suspended = False
        held, self.held_back = self.held_back, deque()
        for each in held:
            self.feed(each)

    # Walking

    def _walk(self, answer: _Answer) -> Steps:
        for action in answer.actions:
            if action["actionType"] == 4:
                self.ended_with = "ContinuedAsNew"
                return
            yield self._invoke(action)  # Errors are swallowed: the orchestrator has already dealt with them.
        self.ended_with = answer.status

    def _invoke(self, action: Action) -> _Task:
        handler = self._ON_ACTION.get(action["actionType"])
        if handler is None:
            raise UnknownAction(f"Action type {action['actionType']} is not covered by this oracle.")
        return handler(self, action)

    def _schedule(self, kind: Kind, name: str = "") -> tuple[int, _Task]:
        id_, task = self.next_id, _Task()
        self.next_id += 1
        self.undecided[id_] = Decision(id_, kind.name, name)
        self.open_tasks[id_] = task
        return id_, task

    def _call_activity(self, action: Action) -> _Task:
        return self._schedule(Kind.TaskScheduled, action["functionName"])[1]

    def _call_activity_with_retry(self, action: Action) -> _Task:
        return _drive(self._attempts(Kind.TaskScheduled, action))

    def _call_sub_orchestrator(self, action: Action) -> _Task:
        return self._schedule(Kind.SubOrchestrationInstanceCreated, action["functionName"])[1]

    def _call_sub_orchestrator_with_retry(self, action: Action) -> _Task:
        return _drive(self._attempts(Kind.SubOrchestrationInstanceCreated, action))

    def _attempts(self, kind: Kind, action: Action) -> Steps:
        # Also the last failure is followed by a timer (of no length): histories depend on it. The SDK knows neither
        # back-off nor a limit of time, and refuses an interval of zero, which would give up without a timer.
        for _ in range(action["retryOptions"]["maxNumberOfAttempts"]):
            _, task = self._schedule(kind, action["functionName"])
            yield task
            if not task.failed:
                return
            yield self._schedule(Kind.TimerCreated)[1]

    def _create_timer(self, action: Action) -> _Task:
        id_, timer = self._schedule(Kind.TimerCreated)
        if action["isCanceled"]:
            # Created with a token that is cancelled already: over at once, and no open task.
            del self.open_tasks[id_]
            timer.settle(failed=True)
        return timer

    def _wait_for_event(self, action: Action) -> _Task:
        name, wait = action["externalEventName"].casefold(), _Task()
        if self.buffered[name]:
            self.buffered[name].popleft()
            wait.settle()
        else:
            self.waiters[name].append(wait)
        return wait

    def _call_http(self, action: Action) -> _Task:
        return self._schedule(Kind.TaskScheduled, HTTP_ACTIVITY)[1]

    def _call_entity(self, action: Action) -> _Task:
        # The wait is one for an event: the instance may end without it.
        id_, task = self._schedule(Kind.EventSent, ENTITY_REQUEST)
        self.requests[id_] = self.open_tasks.pop(id_)
        return task

    def _signal_entity(self, action: Action) -> _Task:
        task = self._call_entity(action)
        task.settle()
        return task

    def _when_all(self, action: Action) -> _Task:
        return self._when(action, lambda tasks: all(task.settled for task in tasks))

    def _when_any(self, action: Action) -> _Task:
        return self._when(action, lambda tasks: not tasks or any(task.settled for task in tasks))

    def _when(self, action: Action, enough: Callable[[list[_Task]], bool]) -> _Task:
        tasks = [self._invoke(child) for child in action["compoundActions"]]
        whole = _Task()

        def check() -> None:
            if not whole.settled and enough(tasks):
                whole.settle()

        for task in tasks:
            task.then(check)
        check()
        return whole

    # Ending

    def decisions(self) -> list[Decision]:
        """What this execution adds to the history, in the order of ids. A suspended instance decides nothing new."""
        decided = [] if self.suspended else [self.undecided[id_] for id_ in sorted(self.undecided)]
        return decided + self._completion()

    def _completion(self) -> list[Decision]:
        if self.terminated:
            return [Decision(self.next_id, Kind.ExecutionCompleted.name, "Terminated")]
        if self.ended_with is None or self.open_tasks or self.suspended:
            return []
        return [Decision(self.next_id, Kind.ExecutionCompleted.name, self.ended_with)]

    # Tables

    _ANSWERS: ClassVar[dict[Kind, tuple[Kind, str, bool]]] = {
        Kind.TaskCompleted: (Kind.TaskScheduled, "TaskScheduledId", False),
        Kind.TaskFailed: (Kind.TaskScheduled, "TaskScheduledId", True),
        Kind.SubOrchestrationInstanceCompleted: (Kind.SubOrchestrationInstanceCreated, "TaskScheduledId", False),
        Kind.SubOrchestrationInstanceFailed: (Kind.SubOrchestrationInstanceCreated, "TaskScheduledId", True),
        Kind.TimerFired: (Kind.TimerCreated, "TimerId", False),
    }
    _ON_EVENT: ClassVar[dict[Kind, Callable[["_Replay", Event], None]]] = {
        Kind.ExecutionStarted: _on_started,
        Kind.TaskScheduled: _on_confirmed,
        Kind.SubOrchestrationInstanceCreated: _on_confirmed,
        Kind.TimerCreated: _on_confirmed,
        Kind.EventSent: _on_confirmed,
        **dict.fromkeys(_ANSWERS, _on_answer),
        Kind.EventRaised: _on_raised,
        Kind.ExecutionTerminated: _on_terminated,
        Kind.ExecutionSuspended: _on_suspended,
        Kind.ExecutionResumed: _on_resumed,
    }
    _ON_ACTION: ClassVar[dict[int, Callable[["_Replay", Action], _Task]]] = {
        0: _call_activity,
        1: _call_activity_with_retry,
        2: _call_sub_orchestrator,
        3: _call_sub_orchestrator_with_retry,
        5: _create_timer,
        6: _wait_for_event,
        7: _call_entity,
        8: _call_http,
        9: _signal_entity,
        11: _when_any,
        12: _when_all,
    }


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
        answer = orchestrator(text)
    except Exception as error:
        _, mark, state = str(error).rpartition(FAILURE_MARK)
        answer = state if mark else json.dumps({"isDone": False, "actions": [], "error": str(error)})
    parsed: dict[str, Any] = json.loads(answer)
    return parsed


def _ask(orchestrator: Orchestrator, history: list[Event]) -> _Answer:
    answer = response(orchestrator, request(history))
    actions = [action for group in answer["actions"] for action in group]
    if answer.get("error") is not None:
        return _Answer(actions, "Failed")
    return _Answer(actions, "Completed" if answer["isDone"] else None)
