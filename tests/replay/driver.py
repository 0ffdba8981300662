"""Plays an orchestration to its end in one process, on virtual time, and returns the history that the real storage
would hold.

It is the simplest exact engine: one message an execution, ids in the order in which the SDK gives them. No clock,
no storage, no server: a saga that waits a day for its retries is played in milliseconds. It shares no code with
devhost, so that a history made here and one made there are two witnesses; and it knows nothing of the oracle's
walk, which judges both.
"""

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar

from tests.replay.oracle.extension import ENTITY_REQUEST, HTTP_ACTIVITY
from tests.replay.oracle.history import Action, Event, Kind, Orchestrator, UnknownAction, request, response

EXECUTION_ID = "0123456789abcdef0123456789abcdef"
BEGINNING = datetime(2026, 1, 1, 12, tzinfo=UTC)
COMPLETED, FAILED = 1, 3
ACTIVITY, ACTIVITY_RETRY, CHILD, CHILD_RETRY, TIMER, WAIT, HTTP, SIGNAL = 0, 1, 2, 3, 5, 6, 8, 9
WHEN_ANY, WHEN_ALL = 11, 12


@dataclass(frozen=True)
class Call:
    """An activity or sub-orchestration as its worker receives it.

    `attempt` counts the calls of that name with that input, from 1.
    """

    name: str
    input: Any
    attempt: int


@dataclass(frozen=True)
class Done:
    """The call returned `result` (plain JSON) after so many virtual seconds."""

    result: Any = None
    seconds: float = 0.1


@dataclass(frozen=True)
class Broken:
    """The call raised; `message` as the worker writes it, `<type>: <text>`."""

    message: str = "RuntimeError: broken"
    seconds: float = 0.1


@dataclass(frozen=True)
class Raised:
    """An external event, so many virtual seconds after the start. `data` is JSON text, as stored."""

    name: str
    data: str = "null"
    seconds: float = 0.0


World = Callable[[Call], Done | Broken]


@dataclass
class _Retry:
    """A call with retry options.

    Its state between attempts, which the SDK keeps to itself and the history has to follow.
    """

    action: Action
    kind: Kind
    attempts: int = 1

    @property
    def exhausted(self) -> bool:
        return self.attempts >= int(self.action["retryOptions"]["maxNumberOfAttempts"])

    @property
    def delay(self) -> timedelta:
        options = self.action["retryOptions"]
        return timedelta(milliseconds=0 if self.exhausted else options["firstRetryIntervalInMilliseconds"])


def play(
    orchestrator: Orchestrator,
    world: World,
    *,
    name: str = "order_saga",
    input_: Any = None,
    instance_id: str = "instance-1",
    events: Iterable[Raised] = (),
    slow: float = 0,
    limit: int = 2000,
) -> list[Event]:
    """Run until the instance ends or nothing more can happen; return the history, in the SDK's JSON shape.

    `input_` is what the Python client is given. `slow`: a message waits so many seconds for its execution, and what
    came meanwhile is in the same one. A history without ExecutionCompleted is an instance that hangs (or waits for an
    event that never comes). More than `limit` executions raise AssertionError.
    """
    player = _Player(orchestrator, world, name, slow)
    text = json.dumps(json.dumps(input_))  # The client dumps once, its HTTP library again.
    player.send(0, _started(name, instance_id, text))
    for event in events:
        player.send(event.seconds, _event(Kind.EventRaised, Name=event.name, Input=event.data))
    return player.run(limit)


def go_on(
    orchestrator: Orchestrator,
    world: World,
    history: Sequence[Event],
    events: Sequence[Raised] = (),
    *,
    limit: int = 2000,
) -> list[Event]:
    """Take over an instance in flight, of which only its history is left, and run it as `play` does.

    What was called or set and has no answer in the history is called again, and set again, as after a restart.
    `events` are all that are ever raised, their seconds counted from the instance's start; those that the history has
    already are left out. Calls with retry options cannot be taken over.
    """
    player = _Player(orchestrator, world, history[1]["Name"])
    player.take_over([dict(event) for event in history])
    elapsed = (player.now - datetime.fromisoformat(history[0]["Timestamp"])).total_seconds()
    raised = sum(event["EventType"] == Kind.EventRaised for event in history)
    for event in events[raised:]:
        player.send(event.seconds - elapsed, _event(Kind.EventRaised, Name=event.name, Input=event.data))
    return player.run(limit)


def _event(kind: Kind, id_: int = -1, **fields: Any) -> Event:
    """An event as the SDK is sent it, before it was processed. Its time is set when it is appended to a history."""
    return {"EventType": int(kind), "EventId": id_, "IsPlayed": False, "Timestamp": ""} | fields


def beginning(name: str, instance_id: str, text: str) -> list[Event]:
    """What an orchestrator is called with the first time; `text` is the instance's input as stored."""
    stamp = {"Timestamp": _stamp(BEGINNING)}
    return [_event(Kind.OrchestratorStarted) | stamp, _started(name, instance_id, text) | stamp]


