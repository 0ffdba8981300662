"""Cancel at any instant: 202 means that the order ends `cancelled` with nothing left over, everything else is 409."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from devtools.example_order import example_order
from tests.support.harness import Harness
from tests.support.orders_on_record import accept
from tests.support.outside_view import NOTHING, OutsideView, compensations, new_id, statuses, wait_for
from tests.support.steps import all_undone, following, undone_by

ADDRESS = example_order()["shipping_address"]
BOUNCING = {**example_order()["customer"], "email": "ada@bounce.invalid"}


def line(sku: str) -> dict[str, Any]:
    return {"items": [{"sku": sku, "quantity": 1}]}


def assert_gone(outside: OutsideView, order_id: str, sku: str, charged: int) -> None:
    """As if it had never been: no money, no units, no label that holds, no confirmation."""
    effects = outside.effects(order_id)
    assert effects._replace(label=None) == NOTHING._replace(charged=charged, given_back=charged)
    assert effects.label != "issued"
    assert outside.stock(sku) == (10, 0)


def test_a_cancel_that_comes_before_the_saga_has_started_wins(shop: OutsideView) -> None:
    """The order is on record and its saga is not yet started: the process died in between, say."""
    sku, order_id = shop.new_sku(), new_id()
    accept(shop, order_id, **line(sku))
    assert shop.cancel(order_id).status == 202
    shop.order(order_id, **line(sku))
    view = shop.ended(order_id)
    assert view["status"] == "cancelled"
    assert set(statuses(view).values()) == {"pending"}
    assert shop.tables.scheduled(order_id) == ["validate_order", "close_order"]
    assert_gone(shop, order_id, sku, charged=0)
    assert shop.ledger(order_id) == []


Holding = Callable[[Harness, str], Any]


@contextmanager
def held_by_payments(operation: str, harness: Harness, order_id: str) -> Iterator[Callable[[], object]]:
    rule = {"operation": operation, "fault": "hold", "delay_s": 8}
    # A payment method is asked about without naming the order.
    about = {} if operation == "payment_methods.retrieve" else {"order_id": order_id}
    with harness.outside.faults("payments", {**rule, **about}):
        yield lambda: harness.outside.fired("payments")


@contextmanager
def held_stock(harness: Harness, order_id: str) -> Iterator[Callable[[], object]]:
    with harness.tables.failing(f'batch.*"order:{order_id}".*"reserved"', "hold", times=1) as held:
        yield held.seen.is_set


@contextmanager
def held_label(harness: Harness, order_id: str) -> Iterator[Callable[[], object]]:
    with harness.blobs.failing(f"^PUT .*labels/{order_id}", "hold", times=1) as held:
        yield held.seen.is_set


# What is held while the cancel comes, what is undone then, and what had been charged. The step that finds the cancel is
# undone too: the held one, if it is tried again or looks into the record before it acts, else the next one.
INSTANTS: dict[str, tuple[Holding, list[tuple[str, str]], int]] = {
    "validation": (lambda harness, order_id: held_by_payments("payment_methods.retrieve", harness, order_id), [], 0),
    "the reservation": (held_stock, undone_by("reserve_inventory", own=True), 0),
    "the opening of the payment": (
        lambda harness, order_id: held_by_payments("payment_intents.create", harness, order_id),
        undone_by("process_payment", own=True),
        0,
    ),
    "the charge": (
        lambda harness, order_id: held_by_payments("payment_intents.confirm", harness, order_id),
        undone_by(following("process_payment"), own=True),
        1000,
    ),
    "the label": (held_label, undone_by(following("create_shipment"), own=True), 1000),
}


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_cancel_during_a_step_is_honoured_at_the_next_safe_point(harness: Harness, instant: str) -> None:
    holding, undone, charged = INSTANTS[instant]
    outside, order_id = harness.outside, new_id()
    sku = outside.new_sku()
    with holding(harness, order_id) as has_begun:
        outside.order(order_id, **line(sku))
        wait_for(has_begun, 60, f"beginning of {instant}")
        answer = outside.cancel(order_id)
        assert answer.status == 202, answer.body
        assert answer.json() == {"order_id": order_id, "status": answer.json()["status"], "cancel_requested": True}
    view = outside.ended(order_id)
    assert view["status"] == "cancelled"
    assert view["failure"] is None
    assert compensations(view) == undone
    assert_gone(outside, order_id, sku, charged)


def test_a_charge_of_five_seconds_that_is_cancelled_meanwhile_is_waited_for_and_given_back(shop: OutsideView) -> None:
    sku, order_id = shop.new_sku(), new_id()
    rule = {"operation": "payment_intents.confirm", "fault": "hold_then_commit", "delay_s": 5, "order_id": order_id}
    with shop.faults("payments", rule):
        shop.order(order_id, **line(sku))
        wait_for(lambda: shop.fired("payments"), 60, "charge in flight")
        assert shop.cancel(order_id).status == 202
        assert shop.ledger(order_id)[-1]["event"] != "payment_intent.succeeded"
        assert shop.ended(order_id)["status"] == "cancelled"
    assert_gone(shop, order_id, sku, charged=1000)


def test_an_order_that_waits_for_its_approval_is_cancelled_at_once(shop: OutsideView) -> None:
    sku = shop.new_sku(price_minor=60_000)
    order_id = shop.order(**line(sku))
    shop.becomes(order_id, "awaiting_approval")
    assert shop.cancel(order_id).status == 202
    view = shop.becomes(order_id, "cancelled")
    # It did not wait for the approval's own deadline.
    assert "TimerFired" not in {row["EventType"] for row in shop.tables.history(order_id)}
    assert view["compensations"] == []
    decision = {"approved": True, "approver": "grace"}
    assert shop.post(f"/api/orders/{order_id}/approval", decision).status == 409
    assert_gone(shop, order_id, sku, charged=0)


def test_a_cancel_loses_once_the_confirmation_has_claimed_the_order(shop: OutsideView) -> None:
    order_id = new_id()
    rule = {"operation": "email.send", "fault": "hold", "delay_s": 8, "order_id": order_id}
    with shop.faults("mail", rule):
        shop.order(order_id, **line(shop.new_sku()))
        wait_for(lambda: shop.fired("mail"), 60, "mail on its way")
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: shop.cancel(order_id), range(4)))
    assert {answer.status for answer in answers} == {409}
    assert "being confirmed" in answers[0].json()["detail"]
    assert shop.ended(order_id)["status"] == "completed"
    assert shop.effects(order_id) == NOTHING._replace(charged=1000, label="issued", mails=1, message_ids=1, pushes=1)


def test_a_cancel_does_not_disturb_an_undo(shop: OutsideView) -> None:
    sku, order_id = shop.new_sku(), new_id()
    rule = {"operation": "refunds.create", "fault": "hold", "delay_s": 8, "order_id": order_id}
    with shop.faults("payments", rule):
        shop.order(order_id, customer=BOUNCING, **line(sku))
        wait_for(lambda: shop.fired("payments"), 60, "refund on its way")
        answer = shop.cancel(order_id)
    assert answer.status == 409
    assert "compensating" in answer.json()["detail"]
    view = shop.ended(order_id)
    assert view["status"] == "compensated"
    assert compensations(view) == all_undone()
    assert_gone(shop, order_id, sku, charged=1000)


ENDINGS: dict[str, dict[str, Any]] = {
    "completed": {},
    "rejected": {"shipping_address": {**ADDRESS, "country": "AQ"}},
    "compensated": {"payment_method": "pm_card_visa_chargeDeclined"},
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_cancel_after_the_end_is_refused_with_the_state(shop: OutsideView, ending: str) -> None:
    order_id = shop.order(**ENDINGS[ending], **line(shop.new_sku()))
    view = shop.ended(order_id)
    answer = shop.cancel(order_id)
    assert answer.status == 409
    assert ending in answer.json()["detail"]
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert shop.view(order_id) == view


def test_a_cancel_may_be_repeated_at_once_and_after_the_end(shop: OutsideView) -> None:
    sku, order_id = shop.new_sku(), new_id()
    rule = {"operation": "payment_intents.create", "fault": "hold", "delay_s": 8, "order_id": order_id}
    with shop.faults("payments", rule):
        shop.order(order_id, **line(sku))
        wait_for(lambda: shop.fired("payments"), 60, "payment")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: shop.cancel(order_id), range(8)))
    assert {answer.status for answer in answers} == {202}
    view = shop.ended(order_id)
    assert view["status"] == "cancelled"
    assert shop.cancel(order_id).status == 202
    assert shop.view(order_id) == view
    assert [audit["Event"] for audit in shop.tables.audits(order_id)].count("cancel_requested") == 1
    assert len(shop.cancellation_notices(order_id)) == 1


def test_every_answer_to_a_cancel_at_a_chance_moment_is_kept(shop: OutsideView) -> None:
    """The cancels come as the orders go by: early for one, late for another."""
    sku = shop.new_sku(on_hand=10)
    orders = [shop.order(**line(sku)) for _ in range(6)]
    with ThreadPoolExecutor(3) as pool:
        answers = dict(zip(orders, pool.map(shop.cancel, orders), strict=True))
    promised = {order_id for order_id, answer in answers.items() if answer.status == 202}
    assert {answer.status for answer in answers.values()} <= {202, 409}
    for order_id in orders:
        status = shop.ended(order_id)["status"]
        assert status == ("cancelled" if order_id in promised else "completed")
        assert shop.effects(order_id).net == (0 if order_id in promised else 1000)
    assert shop.stock(sku) == (10 - len(orders) + len(promised), 0)


def test_an_order_that_does_not_exist_cannot_be_cancelled(shop: OutsideView) -> None:
    assert shop.cancel(new_id()).status == 404
