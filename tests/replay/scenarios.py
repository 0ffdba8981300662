"""The paths of the order saga, each as a world that answers its calls.

What the tests play, and what stored histories were made of.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

from models.messages import SAGA_VERSION
from orchestrators.order_saga import order_saga
from tests.replay.driver import BEGINNING, Broken, Call, Done, Raised, World, play
from tests.replay.oracle import Event, Orchestrator

ORDER = "order-1"
STEPS = ("validate_order", "reserve_inventory", "process_payment", "create_shipment", "send_confirmation")
UNDO = {
    "create_shipment": "cancel_shipment",
    "process_payment": "refund_payment",
    "reserve_inventory": "release_inventory",
}
SHORT = {"step_retry_s": 3, "undo_retry_s": 5}
ORDER_SAGA: Orchestrator = df.Orchestrator.create(order_saga)

Answer = Done | Broken
DONE: Answer = Done({"kind": "done"})
RESOLVED: Answer = Done({"kind": "done", "resolved": True})
CANCELLED: Answer = Done({"kind": "cancelled"})
REFUSED: Answer = Done({"kind": "refused", "reason": "no"})
UNKNOWN: Answer = Done({"kind": "unknown"})
BROKEN: Answer = Broken("ServiceUnavailable: the service does not answer")
LATE: Answer = Done({"kind": "done"}, seconds=50)
FINAL: Answer = Done({"kind": "final", "outcome": {"order_id": ORDER, "status": "completed"}})
VALID: Answer = Done({"kind": "done", "total": {"amount_minor": 12900, "currency": "gbp"}})


@dataclass(frozen=True)
class Scenario:
    """One path: `answers` overrides what a call gets (in order; the last answer repeats), everything else is done
    at once; `events` come at their time.

    `status` is how the order ends or is parked, None where the orchestration itself fails; `undone` the compensations
    in order.
    Version 1 had no version in its input.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    status: str | None = "completed"
    undone: tuple[str, ...] = ()
    limits: dict[str, Any] = field(default_factory=dict)
    events: tuple[Raised, ...] = ()
    version: int = SAGA_VERSION

    def world(self) -> World:
        calls = Counter[str]()

        def answer(call: Call) -> Answer:
            calls[call.name] += 1
            answers = self.answers.get(call.name, [_done(call.name)])
            return answers[min(calls[call.name], len(answers)) - 1]

        return answer

    def history(self, slow: float = 0) -> list[Event]:
        return play_order(self.world(), self.limits, self.events, version=self.version, slow=slow)


def play_order(
    world: World,
    limits: dict[str, Any],
    events: Iterable[Raised] = (),
    *,
    version: int = SAGA_VERSION,
    slow: float = 0,
) -> list[Event]:
    given = {"order_id": ORDER, "limits": limits} | ({"version": version} if version > 1 else {})
    return play(ORDER_SAGA, world, instance_id=ORDER, input_=given, events=events, slow=slow)


def undo_of(steps: Iterable[str]) -> tuple[str, ...]:
    return tuple(UNDO[step] for step in reversed(list(steps)) if step in UNDO)


ALL_UNDONE = undo_of(STEPS)


def _status(failed: str) -> str:
    return "rejected" if failed == "validate_order" else "compensated"


def _at_each_step(name: str, make: Callable[[str], Scenario]) -> dict[str, Scenario]:
    return {f"{step} {name}": make(step) for step in STEPS}


def _done(step: str) -> Answer:
    return VALID if step == "validate_order" else DONE


def _refused(step: str) -> Scenario:
    return Scenario({step: [REFUSED]}, _status(step), undo_of(STEPS[: STEPS.index(step)]))


def _given_up(answer: Answer) -> Callable[[str], Scenario]:
    """A fault and an unknown outcome do not prove that nothing happened: the step's own undo runs too."""
    return lambda step: Scenario({step: [answer]}, _status(step), undo_of(STEPS[: STEPS.index(step) + 1]))


def _recovered(step: str) -> Scenario:
    return Scenario({step: [BROKEN, UNKNOWN, _done(step)]})


def _late(step: str) -> Scenario:
    """The first attempt outlives its deadline, and answers while a later step runs."""
    return Scenario({step: [LATE, _done(step)]})


def _cancelled(step: str) -> Scenario:
    ended = Done({"kind": "final", "outcome": {"order_id": ORDER, "status": "cancelled"}})
    answers: dict[str, list[Answer]] = {step: [CANCELLED], "close_order": [ended]}
    return Scenario(answers, "cancelled", undo_of(STEPS[: STEPS.index(step) + 1]))


def _undo_recovered(step: str) -> Scenario:
    answers = {"send_confirmation": [REFUSED], UNDO[step]: [BROKEN, UNKNOWN, DONE]}
    return Scenario(answers, "compensated", ALL_UNDONE)


def _undo_late(step: str) -> Scenario:
    answers = {"send_confirmation": [REFUSED], UNDO[step]: [LATE, DONE]}
    return Scenario(answers, "compensated", ALL_UNDONE)


def _parked(after: list[Answer], *operator: str) -> Callable[[str], Scenario]:
    """Four attempts a round with the short limits; `operator` raises these events an hour apart."""
    events = tuple(Raised(name, "{}", 3600.0 * (hour + 1)) for hour, name in enumerate(operator))

    def make(step: str) -> Scenario:
        answers = {"send_confirmation": [REFUSED], UNDO[step]: [*[BROKEN] * 4, *after]}
        status = "compensated" if operator else "needs_attention"
        return Scenario(answers, status, ALL_UNDONE, SHORT, events)

    return make