def _started(name: str, instance_id: str, text: str) -> Event:
    return _event(
        Kind.ExecutionStarted,
        OrchestrationInstance={"InstanceId": instance_id, "ExecutionId": EXECUTION_ID},
        ParentInstance=None,
        Name=name,
        Version="",
        Input=text,
        Tags=None,
    )


def _answer(event: Event, answer: Done | Broken) -> Event:
    child = event["EventType"] == Kind.SubOrchestrationInstanceCreated
    if isinstance(answer, Done):
        kind = Kind.SubOrchestrationInstanceCompleted if child else Kind.TaskCompleted
        text = None if answer.result is None else json.dumps(answer.result, separators=(",", ":"))
        return _event(kind, TaskScheduledId=event["EventId"], Result=text)
    kind = Kind.SubOrchestrationInstanceFailed if child else Kind.TaskFailed
    reason = f"{'Orchestrator' if child else 'Activity'} function '{event['Name']}' failed:  {answer.message}"
    details = json.dumps({"Message": f" {answer.message}"})
    return _event(kind, TaskScheduledId=event["EventId"], Reason=reason, Details=details, FailureDetails=None)


def _flat(actions: Iterable[Action]) -> Iterator[Action]:
    for action in actions:
        if action["actionType"] in (WHEN_ANY, WHEN_ALL):
            yield from _flat(action["compoundActions"])
        else:
            yield action


def _actions(answer: dict[str, Any]) -> list[Action]:
    return [action for group in answer["actions"] for action in group]


def _answered(message: Event) -> int:
    """The id of the task or timer that a message answers; -1 for a message that answers none."""
    id_: int = message["TaskScheduledId"] if "TaskScheduledId" in message else message.get("TimerId", -1)
    return id_


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


