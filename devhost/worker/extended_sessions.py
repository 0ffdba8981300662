"""Extended sessions: the worker keeps the SDK's executor of an execution between its turns.

If each turn replayed the history from its start, each turn would cost more than the one before, and a chain of a
thousand steps would be quadratic. So the worker keeps an execution that it has replayed once. The execution then gets
only the new events, and its answer holds only the new actions. It is the same executor and the same generator that a
replay would have rebuilt, as with the extended sessions of the .NET extension. Nothing depends on a session: if it is
gone (too many, too old, in another worker), the history is replayed. A replay at the end of an execution checks that
both agree (execution/executor.py).

The executor's methods are internals of the SDK. With an SDK that has other methods, every turn is a replay.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from azure.durable_functions.models import DurableOrchestrationContext
from azure.durable_functions.models.actions.CompoundAction import CompoundAction
from azure.durable_functions.models.actions.CreateTimerAction import CreateTimerAction
from azure.durable_functions.models.history import HistoryEvent
from azure.durable_functions.models.TaskOrchestrationExecutor import TaskOrchestrationExecutor

from devhost.worker.dead_ends import dead_end
from devhost.worker_protocol import MAX_SESSIONS

KEPT_FOR_S = 10.0

State = Callable[[], str]
TurnAnswer = tuple[dict[str, Any], State]


def supported(code: Any) -> bool:
    """Whether the SDK's executor can be kept, for this orchestrator's handler."""
    methods = ("execute", "process_event", "get_orchestrator_state_str")
    known = all(hasattr(TaskOrchestrationExecutor, method) for method in methods)
    return known and callable(getattr(code, "orchestrator_function", None))


class ExtendedSession:
    """One execution; `turn` is the number of its last turn.

    `resume` takes only the events after those of the previous turns.
    """

    def __init__(self, code: Any, context: str, turn: int) -> None:
        self.turn = turn
        self._context = DurableOrchestrationContext.from_json(context)
        self._context._input_expected_type = getattr(code, "_df_input_type", None)
        self._executor, self._function = TaskOrchestrationExecutor(), code.orchestrator_function
        self._taken, self._take = 0, self._executor.process_event
        self._executor.process_event = self._count
        self._yielded = 0
        self._timers: dict[int, CreateTimerAction] = {}
        self.used = time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether the orchestrator has ended: later events do not need the session."""
        return bool(self._executor.has_execution_completed)

    def start(self) -> TurnAnswer:
        """Replay the whole history. The state is returned as a function, because the SDK's property may raise."""
        context = self._context
        return self._run_turn(
            len(context.histories), lambda: self._executor.execute(context, context.histories, self._function)
        )

    def resume(self, events: list[dict[str, Any]]) -> TurnAnswer:
        """Take the events of one more turn, up to the one that ends the execution."""
        self.used = time.monotonic()
        self.turn += 1
        self._context._action_payload_v2, self._taken = [], 0
        return self._run_turn(len(events), lambda: self._state_after(events))

    def _state_after(self, events: list[dict[str, Any]]) -> str:
        for event in (HistoryEvent(**each) for each in events):
            self._context._histories.append(event)
            if self._executor.has_execution_completed:
                break
            self._executor.process_event(event)
        return str(self._executor.get_orchestrator_state_str())

    def _count(self, event: HistoryEvent) -> None:
        self._taken += 1
        self._take(event)

    def _run_turn(self, events: int, work: State) -> TurnAnswer:
        """Do the work of a turn of so many events. Beside the state the host gets `first`, the number of actions
        before this turn; `cancelled`, the places of the timers that were cancelled in this turn; and `left`, how many
        events followed the end.
        """
        state, fault = _attempt(work)
        first, left = self._yielded, events - self._taken
        for action in self._context._action_payload_v2:
            for leaf in leaves(action):
                if isinstance(leaf, CreateTimerAction):
                    self._timers[self._yielded] = leaf
                self._yielded += 1
        cancelled = [number for number, timer in self._timers.items() if timer.is_cancelled]
        for number in cancelled:
            del self._timers[number]
        if end := dead_end(self._executor, fault, self._yielded + 1):
            state = _raiser(end)
        return {"first": first, "cancelled": cancelled, "left": left}, state


class ExtendedSessions:
    """The sessions of one worker, by execution. Each is used by one turn at a time; the table by several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, ExtendedSession] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, key: str, session: ExtendedSession) -> None:
        """Keep a session until it has ended, or others need the room, or it was not used in time."""
        with self._lock:
            if not session.ended:
                self._kept[key] = session
                self._kept.move_to_end(key)
            while len(self._kept) > MAX_SESSIONS or self._oldest_is_too_old():
                self._kept.popitem(last=False)

    def take(self, key: str, turn: int) -> ExtendedSession | None:
        """Take the session whose next turn has that number out of the table; its user puts it back unless it failed.

        A session that is at another turn has events that the host lacks, or lacks events: it is dropped.
        """
        with self._lock:
            session = self._kept.pop(key, None)
        is_next = session is not None and session.turn == turn - 1
        return session if session and is_next and time.monotonic() - session.used <= KEPT_FOR_S else None

    def has_next_turn(self, key: str, turn: int) -> bool:
        """Whether the next turn of a kept session has that number."""
        with self._lock:
            session = self._kept.get(key)
        return session is not None and session.turn == turn - 1

    def _oldest_is_too_old(self) -> bool:
        oldest = next(iter(self._kept.values()), None)
        return oldest is not None and time.monotonic() - oldest.used > KEPT_FOR_S


def leaves(action: Any) -> Iterator[Any]:
    """The actions of a task_any or task_all, in order; else the action itself."""
    if isinstance(action, CompoundAction):
        for child in action.compound_tasks:
            yield from leaves(child)
    else:
        yield action


def read_events(body: bytes) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(body)
    return events


def _attempt(work: State) -> tuple[State, Exception | None]:
    """A function that returns the result of the work, or raises its exception."""
    try:
        text = work()
    except Exception as fault:
        return _raiser(fault), fault
    return lambda: text, None


def _raiser(fault: Exception) -> State:
    def state() -> str:
        raise fault

    return state