def _waiting(asked: int) -> Answer:
    """A decision is waited for, at most for ten minutes after the beginning."""
    deadline = (BEGINNING + timedelta(minutes=10)).isoformat()
    total = {"amount_minor": 12900, "currency": "gbp"}
    return Done({"kind": "waiting", "total": total, "deadline": deadline, "wake": f"decision:{asked}"})


def _unknown_charge(asked: int) -> Answer:
    return Done({"kind": "unknown", "wake": f"payment:{asked}"})


def _undoing(**failure: Any) -> Answer:
    return Done({"kind": "undoing", "total": {"amount_minor": 12900, "currency": "gbp"}, **failure})


DECISION = Raised("decision:1", "{}", 60)
APPROVALS = {
    "approved": Scenario({"validate_order": [_waiting(1), VALID]}, events=(DECISION,)),
    "approved before it was waited for": Scenario(
        {"validate_order": [_waiting(1), VALID]}, events=(Raised("decision:1", "{}", 0.01),)
    ),
    "approved after a wake-up for nothing": Scenario(
        {"validate_order": [_waiting(1), _waiting(2), VALID]}, events=(DECISION, Raised("decision:2", "{}", 120))
    ),
    "approval rejected": Scenario({"validate_order": [_waiting(1), REFUSED]}, "rejected", events=(DECISION,)),
    "approval expired": Scenario({"validate_order": [_waiting(1), REFUSED]}, "rejected"),
    "cancelled while it waits for approval": Scenario(
        {"validate_order": [_waiting(1), CANCELLED]}, "compensated", events=(DECISION,)
    ),
}
WAKES = {
    "charge unknown and woken": Scenario(
        {"process_payment": [_unknown_charge(1), DONE]}, events=(Raised("payment:1", "{}", 0.6),)
    ),
    "charge unknown and woken twice": Scenario(
        {"process_payment": [_unknown_charge(1), _unknown_charge(2), DONE]},
        events=(Raised("payment:1", "{}", 0.6), Raised("payment:1", "{}", 0.7), Raised("payment:2", "{}", 5)),
    ),
    "charge unknown and never woken": Scenario(
        {"process_payment": [_unknown_charge(1), _unknown_charge(2), _unknown_charge(3), DONE]}
    ),
}
HEALED = {
    "healed": Scenario({"validate_order": [_undoing()]}, "compensated", ALL_UNDONE),
    "healed after a refusal": Scenario(
        {"validate_order": [_undoing(failure={"step": "process_payment", "reason": "no"})]}, "compensated", ALL_UNDONE
    ),
    "healed and parked": Scenario(
        {"validate_order": [_undoing()], "refund_payment": [*[BROKEN] * 4, DONE]},
        "compensated",
        ALL_UNDONE,
        SHORT,
        (Raised("attention:1", "{}", 3600),),
    ),
}


def _at_each_undo(name: str, make: Callable[[str], Scenario]) -> dict[str, Scenario]:
    return {f"{undo} {name}": make(step) for step, undo in UNDO.items()}


UNKNOWN_SKU: Answer = Done({"kind": "refused", "reason": "unknown_sku", "skus": ["NOBODY-SELLS-THIS"]})
BOTH_VERSIONS = {
    "completed": Scenario(),
    "refused for an unknown sku": Scenario({"validate_order": [UNKNOWN_SKU]}, "rejected"),
    "confirmation refused and ignored": Scenario(
        {"send_confirmation": [REFUSED]}, limits={"confirmation_failure": "ignore"}
    ),
    "ended before": Scenario({"validate_order": [FINAL]}),
    "record closed late": Scenario({"close_order": [BROKEN, DONE]}),
    "record never closed": Scenario({"close_order": [BROKEN]}, status=None, limits=SHORT),
    **_at_each_step("refused", _refused),
    **_at_each_step("down", _given_up(BROKEN)),
    **_at_each_step("unknown", _given_up(UNKNOWN)),
    **_at_each_step("recovered", _recovered),
    **_at_each_undo("recovered", _undo_recovered),
}


def _first_version(scenario: Scenario) -> Scenario:
    return replace(scenario, version=1)


def _ended_parked(step: str) -> Scenario:
    """Version 1 ended where today's saga waits for an operator."""
    answers = {"send_confirmation": [REFUSED], UNDO[step]: [BROKEN]}
    return Scenario(answers, "needs_attention", ALL_UNDONE, SHORT, version=1)


SCENARIOS = {
    **BOTH_VERSIONS,
    **_at_each_step("late", _late),
    **_at_each_step("cancelled", _cancelled),
    **_at_each_undo("late", _undo_late),
    **_at_each_undo("parked", _parked([])),
    **_at_each_undo("retried", _parked([DONE], "attention:1")),
    **_at_each_undo("retried twice", _parked([*[BROKEN] * 4, DONE], "attention:1", "attention:2")),
    **_at_each_undo("resolved", _parked([RESOLVED], "attention:1")),
    **APPROVALS,
    **WAKES,
    **HEALED,
}
FIRST_VERSION = {name: _first_version(scenario) for name, scenario in BOTH_VERSIONS.items()} | _at_each_undo(
    "down", _ended_parked
)
