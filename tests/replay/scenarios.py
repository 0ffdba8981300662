"""The paths of the order saga, each as a world that answers its calls; for each version of the saga, by its number.

What the tests play, and what stored histories were made of.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

from models.messages import SAGA_VERSION
from orchestrators.order_saga import order_saga
from orchestrators.steps import steps_of
from tests.replay.driver import BEGINNING, Broken, Call, Done, Raised, World, play
from tests.replay.oracle.history import Event, Orchestrator
from tests.support.steps import UNDO

ORDER = "order-1"
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
class SagaPath:
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
    input_ = {"order_id": ORDER, "limits": limits} | ({"version": version} if version > 1 else {})
    input_ |= {"etag": "0"} if version > 2 else {}
    return play(ORDER_SAGA, world, instance_id=ORDER, input_=input_, events=events, slow=slow)


def undo_of(steps: Iterable[str]) -> tuple[str, ...]:
    return tuple(UNDO[step] for step in reversed(list(steps)) if step in UNDO)


def names_of(version: int) -> tuple[str, ...]:
    """The steps of an order of that version."""
    return tuple(step.activity for step in steps_of(version))


Names = Sequence[str]


def _status(failed: str) -> str:
    return "rejected" if failed == "validate_order" else "compensated"


# What each step leaves to the next one's write, from version 3 on; the saga before does not look at it.
RESERVED = {"event": "goods_reserved", "at": "2026-01-01T00:00:01Z", "value": ""}
LABELLED = {"event": "label_issued", "at": "2026-01-01T00:00:03Z", "value": "0123456789ABCD"}
SENT = {"event": "confirmation_sent", "at": "2026-01-01T00:00:04Z", "value": ""}
LEFT: dict[str, dict[str, Any]] = {
    "validate_order": {"etag": "1", "notes": []},
    "reserve_inventory": {"etag": "1", "notes": [RESERVED]},
    "process_payment": {"etag": "3", "notes": []},
    "create_shipment": {"etag": "3", "notes": [LABELLED]},
    "send_confirmation": {"etag": "4", "notes": [SENT]},
    "cancel_shipment": {"notes": []},
    "refund_payment": {"notes": []},
    "release_inventory": {"notes": [{**RESERVED, "event": "goods_released"}]},
}


def _done(step: str) -> Answer:
    return _leaving(VALID if step == "validate_order" else DONE, step)


def _leaving(answer: Answer, activity: str) -> Answer:
    assert isinstance(answer, Done)
    return Done({**answer.result, "left": LEFT[activity]}) if activity in LEFT else answer


def _refused(step: str, steps: Names) -> SagaPath:
    return SagaPath({step: [REFUSED]}, _status(step), undo_of(steps[: steps.index(step)]))


def _given_up(answer: Answer) -> Callable[[str, Names], SagaPath]:
    """A fault and an unknown outcome do not prove that nothing happened: the step's own undo runs too."""
    return lambda step, steps: SagaPath({step: [answer]}, _status(step), undo_of(steps[: steps.index(step) + 1]))


def _recovered(step: str, _: Names) -> SagaPath:
    return SagaPath({step: [BROKEN, UNKNOWN, _done(step)]})


def _late(step: str, _: Names) -> SagaPath:
    """The first attempt outlives its deadline, and answers while a later step runs."""
    return SagaPath({step: [LATE, _done(step)]})


def _cancelled(step: str, steps: Names) -> SagaPath:
    ended = Done({"kind": "final", "outcome": {"order_id": ORDER, "status": "cancelled"}})
    answers: dict[str, list[Answer]] = {step: [CANCELLED], "close_order": [ended]}
    return SagaPath(answers, "cancelled", undo_of(steps[: steps.index(step) + 1]))


def _undo_recovered(step: str, steps: Names) -> SagaPath:
    answers = {"send_confirmation": [REFUSED], UNDO[step]: [BROKEN, UNKNOWN, DONE]}
    return SagaPath(answers, "compensated", undo_of(steps))


def _undo_late(step: str, steps: Names) -> SagaPath:
    answers = {"send_confirmation": [REFUSED], UNDO[step]: [LATE, DONE]}
    return SagaPath(answers, "compensated", undo_of(steps))


def _ended_parked(step: str, steps: Names) -> SagaPath:
    """Version 1 ended where today's saga waits for an operator."""
    answers = {"send_confirmation": [REFUSED], UNDO[step]: [BROKEN]}
    return SagaPath(answers, "needs_attention", undo_of(steps), SHORT)


def _parked(after: list[Answer], *operator: str) -> Callable[[str, Names], SagaPath]:
    """Four attempts a round with the short limits; `operator` raises these events an hour apart."""
    events = tuple(Raised(name, "{}", 3600.0 * (hour + 1)) for hour, name in enumerate(operator))

    def make(step: str, steps: Names) -> SagaPath:
        answers = {"send_confirmation": [REFUSED], UNDO[step]: [*[BROKEN] * 4, *after]}
        status = "compensated" if operator else "needs_attention"
        return SagaPath(answers, status, undo_of(steps), SHORT, events)

    return make


def _waiting(number: int) -> Answer:
    """A decision is waited for, at most for ten minutes after the beginning."""
    deadline = (BEGINNING + timedelta(minutes=10)).isoformat()
    total = {"amount_minor": 12900, "currency": "gbp"}
    return Done({"kind": "waiting", "total": total, "deadline": deadline, "wake": f"decision:{number}"})


