"""Every refusal of the business, over the whole product: the answer to the customer, and a world that is as before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from devtools.example_order import example_order
from tests.support.orders_on_record import order_of_older_code
from tests.support.outside_view import NOTHING, OutsideView, compensations, new_id, statuses, wait_for
from tests.support.product import Product
from tests.support.steps import STEPS, all_undone, statuses_at, undone_by

ADDRESS = example_order()["shipping_address"]
CUSTOMER = example_order()["customer"]


@pytest.fixture(scope="module")
def outside(product: Product) -> Iterator[OutsideView]:
    with closing(OutsideView(product.urls)) as outside:
        yield outside


def lines(*pairs: tuple[str, int]) -> dict[str, Any]:
    return {"items": [{"sku": sku, "quantity": quantity} for sku, quantity in pairs]}


REFUSED_AT_VALIDATION: dict[str, tuple[str, Callable[[OutsideView], dict[str, Any]]]] = {
    "an unknown sku": ("unknown_sku", lambda outside: lines(("NOBODY-SELLS-THIS", 1))),
    "more than there is": ("out_of_stock", lambda outside: lines((outside.new_sku(on_hand=1), 2))),
    "two currencies": (
        "mixed_currencies",
        lambda outside: lines((outside.new_sku(), 1), (outside.new_sku(currency="eur"), 1)),
    ),
    "a total below Stripe's minimum": ("amount_too_small", lambda outside: lines((outside.new_sku(price_minor=1), 1))),
    "a total above Stripe's maximum": (
        "amount_too_large",
        lambda outside: lines((outside.new_sku(price_minor=99_999_999), 2)),
    ),
    "a total of thousandths that does not end in 0": (
        "invalid_charge_amount",
        lambda outside: lines((outside.new_sku(price_minor=2505, currency="kwd"), 1)),
    ),
    "a total with hundredths that a currency has no more": (
        "invalid_charge_amount",
        lambda outside: lines((outside.new_sku(price_minor=550, currency="isk"), 1)),
    ),
    "a PO box": ("undeliverable_address", lambda outside: {"shipping_address": {**ADDRESS, "line2": "P.O. Box 7"}}),
    "a country that is not served": (
        "country_not_served",
        lambda outside: {"shipping_address": {**ADDRESS, "country": "AQ"}},
    ),
    "a payment method that is not known": (
        "payment_method_invalid",
        lambda outside: {"payment_method": "pm_card_nobody"},
    ),
    "a payment method that is no card": (
        "payment_method_invalid",
        lambda outside: {"payment_method": "pm_usBankAccount"},
    ),
}


@pytest.mark.parametrize("case", REFUSED_AT_VALIDATION)
def test_validation_rejects_and_nothing_had_to_be_undone(outside: OutsideView, case: str) -> None:
    reason, changes = REFUSED_AT_VALIDATION[case]
    order_id = outside.order(**changes(outside))
    view = outside.ended(order_id)
    assert view["status"] == "rejected"
    named = {"skus": ["NOBODY-SELLS-THIS"]} if reason == "unknown_sku" else {}
    assert view["failure"] == {"step": "validate_order", "reason": reason, **named}
    assert statuses(view) == {**dict.fromkeys(STEPS, "pending"), "validate_order": "refused"}
    assert view["compensations"] == []
    assert outside.effects(order_id) == NOTHING
    assert outside.tables.scheduled(order_id) == ["validate_order", "close_order"]


DECLINES = {
    "pm_card_visa_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_visa_chargeDeclinedLostCard": "lost_card",
    "pm_card_visa_chargeDeclinedStolenCard": "stolen_card",
}


@pytest.mark.parametrize(
    "method",
    [
        *DECLINES,
        "pm_card_chargeDeclinedExpiredCard",
        "pm_card_chargeDeclinedIncorrectCvc",
        "pm_card_chargeDeclinedProcessingError",
        "pm_card_authenticationRequired",
    ],
)
def test_a_card_that_is_refused_is_asked_once_and_releases_the_stock(outside: OutsideView, method: str) -> None:
    sku = outside.new_sku(on_hand=3)
    order_id = outside.order(payment_method=method, **lines((sku, 2)))
    view = outside.ended(order_id)
    assert view["status"] == "compensated"
    assert view["failure"]["step"] == "process_payment"
    reason = "authentication_required" if method == "pm_card_authenticationRequired" else "card_declined"
    assert view["failure"]["reason"] == reason
    if method in DECLINES:
        assert view["failure"]["decline_code"] == DECLINES[method]
    assert compensations(view) == undone_by("process_payment")
    assert statuses(view) == statuses_at("process_payment")
    assert outside.stock(sku) == (3, 0)
    assert outside.effects(order_id) == NOTHING
    events = [entry["event"] for entry in outside.ledger(order_id)]
    assert events.count("charge.failed") + events.count("payment_intent.requires_action") == 1
    assert events[-1] == "payment_intent.canceled"


def test_a_po_box_that_older_code_validated_gives_the_money_back(outside: OutsideView) -> None:
    sku = outside.new_sku(on_hand=3)
    order_id = order_of_older_code(outside, shipping_address={**ADDRESS, "line2": "P.O. Box 7"}, **lines((sku, 2)))
    view = outside.ended(order_id)
    assert view["status"] == "compensated"
    assert view["failure"] == {"step": "create_shipment", "reason": "undeliverable_address"}
    assert compensations(view) == undone_by("create_shipment")
    assert outside.stock(sku) == (3, 0)
    assert outside.effects(order_id) == NOTHING._replace(charged=2000, given_back=2000)


def test_a_rejected_recipient_undoes_everything_by_default(outside: OutsideView) -> None:
    sku = outside.new_sku(on_hand=3)
    order_id = outside.order(customer={**CUSTOMER, "email": "ada@bounce.invalid"}, **lines((sku, 2)))
    view = outside.ended(order_id)
    assert view["status"] == "compensated"
    assert view["failure"] == {"step": "send_confirmation", "reason": "recipient_rejected"}
    assert compensations(view) == all_undone()
    assert outside.stock(sku) == (3, 0)
    assert outside.effects(order_id) == NOTHING._replace(charged=2000, given_back=2000, label="void")


def test_a_reservation_that_loses_the_race_after_validation_is_refused(outside: OutsideView) -> None:
    """Validation has seen the stock; while it asks about the card, somebody else takes the unit."""
    sku = outside.new_sku(on_hand=1)
    with outside.faults(
        "payments", {"operation": "payment_methods.retrieve", "fault": "hold", "delay_s": 8, "times": 1}
    ):
        order_id = outside.order(**lines((sku, 1)))
        wait_for(lambda: outside.fired("payments"), 60, "question about the card")
        outside.put_stock(sku, on_hand=0)
    view = outside.ended(order_id)
    assert view["status"] == "compensated"
    assert view["failure"] == {"step": "reserve_inventory", "reason": "out_of_stock"}
    assert compensations(view) == undone_by("reserve_inventory")
    assert outside.stock(sku) == (0, 0)
    assert outside.effects(order_id) == NOTHING


def test_two_orders_for_the_last_lamp_sell_it_once(outside: OutsideView) -> None:
    sku = outside.new_sku(on_hand=1)
    orders = [outside.order(new_id(), **lines((sku, 1))) for _ in range(4)]
    ended = [outside.ended(order)["status"] for order in orders]
    assert sorted(ended).count("completed") == 1
    assert set(ended) <= {"completed", "rejected", "compensated"}
    assert outside.stock(sku) == (0, 0)
    assert sum(outside.effects(order).net for order in orders) == 1000


def test_an_order_that_does_not_exist_is_404(outside: OutsideView) -> None:
    for order_id in (new_id(), "not%20an%20id", "a" * 65):
        answer = outside.get(f"/api/orders/{order_id}")
        assert answer.status == 404
        assert answer.headers["Content-Type"].startswith("application/problem+json")
