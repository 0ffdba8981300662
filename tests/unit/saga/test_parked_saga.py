"""An undo that cannot be confirmed parks the order until an operator acts; a healed saga only undoes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.steps import ALL_UNDOS, STEPS, UNDO, undone_by, undos_after, up_to
from tests.unit.saga.fake_durable_context import (
    CANCELLED,
    DONE,
    FAULT,
    PRICED,
    REFUSED,
    RESOLVED,
    TOTAL,
    FakeDurableContext,
    ignore,
    statuses,
    then,
)

# Parking


def test_a_parked_order_is_recorded_and_waits_for_its_operator() -> None:
    context = FakeDurableContext({"create_shipment": [REFUSED], "refund_payment": [FAULT]}, {"undo_retry_s": 1})
    view = context.park()
    assert context.waited_for == ["attention:1"]
    sent = {"order_id": "order-1", "outcome": _sent(view), "attention": 1, "left": {"notes": []}}
    assert context.tasks["close_order"] == [sent]


def _sent(view: dict[str, Any]) -> dict[str, Any]:
    """A view as it travels: without empty fields."""
    return {name: value for name, value in view.items() if value is not None}


def test_an_operator_has_only_that_tried_again_which_was_not_confirmed() -> None:
    context = FakeDurableContext(
        {"create_shipment": [REFUSED], "refund_payment": [FAULT]},
        {"undo_retry_s": 1},
        {"attention:1": ignore, "attention:2": then(refund_payment=[DONE])},
    )
    outcome = context.play()
    tried = ["refund_payment"] * 2
    first = [name for undo in undos_after("create_shipment") for name in (tried if undo in tried else [undo])]
    assert context.calls == [
        *[*up_to("create_shipment"), *first, "close_order"],
        *[*tried, "close_order"],
        *["refund_payment", "close_order"],
    ]
    assert context.waited_for == ["attention:1", "attention:2"]
    assert [task["attention"] for task in context.tasks["close_order"]] == [1, 2, 2]
    assert outcome["status"] == "compensated"
    assert [(entry["name"], entry["status"]) for entry in outcome["compensations"]] == undone_by("create_shipment")
    assert statuses(outcome)["process_payment"] == "undone"


def test_undos_that_are_tried_again_keep_their_order() -> None:
    script: dict[str, list[Any]] = {"send_confirmation": [REFUSED], **{undo: [FAULT] for undo in UNDO.values()}}
    events = {"attention:1": then(**{undo: [DONE] for undo in UNDO.values()})}
    context = FakeDurableContext(script, {"undo_retry_s": 0.5}, events)
    assert context.play()["status"] == "compensated"
    assert context.calls[-len(ALL_UNDOS) - 1 :] == [*ALL_UNDOS, "close_order"]


def test_while_undos_are_tried_again_the_order_is_compensating() -> None:
    seen = []
    context = FakeDurableContext(
        {"create_shipment": [REFUSED], "refund_payment": [FAULT]},
        {"undo_retry_s": 1},
        {"attention:1": lambda context: seen.append(len(context.published))},
    )
    context.park()
    assert context.published[seen[0]]["status"] == "compensating"
    assert context.published[-1]["status"] == "needs_attention"


def test_an_undo_that_an_operator_resolved_says_so() -> None:
    context = FakeDurableContext(
        {"create_shipment": [REFUSED], "refund_payment": [FAULT]},
        {"undo_retry_s": 1},
        {"attention:1": then(refund_payment=[RESOLVED])},
    )
    outcome = context.play()
    assert outcome["status"] == "compensated"
    assert {"name": "refund_payment", "status": "resolved"} in outcome["compensations"]


def test_a_refused_undo_is_asked_once_a_round_and_parks_the_order() -> None:
    context = FakeDurableContext({"create_shipment": [REFUSED], "release_inventory": [REFUSED]})
    assert context.park()["status"] == "needs_attention"
    assert context.calls.count("release_inventory") == 1


# Healing


@pytest.mark.parametrize("failure", [None, {"step": "create_shipment", "reason": "because"}])
def test_a_healed_saga_goes_on_undoing_and_never_forward(failure: dict[str, str] | None) -> None:
    undoing = _sent({"kind": "undoing", "total": TOTAL, "failure": failure})
    context = FakeDurableContext({"validate_order": [undoing]})
    outcome = context.play()
    assert context.calls == ["validate_order", *ALL_UNDOS, "close_order"]
    assert outcome["status"] == "compensated"
    assert outcome["total"] == TOTAL
    assert outcome["failure"] == failure
    assert set(statuses(outcome).values()) == {"pending"}


def test_a_healed_saga_parks_like_any_other() -> None:
    context = FakeDurableContext(
        {"validate_order": [{"kind": "undoing"}], "cancel_shipment": [FAULT]}, {"undo_retry_s": 1}
    )
    view = context.park()
    assert {entry["name"]: entry["status"] for entry in view["compensations"]} == {
        **dict.fromkeys(ALL_UNDOS, "done"),
        "cancel_shipment": "failed",
    }


def test_a_healed_saga_counts_on_from_the_times_that_the_order_was_parked() -> None:
    """So its waits have names of their own, and its undos are distinguished from those that are late."""
    healed = {"kind": "undoing", "attention": 2}
    context = FakeDurableContext({"validate_order": [healed], "cancel_shipment": [FAULT]}, {"undo_retry_s": 1})
    context.park()
    assert context.tasks["refund_payment"][0]["attention"] == 2
    assert context.waited_for == ["attention:3"]
    assert context.tasks["close_order"][0]["attention"] == 3


def test_an_undo_is_given_the_number_of_times_that_the_order_was_parked_before() -> None:
    events = {"attention:1": then(refund_payment=[DONE])}
    context = FakeDurableContext({"create_shipment": [REFUSED], "refund_payment": [FAULT]}, {"undo_retry_s": 1}, events)
    context.play()
    assert [task["attention"] for task in context.tasks["refund_payment"]] == [0, 0, 1]


# An activity of an orchestration that is gone still runs


@pytest.mark.parametrize("policy", ["compensate", "ignore"])
@pytest.mark.parametrize("step", STEPS[1:])
def test_a_step_that_finds_its_order_being_undone_lets_everything_be_undone(step: str, policy: str) -> None:
    context = FakeDurableContext({step: [{"kind": "undoing", "total": TOTAL}]}, {"confirmation_failure": policy})
    assert context.play()["status"] == "compensated"
    assert context.calls == [*up_to(step), *ALL_UNDOS, "close_order"]


ENDED = {"order_id": "order-1", "status": "completed", "steps": [], "compensations": []}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_finds_its_order_ended_ends_the_saga_with_that(step: str) -> None:
    context = FakeDurableContext({step: [{"kind": "final", "outcome": ENDED}]})
    assert context.play() == ENDED
    assert context.calls == [*up_to(step)]


@pytest.mark.parametrize("undo", ALL_UNDOS)
def test_an_undo_that_finds_its_order_ended_is_the_last_one(undo: str) -> None:
    final = [{"kind": "final", "outcome": ENDED}]
    context = FakeDurableContext({"send_confirmation": [REFUSED], undo: final, "close_order": final})
    assert context.play() == ENDED
    assert context.calls == [*STEPS, *ALL_UNDOS[: ALL_UNDOS.index(undo) + 1], "close_order"]


@pytest.mark.parametrize("answer", [[FAULT], [REFUSED], [CANCELLED]], ids=["fault", "refusal", "cancel"])
@pytest.mark.parametrize("step", STEPS[1:])
def test_a_saga_that_resumes_an_order_undoes_what_the_one_before_it_did(step: str, answer: list[Any]) -> None:
    context = FakeDurableContext({"validate_order": [{**PRICED, "resumed": True}], step: answer}, {"step_retry_s": 0.1})
    assert context.play()["status"] == "compensated"
    assert context.calls[-len(ALL_UNDOS) - 1 :] == [*ALL_UNDOS, "close_order"]
