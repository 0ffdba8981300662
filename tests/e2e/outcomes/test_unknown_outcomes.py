"""What cannot be found out is not guessed: the order is parked, and says no more than is known.

That an outcome which can be found out is found out, for every step, is in test_failing_steps.py.
"""

from __future__ import annotations

from typing import Any

from devtools.example_order import example_order
from tests.support.harness import Harness
from tests.support.outside_view import NOTHING, OutsideView, compensations, new_id, statuses
from tests.support.steps import undone_by

ADA = {"by": "ada", "reason": "the bank is up again"}
BOUNCING = {**example_order()["customer"], "email": "ada@bounce.invalid"}
UNDONE = NOTHING._replace(charged=1000, given_back=1000)


def lost(operation: str, order_id: str) -> dict[str, Any]:
    return {"operation": operation, "fault": "drop_after_commit", "order_id": order_id, "times": 1}


def down(operation: str, order_id: str) -> dict[str, Any]:
    return {"operation": operation, "fault": "drop_before_commit", "order_id": order_id}


def events(outside: OutsideView, order_id: str) -> list[str]:
    return [entry["event"] for entry in outside.ledger(order_id)]


def test_a_charge_that_stays_unknown_parks_the_order_and_is_given_back_once_it_is_known(harness: Harness) -> None:
    """The charge was done, its answer was lost, and nobody answers when asked what became of it."""
    outside, order_id = harness.outside, new_id()
    sku = outside.new_sku()
    rules = [lost("payment_intents.confirm", order_id), down("payment_intents.retrieve", order_id)]
    with outside.faults("payments", *rules):
        outside.order(order_id, items=[{"sku": sku, "quantity": 1}])
        view = outside.becomes(order_id, "needs_attention")
        assert view["failure"] == {"step": "process_payment", "reason": "outcome_unknown"}
        assert statuses(view)["process_payment"] == "unknown"
        assert compensations(view) == undone_by("process_payment", own=True, refund_payment="failed")
        assert outside.tables.record(order_id).get("ChargedMinor", 0) == 0
    assert outside.messages(order_id) == []
    assert outside.operate(order_id, "refund_payment", "retry", **ADA).status == 202
    view = outside.ended(order_id)
    assert view["status"] == "compensated"
    assert outside.effects(order_id) == UNDONE
    assert events(outside, order_id).count("payment_intent.succeeded") == 1
    assert outside.stock(sku) == (10, 0)


def test_a_refund_whose_answer_was_lost_is_looked_up_and_not_made_again(harness: Harness) -> None:
    outside, order_id = harness.outside, new_id()
    with outside.faults("payments", lost("refunds.create", order_id)):
        outside.order(order_id, customer=BOUNCING, items=[{"sku": outside.new_sku(), "quantity": 1}])
        assert outside.ended(order_id)["status"] == "compensated"
    assert events(outside, order_id).count("refund.succeeded") == 1


def test_a_refund_that_cannot_be_looked_up_is_neither_made_nor_said(harness: Harness) -> None:
    outside, order_id = harness.outside, new_id()
    with outside.faults("payments", down("refunds.list", order_id)):
        outside.order(order_id, customer=BOUNCING, items=[{"sku": outside.new_sku(), "quantity": 1}])
        view = outside.becomes(order_id, "needs_attention")
        assert ("refund_payment", "failed") in compensations(view)
        assert "refund.succeeded" not in events(outside, order_id)
        assert "RefundedMinor" not in outside.tables.record(order_id)
    assert outside.operate(order_id, "refund_payment", "retry", **ADA).status == 202
    assert outside.ended(order_id)["status"] == "compensated"
    assert events(outside, order_id).count("refund.succeeded") == 1