@dataclass
class _Player:
    orchestrator: Orchestrator
    world: World
    name: str
    slow: float = 0
    now: datetime = BEGINNING
    history: list[Event] = field(default_factory=list)
    inbox: list[tuple[datetime, int, Event]] = field(default_factory=list)
    order: "count[int]" = field(default_factory=count)
    next_id: int = 0
    # The id of each action that the orchestrator ever listed, compounds flattened; None for a wait, which takes no id.
    ids: list[int | None] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    retries: dict[int, _Retry] = field(default_factory=dict)
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: bool = False

    def send(self, seconds: float, message: Event) -> None:
        heapq.heappush(self.inbox, (self.now + timedelta(seconds=seconds), next(self.order), message))

    def append(self, event: Event) -> None:
        event["Timestamp"] = _stamp(self.now)
        self.history.append(event)

    def run(self, limit: int) -> list[Event]:
        while self.inbox and not self.ended:
            self.execute()
            limit -= 1
            assert limit, f"{self.name} does not end"
        return self.history

    def take_over(self, history: list[Event]) -> None:
        self.history = history
        self.now = datetime.fromisoformat(history[-1]["Timestamp"])
        # The orchestrator lists again what it has asked for: in the order of the rows, since each row is one action.
        decided = [event for event in history if event["EventType"] in (Kind.TaskScheduled, Kind.TimerCreated)]
        self.next_id = len(decided)
        coming = iter(decided)
        for action in _flat(_actions(response(self.orchestrator, request(history)))):
            event = None if action["actionType"] == WAIT else next(coming)
            self.ids.append(None if event is None else event["EventId"])
            if event is not None and not action.get("isCanceled"):
                self.open.add(event["EventId"])
        self.open -= {_answered(event) for event in history}
        for event in decided:
            if event["EventId"] in self.open:
                self.dispatch(event)
            elif event["EventType"] == Kind.TaskScheduled:
                self.attempts[event["Name"], event["Input"]] += 1

    def execute(self) -> None:
        messages = self.due()
        self.append(_event(Kind.OrchestratorStarted))
        for message in messages:
            self.append(message)
            self.open.discard(_answered(message))
        decisions = [event for message in messages for event in self.retry_after(message)]
        answer = response(self.orchestrator, request(self.history))
        decisions += self.new_decisions(_actions(answer))
        for event in decisions:
            self.append(event)
            self.dispatch(event)
        self.complete(answer)
        for message in messages:
            message["IsPlayed"] = True
        self.append(_event(Kind.OrchestratorCompleted))

    def due(self) -> list[Event]:
        """The next message, and all that came before it is looked at."""
        first, _, message = heapq.heappop(self.inbox)
        # Two executions never share a timestamp, as on a host.
        self.now = max(first + timedelta(seconds=self.slow), self.now + timedelta(milliseconds=1))
        messages = [message]
        while self.slow and self.inbox and self.inbox[0][0] <= self.now:
            messages.append(heapq.heappop(self.inbox)[2])
        return messages

    # Decisions

    def retry_after(self, message: Event) -> list[Event]:
        """The SDK takes the id of a retry's timer or next attempt before it resumes the orchestrator."""
        retry = self.retries.pop(_answered(message), None)
        if retry is None or message["EventType"] in (Kind.TaskCompleted, Kind.SubOrchestrationInstanceCompleted):
            return []
        if message["EventType"] != Kind.TimerFired:
            return [self.follow(retry, self.timer(_stamp(self.now + retry.delay)))]
        if retry.exhausted:
            return []
        retry.attempts += 1
        return [self.follow(retry, self.call(retry.kind, retry.action))]

    def follow(self, retry: _Retry, event: Event) -> Event:
        self.retries[event["EventId"]] = retry
        return event

    def new_decisions(self, actions: list[Action]) -> list[Event]:
        flat = list(_flat(actions))
        events = [self.decide(action) for action in flat[len(self.ids) :]]
        self.ids += [None if event is None else event["EventId"] for event in events]
        cancelled = {id_ for id_, action in zip(self.ids, flat, strict=True) if action.get("isCanceled")}
        self.open -= {id_ for id_ in cancelled if id_ is not None}
        return [event for event in events if event is not None]

    def decide(self, action: Action) -> Event | None:
        kind = action["actionType"]
        if kind not in self._ON_ACTION:
            raise UnknownAction(f"Action type {kind} is not played.")
        return self._ON_ACTION[kind](self, action)

    def call_activity(self, action: Action) -> Event:
        return self.call(Kind.TaskScheduled, action)

    def call_child(self, action: Action) -> Event:
        return self.call(Kind.SubOrchestrationInstanceCreated, action)

    def call_activity_with_retry(self, action: Action) -> Event:
        return self.follow(_Retry(action, Kind.TaskScheduled), self.call_activity(action))

    def call_child_with_retry(self, action: Action) -> Event:
        return self.follow(_Retry(action, Kind.SubOrchestrationInstanceCreated), self.call_child(action))

    def call_http(self, action: Action) -> Event:
        return self.call_activity({"functionName": HTTP_ACTIVITY, "input": json.dumps(action["httpRequest"])})

    def create_timer(self, action: Action) -> Event:
        return self.timer(action["fireAt"])

    def signal(self, action: Action) -> Event:
        """Nothing answers it."""
        message = {"op": action["operation"], "signal": True, "id": str(self.next_id), "input": action["input"]}
        sent = {"InstanceId": action["instanceId"], "Name": ENTITY_REQUEST, "Input": json.dumps(message)}
        event = _event(Kind.EventSent, self.take_id(), **sent)
        self.open.discard(event["EventId"])
        return event

    def wait(self, action: Action) -> None:
        """Waiting for an event takes no id and leaves no row."""

    def call(self, kind: Kind, action: Action) -> Event:
        event = _event(kind, self.take_id(), Name=action["functionName"], Version="", Input=action["input"])
        if kind is Kind.SubOrchestrationInstanceCreated:
            event["InstanceId"] = action.get("instanceId") or f"{EXECUTION_ID}:{event['EventId']}"
        return event

    def timer(self, fire_at: str) -> Event:
        return _event(Kind.TimerCreated, self.take_id(), FireAt=fire_at)

    def take_id(self) -> int:
        id_ = self.next_id
        self.next_id += 1
        self.open.add(id_)
        return id_

    def complete(self, answer: dict[str, Any]) -> None:
        failure = answer.get("error")
        if self.open or not (answer["isDone"] or failure):
            return
        self.ended = True
        status, result = COMPLETED, json.dumps(answer.get("output"), separators=(",", ":"))
        if failure:
            status, result = FAILED, f"Orchestrator function '{self.name}' failed: {failure}"
        last = self.take_id()
        self.append(
            _event(Kind.ExecutionCompleted, last, OrchestrationStatus=status, Result=result, FailureDetails=None)
        )

    # The world

    def dispatch(self, event: Event) -> None:
        if event["EventType"] == Kind.TimerCreated:
            wait = datetime.fromisoformat(event["FireAt"]) - self.now
            self.send(wait.total_seconds(), _event(Kind.TimerFired, TimerId=event["EventId"], FireAt=event["FireAt"]))
        elif event["EventType"] != Kind.EventSent:
            called = (event["Name"], event["Input"])
            self.attempts[called] += 1
            answer = self.world(Call(event["Name"], json.loads(event["Input"]), self.attempts[called]))
            self.send(answer.seconds, _answer(event, answer))

    _ON_ACTION: ClassVar[dict[int, Callable[["_Player", Action], Event | None]]] = {
        ACTIVITY: call_activity,
        ACTIVITY_RETRY: call_activity_with_retry,
        CHILD: call_child,
        CHILD_RETRY: call_child_with_retry,
        TIMER: create_timer,
        WAIT: wait,
        HTTP: call_http,
        SIGNAL: signal,
    }
