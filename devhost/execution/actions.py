"""The SDK's action types as tasks that have no number yet.

A new action type is one row of MAKERS.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from devhost.history.events import compact_json

Action = dict[str, Any]

ACTIVITY, SUB_ORCHESTRATION, TIMER, WAIT, CONTINUE = "activity", "sub-orchestration", "timer", "event wait", "restart"
CALL, SIGNAL = "entity call", "entity signal"
HTTP_ACTIVITY = "BuiltIn::HttpActivity"
MAX_CUSTOM_STATUS_BYTES = 16 * 1024


class OrchestrationFault(Exception):
    """The instance must fail now; the text says why, for the author of the orchestrator."""


@dataclass
class Retry:
    """The state of one with-retry action: how many attempts were scheduled, and its limits."""

    action: Action
    attempts: int
    max_attempts: int
    first_interval: timedelta

    @property
    def exhausted(self) -> bool:
        return self.attempts >= self.max_attempts


@dataclass
class Task:
    """One numbered task. For timers `fire_at` is set; for others `name` and `input` (JSON text).

    Of a request to an entity, `instance_id` is the entity's, and `request` the message that is sent.
    """

    id: int
    kind: str
    name: str = ""
    input: str | None = None
    fire_at: datetime | None = None
    instance_id: str | None = None
    version: str | None = None
    request: str = ""
    action: Action = field(default_factory=dict)
    retry: Retry | None = None
    cancelled: bool = False


Maker = Callable[[Action], Task]


def _activity(action: Action) -> Task:
    return Task(-1, ACTIVITY, action["functionName"], action.get("input"), action=action, retry=_retry(action))


def _http(action: Action) -> Task:
    """The request as the extension stores it: fields that this SDK cannot set have their defaults."""
    defaults = {"asynchronousPatternEnabled": True, "retryOptions": None, "timeout": None, "tokenSource": None}
    return Task(-1, ACTIVITY, HTTP_ACTIVITY, compact_json({**defaults, **action["httpRequest"]}), action=action)


def _sub_orchestration(action: Action) -> Task:
    task = Task(-1, SUB_ORCHESTRATION, action["functionName"], action.get("input"), action=action, retry=_retry(action))
    task.instance_id, task.version = action.get("instanceId") or None, action.get("version")
    return task


def _timer(action: Action) -> Task:
    return Task(-1, TIMER, fire_at=parse_fire_at(action["fireAt"]), action=action)


def _wait(action: Action) -> Task:
    return Task(-1, WAIT, action["externalEventName"], action=action)


def _continue_as_new(action: Action) -> Task:
    return Task(-1, CONTINUE, input=action.get("input"), action=action)


def _to_entity(kind: str) -> Maker:
    def request(action: Action) -> Task:
        task = Task(-1, kind, f"{action['operation']} of {action['instanceId']}", action.get("input"), action=action)
        task.instance_id = action["instanceId"]
        return task

    return request


# The table of the SDK's action types. It never yields type 10, a signal at a set time.
MAKERS: dict[int, Maker] = {
    0: _activity,
    1: _activity,
    2: _sub_orchestration,
    3: _sub_orchestration,
    4: _continue_as_new,
    5: _timer,
    6: _wait,
    7: _to_entity(CALL),
    8: _http,
    9: _to_entity(SIGNAL),
}
COMPOUND = (11, 12)
NUMBERED = (ACTIVITY, SUB_ORCHESTRATION, TIMER, CALL, SIGNAL)


def flatten(actions: Iterable[Action]) -> list[Action]:
    """The actions with every task_any and task_all replaced by its children, in order."""
    flat: list[Action] = []
    for action in actions:
        flat += flatten(action["compoundActions"]) if action["actionType"] in COMPOUND else [action]
    return flat


@dataclass(frozen=True)
class Listed:
    """A simple action, and the yield that it belongs to: the yield's place, and its whole action."""

    step: int
    whole: Action
    action: Action


def listed(actions: Iterable[Action], first: int = 0) -> list[Listed]:
    """The actions as `flatten` returns them, each with its yield; `first` is the place of the first yield."""
    return [Listed(step, whole, each) for step, whole in enumerate(actions, first) for each in flatten([whole])]


def _retry(action: Action) -> Retry | None:
    options = action.get("retryOptions")
    if not options:
        return None
    first = timedelta(milliseconds=options["firstRetryIntervalInMilliseconds"])
    return Retry(action, 1, options["maxNumberOfAttempts"], first)


def describe(kind: str, name: str) -> str:
    return f"{kind} '{name}'" if name else kind


def parse_fire_at(text: str) -> datetime:
    """The SDK's `YYYY-mm-ddTHH:MM:SS.ffffffZ`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def make(action: Action) -> Task:
    """The task of an action, not yet numbered."""
    maker = MAKERS.get(action["actionType"])
    if maker is None:
        raise OrchestrationFault(f"The orchestrator yielded an action of the unknown type {action['actionType']}.")
    return maker(action)
