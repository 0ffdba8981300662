"""Faults on request, in one place for every operation of both processes.

A plan is `{"seed": 7, "rules": [{"operation", "fault", "order_id", "times", "probability", "delay_s", "kill_pid"}]}`.
Of the rules that match an operation (and, where the rule names one, its order), the first that fires decides; a rule
fires at most `times` times.

A draw depends only on the seed, the rule, the order and how often that rule has matched that order. So the faults of
one order are the same in every run, however the orders of a test interleave; one shared random generator would not
give that.

The plan and its counts are kept in a file, so that a restart neither loses a rule nor lets it fire again.

When a plan is deleted, held answers are sent and held calls are carried out at once. So a test can hold a call for
exactly as long as it needs.

`under_fault` carries a fault out. It does not depend on HTTP or SMTP: an edge passes it an `Operation`, and turns
`Cut` into a closed connection.
"""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from sandbox import kills
from sandbox.ledger import JsonLines, JsonObject

Answer_co = TypeVar("Answer_co", covariant=True)
Returned = TypeVar("Returned")


class Cut(Exception):
    """The edge must close the caller's connection without an answer."""


class PlanRefused(Exception):
    """A fault plan that cannot be followed; the message names its fault."""


class Operation(Protocol[Answer_co]):
    """One call at an edge, and how it can be answered. Each method is atomic."""

    def perform(self) -> Answer_co:
        """Carry the call out and answer."""

    def perform_then_fail(self) -> Answer_co:
        """Carry the call out, but answer as if the provider had failed, and store that answer."""

    def refuse(self) -> Answer_co:
        """A refusal for a business reason."""

    def fail(self) -> Answer_co:
        """A provider's failure, with no effect and no stored answer."""

    def in_flight(self) -> AbstractContextManager[None]:
        """Occupies, while open, whatever a second call of the same kind must find occupied."""


@dataclass(frozen=True)
class Rule:
    """One row of a plan. `times` None means no limit; `delay_s` is in seconds; `kill_pid` 0 kills no process."""

    operation: str
    fault: str
    order_id: str | None = None
    times: int | None = None
    probability: float = 1.0
    delay_s: float = 0.0
    kill_pid: int = 0

    def matches(self, operation: str, order_id: str | None) -> bool:
        return self.operation == operation and self.order_id in (None, order_id)


class Fired(NamedTuple):
    """A rule that decides a call; `over` is set when its plan is deleted."""

    rule: Rule
    over: asyncio.Event

    async def pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), self.rule.delay_s)


class Faults:
    """The plan of one process, which decides the faults of its operations."""

    def __init__(self, path: Path, operations: Collection[str]) -> None:
        self._file = JsonLines(path)
        self._operations = operations
        self._begin({"seed": 0, "rules": []})
        self._file.recall(self._recall)

    @property
    def plan(self) -> JsonObject:
        """The plan with its defaults, and `fired`: how often each rule has fired."""
        fired = [self._fired[n] for n in range(len(self._rules))]
        return {"seed": self._seed, "rules": [asdict(rule) for rule in self._rules], "fired": fired}

    def replace(self, plan: Any) -> None:
        """Follow this plan from its beginning. Raises PlanRefused, and keeps the old plan, when it is not a plan."""
        checked = _checked_plan(plan, self._operations)
        self._file.replace(checked)
        self._begin(checked)

    def clear(self) -> None:
        """Follow no rule any more, and release the calls that rules hold."""
        over = self._over
        self.replace({})
        over.set()

    def fire(self, operation: str, order_id: str | None) -> Fired | None:
        """The rule that decides this call, if any; it counts as used."""
        for number, rule in enumerate(self._rules):
            if self._is_due(number, operation, order_id):
                draw: JsonObject = {"rule": number, "order_id": order_id, "fires": self._draw(number, order_id)}
                self._file.append(draw)
                self._recall(draw)
                if draw["fires"]:
                    return Fired(rule, self._over)
        return None

    def _is_due(self, number: int, operation: str, order_id: str | None) -> bool:
        rule = self._rules[number]
        return rule.matches(operation, order_id) and (rule.times is None or self._fired[number] < rule.times)

    def _draw(self, number: int, order_id: str | None) -> bool:
        turn = self._drawn[number, order_id]
        draw = random.Random(f"{self._seed}:{number}:{order_id}:{turn}").random()  # noqa: S311 (it has to be repeatable)
        return draw < self._rules[number].probability

    def _begin(self, plan: JsonObject) -> None:
        self._seed: int = plan["seed"]
        self._rules = [Rule(**rule) for rule in plan["rules"]]
        self._drawn: Counter[tuple[int, str | None]] = Counter()
        self._fired: Counter[int] = Counter()
        self._over = asyncio.Event()

    def _recall(self, line: JsonObject) -> None:
        if "rules" in line:
            return self._begin(line)
        self._drawn[line["rule"], line["order_id"]] += 1
        self._fired[line["rule"]] += line["fires"]
        return None