def _unknown_charge(number: int) -> Answer:
    return Done({"kind": "unknown", "wake": f"payment:{number}"})


def _undoing(**failure: Any) -> Answer:
    return Done({"kind": "undoing", "total": {"amount_minor": 12900, "currency": "gbp"}, **failure})


DECISION = Raised("decision:1", "{}", 60)
APPROVALS = {
    "approved": SagaPath({"validate_order": [_waiting(1), VALID]}, events=(DECISION,)),
    "approved before it was waited for": SagaPath(
        {"validate_order": [_waiting(1), VALID]}, events=(Raised("decision:1", "{}", 0.01),)
    ),
    "approved after a wake-up for nothing": SagaPath(
        {"validate_order": [_waiting(1), _waiting(2), VALID]}, events=(DECISION, Raised("decision:2", "{}", 120))
    ),
    "approval rejected": SagaPath({"validate_order": [_waiting(1), REFUSED]}, "rejected", events=(DECISION,)),
    "approval expired": SagaPath({"validate_order": [_waiting(1), REFUSED]}, "rejected"),
    "cancelled while it waits for approval": SagaPath(
        {"validate_order": [_waiting(1), CANCELLED]}, "compensated", events=(DECISION,)
    ),
}
WAKES = {
    "charge unknown and woken": SagaPath(
        {"process_payment": [_unknown_charge(1), DONE]}, events=(Raised("payment:1", "{}", 0.6),)
    ),
    "charge unknown and woken twice": SagaPath(
        {"process_payment": [_unknown_charge(1), _unknown_charge(2), DONE]},
        events=(Raised("payment:1", "{}", 0.6), Raised("payment:1", "{}", 0.7), Raised("payment:2", "{}", 5)),
    ),
    "charge unknown and never woken": SagaPath(
        {"process_payment": [_unknown_charge(1), _unknown_charge(2), _unknown_charge(3), DONE]}
    ),
}


def _healed(steps: Names) -> dict[str, SagaPath]:
    all_undone = undo_of(steps)
    refused = _undoing(failure={"step": "process_payment", "reason": "no"})
    parked = {"validate_order": [_undoing()], "refund_payment": [*[BROKEN] * 4, DONE]}
    return {
        "healed": SagaPath({"validate_order": [_undoing()]}, "compensated", all_undone),
        "healed after a refusal": SagaPath({"validate_order": [refused]}, "compensated", all_undone),
        "healed and parked": SagaPath(parked, "compensated", all_undone, SHORT, (Raised("attention:1", "{}", 3600),)),
    }


Make = Callable[[str, Names], SagaPath]


def _at_each_step(name: str, make: Make, steps: Names) -> dict[str, SagaPath]:
    return {f"{step} {name}": make(step, steps) for step in steps}


def _at_each_undo(name: str, make: Make, steps: Names) -> dict[str, SagaPath]:
    return {f"{UNDO[step]} {name}": make(step, steps) for step in steps if step in UNDO}


UNKNOWN_SKU: Answer = Done({"kind": "refused", "reason": "unknown_sku", "skus": ["NOBODY-SELLS-THIS"]})


def _of_every_version(steps: Names) -> dict[str, SagaPath]:
    return {
        "completed": SagaPath(),
        "refused for an unknown sku": SagaPath({"validate_order": [UNKNOWN_SKU]}, "rejected"),
        "confirmation refused and ignored": SagaPath(
            {"send_confirmation": [REFUSED]}, limits={"confirmation_failure": "ignore"}
        ),
        "ended before": SagaPath({"validate_order": [FINAL]}),
        "record closed late": SagaPath({"close_order": [BROKEN, DONE]}),
        "record never closed": SagaPath({"close_order": [BROKEN]}, status=None, limits=SHORT),
        **_at_each_step("refused", _refused, steps),
        **_at_each_step("down", _given_up(BROKEN), steps),
        **_at_each_step("unknown", _given_up(UNKNOWN), steps),
        **_at_each_step("recovered", _recovered, steps),
        **_at_each_undo("recovered", _undo_recovered, steps),
    }


def _since_the_second_version(steps: Names) -> dict[str, SagaPath]:
    """Deadlines, cancels, operators, approvals, wake-ups and healing."""
    return {
        **_at_each_step("late", _late, steps),
        **_at_each_step("cancelled", _cancelled, steps),
        **_at_each_undo("late", _undo_late, steps),
        **_at_each_undo("parked", _parked([]), steps),
        **_at_each_undo("retried", _parked([DONE], "attention:1"), steps),
        **_at_each_undo("retried twice", _parked([*[BROKEN] * 4, DONE], "attention:1", "attention:2"), steps),
        **_at_each_undo("resolved", _parked([RESOLVED], "attention:1"), steps),
        **APPROVALS,
        **WAKES,
        **_healed(steps),
    }


def _paths(version: int) -> dict[str, SagaPath]:
    steps = names_of(version)
    later = _at_each_undo("down", _ended_parked, steps) if version == 1 else _since_the_second_version(steps)
    paths = {**_of_every_version(steps), **later}
    return {name: replace(scenario, version=version) for name, scenario in paths.items()}


VERSIONS = {version: _paths(version) for version in range(1, SAGA_VERSION + 1)}
SCENARIOS = VERSIONS[SAGA_VERSION]
