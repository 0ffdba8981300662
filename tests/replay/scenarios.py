"""The paths of the order saga, each as a world that answers its calls.

What the tests play, and what stored histories were made of.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import azure.durable_functions as df

from orchestrators.order_saga import order_saga
from tests.replay.driver import Broken, Call, Done, World, play
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
REFUSED: Answer = Done({"kind": "refused", "reason": "no"})
UNKNOWN: Answer = Done({"kind": "unknown"})
BROKEN: Answer = Broken("ServiceUnavailable: the service does not answer")
FINAL: Answer = Done({"kind": "final", "outcome": {"order_id": ORDER, "status": "completed"}})
VALID: Answer = Done({"kind": "done", "total": {"amount_minor": 12900, "currency": "gbp"}})


@dataclass(frozen=True)
class Scenario:
    """One path: `answers` overrides what a call gets (by attempt; the last answer repeats), everything else is done
    at once.

    `status` is how the order ends, or None where the orchestration itself fails; `undone` the compensations in order.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    status: str | None = "completed"
    undone: tuple[str, ...] = ()
    limits: dict[str, Any] = field(default_factory=dict)

    def world(self) -> World:
        def answer(call: Call) -> Answer:
            answers = self.answers.get(call.name, [VALID if call.name == "validate_order" else DONE])
            return answers[min(call.attempt, len(answers)) - 1]

        return answer

    def history(self) -> list[Event]:
        return play_order(self.world(), self.limits)


def play_order(world: World, limits: dict[str, Any]) -> list[Event]:
    return play(ORDER_SAGA, world, instance_id=ORDER, input_={"order_id": ORDER, "limits": limits})


def undo_of(steps: Iterable[str]) -> tuple[str, ...]:
    return tuple(UNDO[step] for step in reversed(list(steps)) if step in UNDO)


def _status(failed: str) -> str:
    return "rejected" if failed == "validate_order" else "compensated"


def _at_each_step(name: str, make: Callable[[str], Scenario]) -> dict[str, Scenario]:
    return {f"{step} {name}": make(step) for step in STEPS}


def _refused(step: str) -> Scenario:
    return Scenario({step: [REFUSED]}, _status(step), undo_of(STEPS[: STEPS.index(step)]))


def _given_up(answer: Answer) -> Callable[[str], Scenario]:
    """A fault and an unknown outcome do not prove that nothing happened: the step's own undo runs too."""
    return lambda step: Scenario({step: [answer]}, _status(step), undo_of(STEPS[: STEPS.index(step) + 1]))


def _recovered(step: str) -> Scenario:
    last = VALID if step == "validate_order" else DONE
    return Scenario({step: [BROKEN, UNKNOWN, last]})


def _undo_given_up(step: str) -> Scenario:
    answers = {"send_confirmation": [REFUSED], UNDO[step]: [BROKEN]}
    return Scenario(answers, "needs_attention", undo_of(STEPS))


def _undo_recovered(step: str) -> Scenario:
    answers = {"send_confirmation": [REFUSED], UNDO[step]: [BROKEN, UNKNOWN, DONE]}
    return Scenario(answers, "compensated", undo_of(STEPS))


SCENARIOS = {
    "completed": Scenario(),
    "confirmation refused and ignored": Scenario(
        {"send_confirmation": [REFUSED]}, limits={"confirmation_failure": "ignore"}
    ),
    "ended before": Scenario({"validate_order": [FINAL]}),
    "record closed late": Scenario({"close_order": [BROKEN, DONE]}),
    "record never closed": Scenario({"close_order": [BROKEN]}, status=None),
    **_at_each_step("refused", _refused),
    **_at_each_step("down", _given_up(BROKEN)),
    **_at_each_step("unknown", _given_up(UNKNOWN)),
    **_at_each_step("recovered", _recovered),
    **{f"{undo} down": _undo_given_up(step) for step, undo in UNDO.items()},
    **{f"{undo} recovered": _undo_recovered(step) for step, undo in UNDO.items()},
}