async def under_fault(fired: Fired | None, operation: Operation[Returned]) -> Returned:
    """Carry out the operation with the rule's fault (None: without one). Raises Cut if the caller gets no answer."""
    if fired is None:
        return operation.perform()
    answer: Returned = await FAULTS[fired.rule.fault](fired, operation)
    return answer


async def _error_before_commit(_fired: Fired, operation: Operation[Any]) -> Any:
    return operation.fail()


async def _drop_before_commit(_fired: Fired, _operation: Operation[Any]) -> Any:
    raise Cut


async def _drop_after_commit(_fired: Fired, operation: Operation[Any]) -> Any:
    operation.perform()
    raise Cut


async def _error_after_commit(_fired: Fired, operation: Operation[Any]) -> Any:
    return operation.perform_then_fail()


async def _hold(fired: Fired, operation: Operation[Any]) -> Any:
    answer = operation.perform()
    await fired.pause()
    return answer


async def _hold_then_commit(fired: Fired, operation: Operation[Any]) -> Any:
    """Commit in a task of its own, whether or not the caller is still connected."""

    async def commit_late() -> Any:
        with operation.in_flight():
            await fired.pause()
        return operation.perform()

    task = asyncio.create_task(commit_late())
    _late_commits.add(task)
    task.add_done_callback(_late_commits.discard)
    return await asyncio.shield(task)


async def _refuse(_fired: Fired, operation: Operation[Any]) -> Any:
    return operation.refuse()


async def _kill_after_commit(fired: Fired, operation: Operation[Any]) -> Any:
    answer = operation.perform()
    if fired.rule.kill_pid:
        kills.kill(fired.rule.kill_pid)
    return answer


_late_commits: set[asyncio.Task[Any]] = set()
"""The event loop holds its tasks weakly; a late commit whose caller has gone has no other owner."""

FAULTS: dict[str, Callable[[Fired, Operation[Any]], Awaitable[Any]]] = {
    "error_before_commit": _error_before_commit,
    "drop_before_commit": _drop_before_commit,
    "drop_after_commit": _drop_after_commit,
    "error_after_commit": _error_after_commit,
    "hold": _hold,
    "hold_then_commit": _hold_then_commit,
    "refuse": _refuse,
    "kill_after_commit": _kill_after_commit,
}


def _checked_plan(plan: Any, operations: Collection[str]) -> JsonObject:
    if not isinstance(plan, dict):
        raise PlanRefused("A fault plan is a JSON object with `seed` and `rules`.")
    if strangers := sorted(plan.keys() - {"seed", "rules"}):
        raise PlanRefused(f"A fault plan has `seed` and `rules`; it has no `{strangers[0]}`.")
    if not _is_int(plan.get("seed", 0)):
        raise PlanRefused("`seed` must be a whole number.")
    if not isinstance(rules := plan.get("rules", []), list):
        raise PlanRefused("`rules` must be a list.")
    return {"seed": plan.get("seed", 0), "rules": [_checked_rule(n, rule, operations) for n, rule in enumerate(rules)]}


def _checked_rule(number: int, rule: Any, operations: Collection[str]) -> JsonObject:
    if not isinstance(rule, dict):
        raise PlanRefused(f"rules[{number}] must be an object.")
    for name in ("operation", "fault"):
        if name not in rule:
            raise PlanRefused(f"rules[{number}] lacks `{name}`.")
    checks = _rule_checks(operations)
    for name, value in rule.items():
        if name not in checks:
            raise PlanRefused(f"rules[{number}] has an unknown field `{name}`; known are {', '.join(checks)}.")
        is_right, meaning = checks[name]
        if not is_right(value):
            raise PlanRefused(f"rules[{number}].{name} is {value!r}; it must be {meaning}.")
    return asdict(Rule(**rule))


def _rule_checks(operations: Collection[str]) -> dict[str, tuple[Callable[[Any], bool], str]]:
    checks: dict[str, tuple[Callable[[Any], bool], str]] = {
        "operation": (lambda value: isinstance(value, str) and value in operations, f"one of {', '.join(operations)}"),
        "fault": (lambda value: isinstance(value, str) and value in FAULTS, f"one of {', '.join(FAULTS)}"),
        "order_id": (lambda value: value is None or isinstance(value, str), "a text or null"),
        "times": (
            lambda value: value is None or _is_int(value, least=0),
            "a whole number from 0, or null for no limit",
        ),
        "probability": (lambda value: _is_number(value) and 0 <= value <= 1, "a number from 0 to 1"),
        "delay_s": (lambda value: _is_number(value) and value >= 0, "a number of seconds from 0"),
        "kill_pid": (_may_be_killed, "the id of a process that the product started, or 0 for none"),
    }
    assert checks.keys() == {field.name for field in fields(Rule)}
    return checks


def _may_be_killed(value: Any) -> bool:
    return value == 0 or (_is_int(value, least=2) and not kills.is_a_strangers(value))


def _is_int(value: Any, least: float = -math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
