"""One execution of the .NET extension: it walks the orchestrator's actions, and is fed the history event by event."""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Generator
from typing import Any, ClassVar

from tests.replay.oracle.history import (
    Action,
    Decision,
    Disagreement,
    Event,
    Kind,
    Orchestrator,
    UnknownAction,
    decision_of,
    request,
    response,
)

HTTP_ACTIVITY = "BuiltIn::HttpActivity"
ENTITY_REQUEST = "op"
CONTINUE_AS_NEW = 4


class Task:
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


Steps = Generator[Task, None, None]
"""A coroutine of the extension.

Yields what it awaits. Its own failure is never of interest: the walk swallows errors.
"""


def _drive(steps: Steps) -> Task:
    whole = Task()

    def resume() -> None:
        awaited = next(steps, None)
        if awaited is None:
            whole.settle()
        else:
            awaited.then(resume)

    resume()
    return whole


class ActionWalk:
    """Invokes the orchestrator's actions one after the other; each takes its id when it is invoked.

    `undecided` holds invoked actions that no event of the history has confirmed yet: what is left of it at the end
    is what this execution decides. `open_tasks` holds what an instance must wait for before it can end. `requests` are
    those to entities by their ids. `ended_with`: how the orchestrator ended, if it did.
    """

    def __init__(self) -> None:
        self.next_id = 0
        self.undecided: dict[int, Decision] = {}
        self.open_tasks: dict[int, Task] = {}
        self.requests: dict[int, Task] = {}
        self.ended_with: str | None = None
        self._waiters: dict[str, list[Task]] = defaultdict(list)
        self._buffered: dict[str, deque[Event]] = defaultdict(deque)

    def start(self, actions: list[Action], status: str | None) -> None:
        """`status`: how the orchestrator ended behind these actions; None if it still waits."""
        _drive(self._walk(actions, status))

    def _walk(self, actions: list[Action], status: str | None) -> Steps:
        for action in actions:
            if action["actionType"] == CONTINUE_AS_NEW:
                self.ended_with = "ContinuedAsNew"
                return
            yield self._invoke(action)  # Errors are swallowed: the orchestrator has already dealt with them.
        self.ended_with = status

    def raise_event(self, event: Event) -> None:
        name = event["Name"].casefold()
        if self._waiters[name]:
            self._waiters[name].pop().settle()  # A stack: the newest wait gets the event.
        else:
            self._buffered[name].append(event)

    def _invoke(self, action: Action) -> Task:
        handler = self._ON_ACTION.get(action["actionType"])
        if handler is None:
            raise UnknownAction(f"Action type {action['actionType']} is not covered by this oracle.")
        return handler(self, action)

    def _schedule(self, kind: Kind, name: str = "") -> tuple[int, Task]:
        id_, task = self.next_id, Task()
        self.next_id += 1
        self.undecided[id_] = Decision(id_, kind.name, name)
        self.open_tasks[id_] = task
        return id_, task

    def _call_activity(self, action: Action) -> Task:
        return self._schedule(Kind.TaskScheduled, action["functionName"])[1]

    def _call_activity_with_retry(self, action: Action) -> Task:
        return _drive(self._attempts(Kind.TaskScheduled, action))

    def _call_sub_orchestrator(self, action: Action) -> Task:
        return self._schedule(Kind.SubOrchestrationInstanceCreated, action["functionName"])[1]

    def _call_sub_orchestrator_with_retry(self, action: Action) -> Task:
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

    def _create_timer(self, action: Action) -> Task:
        id_, timer = self._schedule(Kind.TimerCreated)
        if action["isCanceled"]:
            # Created with a token that is cancelled already: over at once, and no open task.
            del self.open_tasks[id_]
            timer.settle(failed=True)
        return timer

    def _wait_for_event(self, action: Action) -> Task:
        name, wait = action["externalEventName"].casefold(), Task()
        if self._buffered[name]:
            self._buffered[name].popleft()
            wait.settle()
        else:
            self._waiters[name].append(wait)
        return wait

    def _call_http(self, action: Action) -> Task:
        return self._schedule(Kind.TaskScheduled, HTTP_ACTIVITY)[1]

    def _call_entity(self, action: Action) -> Task:
        # The wait is one for an event: the instance may end without it.
        id_, task = self._schedule(Kind.EventSent, ENTITY_REQUEST)
        self.requests[id_] = self.open_tasks.pop(id_)
        return task

    def _signal_entity(self, action: Action) -> Task:
        task = self._call_entity(action)
        task.settle()
        return task

    def _when_all(self, action: Action) -> Task:
        return self._when(action, lambda tasks: all(task.settled for task in tasks))

    def _when_any(self, action: Action) -> Task:
        return self._when(action, lambda tasks: not tasks or any(task.settled for task in tasks))

    def _when(self, action: Action, enough: Callable[[list[Task]], bool]) -> Task:
        tasks = [self._invoke(child) for child in action["compoundActions"]]
        whole = Task()

        def check() -> None:
            if not whole.settled and enough(tasks):
                whole.settle()

        for task in tasks:
            task.then(check)
        check()
        return whole

    _ON_ACTION: ClassVar[dict[int, Callable[["ActionWalk", Action], Task]]] = {
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


class Replay:
    """A fresh context that is fed the whole history, event by event.

    `_answers` holds what waits for the answers of entities, which are events with the requests' names.
    """

    def __init__(self, number: int, history: list[Event], orchestrator: Orchestrator) -> None:
        self._number, self._history, self._orchestrator = number, history, orchestrator
        self._actions = ActionWalk()
        self._confirmed: dict[int, str] = {}
        self._answers: dict[str, Task] = {}
        self._suspended = False
        self._held_back: deque[Event] = deque()
        self._terminated = False
        self.disagreement: Disagreement | None = None

    def feed(self, event: Event) -> None:
        kind = Kind(event["EventType"])
        if self._suspended and kind not in (Kind.ExecutionResumed, Kind.ExecutionTerminated):
            self._held_back.append(event)
        elif handler := self._ON_EVENT.get(kind):
            handler(self, event)

    def _on_started(self, event: Event) -> None:
        self._actions.start(*_ask(self._orchestrator, self._history))

    def _on_confirmed(self, event: Event) -> None:
        recorded = decision_of(event)
        expected = self._actions.undecided.get(recorded.id)
        if recorded.same_as(expected):
            del self._actions.undecided[recorded.id]
            self._confirmed[recorded.id] = recorded.kind
            if recorded.kind == Kind.EventSent.name:
                self._answers[json.loads(event["Input"])["id"]] = self._actions.requests[recorded.id]
        else:
            self.disagreement = Disagreement(self._number, recorded.id, expected, recorded)

    def _on_answer(self, event: Event) -> None:
        kind = Kind(event["EventType"])
        cause, key, failed = self._ANSWERS[kind]
        id_ = event[key]
        if self._confirmed.get(id_) != cause.name:
            self.disagreement = Disagreement(self._number, id_, None, Decision(id_, kind.name, ""))
        elif id_ in self._actions.open_tasks:
            self._actions.open_tasks.pop(id_).settle(failed=failed)
        # Else a duplicate, or a cancelled timer that fires all the same: the framework logs it and goes on.

    def _on_raised(self, event: Event) -> None:
        if event["Name"] in self._answers:
            self._answers[event["Name"]].settle()
        else:
            self._actions.raise_event(event)

    def _on_terminated(self, event: Event) -> None:
        self._terminated = True

    def _on_suspended(self, event: Event) -> None:
        self._suspended = True

    def _on_resumed(self, event: Event) -> None:
        self._suspended = False
        held, self._held_back = self._held_back, deque()
        for each in held:
            self.feed(each)

    def decisions(self) -> list[Decision]:
        """What this execution adds to the history, in the order of ids. A suspended instance decides nothing new."""
        undecided = self._actions.undecided
        decided = [] if self._suspended else [undecided[id_] for id_ in sorted(undecided)]
        return decided + self._completion()

    def _completion(self) -> list[Decision]:
        actions = self._actions
        if self._terminated:
            return [Decision(actions.next_id, Kind.ExecutionCompleted.name, "Terminated")]
        if actions.ended_with is None or actions.open_tasks or self._suspended:
            return []
        return [Decision(actions.next_id, Kind.ExecutionCompleted.name, actions.ended_with)]

    _ANSWERS: ClassVar[dict[Kind, tuple[Kind, str, bool]]] = {
        Kind.TaskCompleted: (Kind.TaskScheduled, "TaskScheduledId", False),
        Kind.TaskFailed: (Kind.TaskScheduled, "TaskScheduledId", True),
        Kind.SubOrchestrationInstanceCompleted: (Kind.SubOrchestrationInstanceCreated, "TaskScheduledId", False),
        Kind.SubOrchestrationInstanceFailed: (Kind.SubOrchestrationInstanceCreated, "TaskScheduledId", True),
        Kind.TimerFired: (Kind.TimerCreated, "TimerId", False),
    }
    _ON_EVENT: ClassVar[dict[Kind, Callable[["Replay", Event], None]]] = {
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


def _ask(orchestrator: Orchestrator, history: list[Event]) -> tuple[list[Action], str | None]:
    """The orchestrator's actions so far, and how it ended, if it did."""
    answer: dict[str, Any] = response(orchestrator, request(history))
    actions = [action for group in answer["actions"] for action in group]
    if answer.get("error") is not None:
        return actions, "Failed"
    return actions, "Completed" if answer["isDone"] else None
