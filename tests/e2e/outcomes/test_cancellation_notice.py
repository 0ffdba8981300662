"""The one mail about an order that was undone: what happened and what was refunded, never before the ledger says so."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from devtools.example_order import example_order
from tests.support.orders_on_record import order_of_older_code
from tests.support.outside_view import OutsideView, new_id, wait_for

EXAMPLE = example_order()
# Older code validated it: the refusal comes after the charge, and the mail still has somebody to read it.
NO_DOOR = {**EXAMPLE["shipping_address"], "line1": "PO Box 7"}
NOT_SERVED = {**EXAMPLE["shipping_address"], "country": "AQ"}


def line(sku: str) -> dict[str, Any]:
    return {"items": [{"sku": sku, "quantity": 2}]}


NOT_CHARGED = "Your card was not charged."
UNDONE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "refunded": (
        {"shipping_address": NO_DOOR},
        ["No parcel can be delivered to this address.", "We have refunded 20.00 GBP to your card."],
    ),
    "declined": ({"payment_method": "pm_card_visa_chargeDeclined"}, ["Your card was declined.", NOT_CHARGED]),
    "3-D Secure": (
        {"payment_method": "pm_card_authenticationRequired"},
        ["Your bank wanted you to confirm the payment.", NOT_CHARGED],
    ),
}


@pytest.mark.parametrize("case", UNDONE)
def test_a_customer_is_mailed_once_what_was_undone_and_what_was_given_back(shop: OutsideView, case: str) -> None:
    changes, facts = UNDONE[case]
    place = shop.order if "payment_method" in changes else partial(order_of_older_code, shop)
    order_id = place(**changes, **line(shop.new_sku()))
    assert shop.ended(order_id)["status"] == "compensated"
    (mail,) = shop.messages(order_id)
    assert (mail["kind"], mail["to"]) == ("email", "ada@example.com")
    assert mail["message_id"].startswith(f"<{order_id}.farewell@")
    assert mail["subject"] == f"Your order {order_id} was not completed"
    *lines, link, end = mail["text"].split("\n")
    assert (lines, end) == (["Hello Ada,", "", f"your order {order_id} was not completed.", "", *facts, ""], "")
    assert link.startswith("Follow your order: http://localhost:")
    assert f"/api/track/{order_id}?token=" in link


def test_a_customer_who_cancelled_is_mailed_so(shop: OutsideView) -> None:
    order_id = new_id()
    rule = {"operation": "payment_intents.confirm", "fault": "hold", "delay_s": 8, "order_id": order_id}
    with shop.faults("payments", rule):
        shop.order(order_id, **line(shop.new_sku()))
        wait_for(lambda: shop.fired("payments"), 60, "charge")
        assert shop.cancel(order_id).status == 202
    assert shop.ended(order_id)["status"] == "cancelled"
    (text,) = shop.cancellation_notices(order_id)
    assert f"your order {order_id} was cancelled." in text
    assert "We have refunded 20.00 GBP to your card." in text


def test_the_mail_comes_after_the_refund_and_not_while_the_refund_is_owed(shop: OutsideView) -> None:
    order_id = new_id()
    rule = {"operation": "refunds.create", "fault": "error_before_commit", "order_id": order_id}
    with shop.faults("payments", rule):
        order_of_older_code(shop, order_id, shipping_address=NO_DOOR, **line(shop.new_sku()))
        shop.becomes(order_id, "needs_attention")
        assert shop.messages(order_id) == []
    body = {"by": "ada", "reason": "repaired"}
    assert shop.operate(order_id, "refund_payment", "retry", **body).status == 202
    assert shop.ended(order_id)["status"] == "compensated"
    (refund,) = [entry for entry in shop.ledger(order_id) if entry["event"] == "refund.succeeded"]
    (mail,) = shop.messages(order_id)
    assert refund["at"] < mail["at"]
    assert "We have refunded 20.00 GBP" in mail["text"]


def test_a_mail_that_cannot_be_sent_changes_nothing(shop: OutsideView) -> None:
    order_id = new_id()
    rule = {"operation": "email.send", "fault": "error_before_commit", "order_id": order_id}
    with shop.faults("mail", rule):
        order_of_older_code(shop, order_id, shipping_address=NO_DOOR, **line(shop.new_sku()))
        view = shop.ended(order_id)
        assert shop.fired("mail") == 1
    assert view["status"] == "compensated"
    assert shop.effects(order_id).net == 0
    assert shop.messages(order_id) == []


def test_an_order_of_which_nothing_was_undone_sends_no_mail(shop: OutsideView) -> None:
    completed = shop.order(**line(shop.new_sku()))
    rejected = shop.order(shipping_address=NOT_SERVED, **line(shop.new_sku()))
    assert [shop.ended(order_id)["status"] for order_id in (completed, rejected)] == ["completed", "rejected"]
    assert shop.cancellation_notices(completed) == []
    assert shop.messages(rejected) == []
