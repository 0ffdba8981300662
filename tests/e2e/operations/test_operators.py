"""An undo that cannot be confirmed parks its order, alive, until an operator has it tried again or resolves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from devtools.example_order import example_order
from devtools.processes.http import fetch
from tests.support.harness import Harness
from tests.support.orders_on_record import accept
from tests.support.outside_view import NOTHING, OutsideView, compensations, new_id, wait_for
from tests.support.steps import all_undone

ADA = {"by": "ada", "reason": "the bank is up again"}
PROOF = {**ADA, "reference": "SEPA-4711"}
BOUNCING = {**example_order()["customer"], "email": "ada@bounce.invalid"}
PRICE = 1000


def failing_at_the_mail(sku: str) -> dict[str, Any]:
    """The last step fails, so everything before it has to be undone."""
    return {"items": [{"sku": sku, "quantity": 1}], "customer": BOUNCING}


@contextmanager
def refunds_down(outside: OutsideView, order_id: str) -> Iterator[None]:
    rule = {"operation": "refunds.create", "fault": "error_before_commit", "order_id": order_id}
    with outside.faults("payments", rule):
        yield


def parked(outside: OutsideView, sku: str, order_id: str | None = None) -> str:
    order_id = order_id or new_id()
    with refunds_down(outside, order_id):
        outside.order(order_id, **failing_at_the_mail(sku))
        outside.becomes(order_id, "needs_attention")
    return order_id


def audit(outside: OutsideView, order_id: str, event: str) -> list[dict[str, str]]:
    """What was audited of this event, without times and keys."""
    columns = ("Compensation", "By", "Reason", "Reference")
    rows = [row for row in outside.tables.audits(order_id) if row["Event"] == event]
    return [{name: row[name] for name in columns if name in row} for row in rows]


@pytest.fixture(scope="module")
def refused(shop: OutsideView) -> Iterator[tuple[str, str]]:
    """(order, sku): an order whose refund was refused until it was given up. No test of this fixture mends it."""
    sku = shop.new_sku()
    order_id = parked(shop, sku)
    yield order_id, sku
    shop.operate(order_id, "refund_payment", "retry", **ADA)
    shop.ended(order_id)


def test_an_order_whose_refund_cannot_be_confirmed_is_parked_and_says_so(
    shop: OutsideView, refused: tuple[str, str]
) -> None:
    order_id, sku = refused
    view = shop.view(order_id)
    assert view["status"] == "needs_attention"
    assert compensations(view) == all_undone(refund_payment="failed")
    assert shop.tables.instance(order_id)["RuntimeStatus"] == "Running"
    assert shop.tables.record(order_id)["State"] == "needs_attention"
    # The undos before and after it have run.
    assert shop.stock(sku) == (10, 0)
    assert shop.effects(order_id) == NOTHING._replace(charged=PRICE, label="void")
    assert "RefundedMinor" not in shop.tables.record(order_id)
    assert shop.cancel(order_id).status == 409


def test_what_an_operator_may_not_do_is_refused(shop: OutsideView, refused: tuple[str, str]) -> None:
    order_id, _ = refused
    for compensation in ("release_inventory", "cancel_shipment"):  # they are done
        assert shop.operate(order_id, compensation, "retry", **ADA).status == 409
        assert shop.operate(order_id, compensation, "resolve", **PROOF).status == 409
    assert shop.operate(order_id, "send_apology", "retry", **ADA).status == 404
    assert shop.operate(new_id(), "refund_payment", "retry", **ADA).status == 404
    assert audit(shop, order_id, "compensation_resolved") == []


@pytest.mark.parametrize(
    ("verb", "body", "named"),
    [
        ("retry", {"by": "ada"}, "#/reason"),
        ("retry", {"by": " ", "reason": "why not"}, "#/by"),
        ("resolve", ADA, "#/reference"),
        ("resolve", {**PROOF, "amount": "1000"}, "#/amount"),
    ],
)
def test_an_operator_says_who_why_and_on_what_evidence(
    shop: OutsideView, refused: tuple[str, str], verb: str, body: dict[str, str], named: str
) -> None:
    answer = shop.operate(refused[0], "refund_payment", verb, **body)
    assert answer.status == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [named]


def test_a_retry_after_the_repair_ends_the_order_compensated(shop: OutsideView) -> None:
    sku = shop.new_sku()
    order_id = parked(shop, sku)
    answer = shop.operate(order_id, "refund_payment", "retry", **ADA)
    assert answer.status == 202, answer.body
    assert answer.json() == {"order_id": order_id, "compensation": "refund_payment", "status": "compensating"}
    view = shop.becomes(order_id, "compensated")
    assert compensations(view) == all_undone()
    assert shop.ended(order_id) == view
    assert shop.effects(order_id) == NOTHING._replace(charged=PRICE, given_back=PRICE, label="void")
    assert shop.stock(sku) == (10, 0)
    assert shop.tables.scheduled(order_id).count("release_inventory") == 1
    assert audit(shop, order_id, "compensation_retry_requested") == [
        {"Compensation": "refund_payment", "By": "ada", "Reason": "the bank is up again"}
    ]
    assert shop.operate(order_id, "refund_payment", "retry", **ADA).status == 409


def test_a_retry_while_it_is_still_down_parks_the_order_again_and_the_next_one_is_heard(shop: OutsideView) -> None:
    """Each wait has an event name of its own: a retry that came to nothing must not satisfy the next wait."""
    sku, order_id = shop.new_sku(), new_id()
    with refunds_down(shop, order_id):
        shop.order(order_id, **failing_at_the_mail(sku))
        shop.becomes(order_id, "needs_attention")
        assert shop.operate(order_id, "refund_payment", "retry", **ADA).status == 202
        wait_for(lambda: shop.tables.record(order_id)["Attention"] == 2, 60, "second park")
        assert ("refund_payment", "failed") in compensations(shop.becomes(order_id, "needs_attention"))
    assert shop.operate(order_id, "refund_payment", "retry", **ADA).status == 202
    assert shop.ended(order_id)["status"] == "compensated"
    assert shop.effects(order_id).net == 0
    raised = [row["Name"] for row in shop.tables.history(order_id) if row["EventType"] == "EventRaised"]
    assert raised == ["attention:1", "attention:2"]


def test_an_undo_is_resolved_on_evidence_and_the_audit_trail_names_it(shop: OutsideView) -> None:
    sku, order_id = shop.new_sku(), new_id()
    with refunds_down(shop, order_id):
        shop.order(order_id, **failing_at_the_mail(sku))
        shop.becomes(order_id, "needs_attention")
        answer = shop.operate(order_id, "refund_payment", "resolve", **PROOF)
        assert answer.status == 202, answer.body
        view = shop.ended(order_id)
    assert view["status"] == "compensated"
    assert ("refund_payment", "resolved") in compensations(view)
    assert audit(shop, order_id, "compensation_resolved") == [
        {
            "Compensation": "refund_payment",
            "By": "ada",
            "Reason": "the bank is up again",
            "Reference": "SEPA-4711",
        }
    ]
    # The operator paid by other means: the app does not pay a second time, and does not claim to have refunded.
    assert shop.effects(order_id).given_back == 0
    assert "RefundId" not in shop.tables.record(order_id)
    assert shop.operate(order_id, "refund_payment", "resolve", **PROOF).status == 409


def test_two_undos_that_cannot_be_confirmed_wait_each_for_its_own_repair(harness: Harness) -> None:
    outside, order_id = harness.outside, new_id()
    sku = outside.new_sku()
    voiding = f"^PUT .*labels/{order_id}.*x-ms-meta-status: void"
    with harness.blobs.failing(voiding, "forbid"):
        with refunds_down(outside, order_id):
            outside.order(order_id, **failing_at_the_mail(sku))
            view = outside.becomes(order_id, "needs_attention")
            assert compensations(view) == all_undone(cancel_shipment="failed", refund_payment="failed")
            assert outside.stock(sku) == (10, 0)
        assert outside.operate(order_id, "refund_payment", "retry", **ADA).status == 202
        wait_for(lambda: outside.tables.record(order_id)["Attention"] == 2, 60, "second park")
        view = outside.becomes(order_id, "needs_attention")
        assert compensations(view) == all_undone(cancel_shipment="failed")
        assert outside.effects(order_id).net == 0
        assert outside.operate(order_id, "refund_payment", "retry", **ADA).status == 409
    assert outside.operate(order_id, "cancel_shipment", "retry", **ADA).status == 202
    assert outside.ended(order_id)["status"] == "compensated"
    assert outside.effects(order_id) == NOTHING._replace(charged=PRICE, given_back=PRICE, label="void")


def test_a_parked_order_whose_saga_was_terminated_is_retried_by_a_new_one(shop: OutsideView) -> None:
    sku = shop.new_sku()
    order_id = parked(shop, sku)
    shop.terminate(order_id)
    assert shop.view(order_id)["status"] == "needs_attention"
    assert shop.operate(order_id, "refund_payment", "retry", **ADA).status == 202
    assert shop.ended(order_id)["status"] == "compensated"
    assert shop.effects(order_id) == NOTHING._replace(charged=PRICE, given_back=PRICE, label="void")
    assert shop.stock(sku) == (10, 0)


def test_an_order_that_an_older_saga_parked_and_left_is_retried_by_todays(shop: OutsideView) -> None:
    """The first version of the saga ended with `needs_attention`: nobody waits for the operator's event."""
    sku, order_id = shop.new_sku(), new_id()
    accept(shop, order_id, **failing_at_the_mail(sku))
    older = {"order_id": order_id, "limits": {"step_retry_s": 5, "undo_retry_s": 1}}
    start = f"{shop.urls['host']}/runtime/webhooks/durabletask/orchestrators/order_saga/{order_id}"
    with refunds_down(shop, order_id):
        assert fetch(start, "POST", older).status == 202
        assert shop.ended(order_id)["status"] == "needs_attention"
    assert shop.tables.instance(order_id)["RuntimeStatus"] == "Completed"
    assert shop.operate(order_id, "refund_payment", "retry", **ADA).status == 202
    shop.becomes(order_id, "compensated")
    assert shop.effects(order_id) == NOTHING._replace(charged=PRICE, given_back=PRICE, label="void")
    assert shop.stock(sku) == (10, 0)
