"""Version 1: orders that were begun before deadlines, approvals and parking go on by the rules of then."""

from __future__ import annotations

import pytest

from orchestrators import steps
from tests.support.steps import STEPS, UNDO, up_to
from tests.unit.saga.fake_durable_context import (
    CANCELLED,
    DONE,
    FAULT,
    PRICED,
    REFUSED,
    FakeDurableContext,
    ignore,
    waiting,
)

# Version 1: orders that were begun before deadlines, approvals and parking go on by the rules of then.

first_version = pytest.mark.parametrize("version", [None, 1])


@first_version
def test_an_old_order_calls_its_activities_without_deadlines(version: int | None) -> None:
    context = FakeDurableContext({"reserve_inventory": [FAULT, DONE], "create_shipment": [REFUSED]}, version=version)
    assert context.play()["status"] == "compensated"
    assert context.deadlines == []
    assert len(context.timers) == len(context.fired) == 1


@first_version
def test_an_old_order_ends_parked(version: int | None) -> None:
    context = FakeDurableContext(
        {"create_shipment": [REFUSED], "refund_payment": [FAULT]}, {"undo_retry_s": 1}, version=version
    )
    outcome = context.play()
    assert outcome["status"] == "needs_attention"
    assert context.waited_for == []
    assert context.tasks["close_order"][0]["outcome"]["status"] == "needs_attention"


@first_version
def test_an_old_orders_undo_is_given_what_it_always_was(version: int | None) -> None:
    context = FakeDurableContext({"create_shipment": [REFUSED]}, version=version)
    context.play()
    assert context.tasks["refund_payment"] == [{"order_id": "order-1", "operation_id": "order-1:pay"}]


@first_version
@pytest.mark.parametrize("step", STEPS)
def test_an_old_order_still_undoes_in_reverse(step: str, version: int | None) -> None:
    context = FakeDurableContext({step: [FAULT]}, {"step_retry_s": 1}, version=version)
    context.play()
    old = {row.activity for row in steps.steps_of(version or 1)}
    undone = [UNDO[name] for name in reversed(up_to(step)) if name in UNDO and name in old]
    assert [name for name in context.calls if name in UNDO.values()] == (undone if step in old else [])


@first_version
def test_an_old_order_can_be_cancelled_and_approved(version: int | None) -> None:
    script = {"validate_order": [waiting(1), PRICED], "process_payment": [CANCELLED]}
    context = FakeDurableContext(script, events={"decision:1": ignore}, version=version)
    context.play()
    begun, undone = ["validate_order", "reserve_inventory", "process_payment"], ["refund_payment", "release_inventory"]
    assert context.calls == ["validate_order", *begun, *undone, "close_order"]
