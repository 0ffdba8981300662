"""Orders above the threshold wait for a person's decision before anything moves; the decision is one, for one total."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from devtools.processes.http import HttpResponse, fetch
from tests.support.outside_view import NOTHING, OutsideView, new_id, statuses, wait_for
from tests.support.steps import STEPS

THRESHOLD = 50_000
PRICE = 60_000


def line(sku: str) -> dict[str, Any]:
    return {"items": [{"sku": sku, "quantity": 1}]}


def decide(outside: OutsideView, order_id: str, approved: bool, **more: str) -> HttpResponse:
    body = {"approved": approved, "approver": "grace", **more}
    return outside.post(f"/api/orders/{order_id}/approval", body)


def waiting(outside: OutsideView, sku: str) -> str:
    order_id = outside.order(**line(sku))
    outside.becomes(order_id, "awaiting_approval")
    return order_id


@pytest.fixture(scope="module")
def forgotten(shop: OutsideView) -> str:
    """An order that nobody decides about. Placed before the other tests, so that they pass while its deadline does."""
    return waiting(shop, shop.new_sku(price_minor=PRICE))


def test_an_order_above_the_threshold_waits_and_moves_nothing_until_it_is_approved(
    shop: OutsideView, forgotten: str
) -> None:
    sku = shop.new_sku(price_minor=PRICE)
    order_id = waiting(shop, sku)
    view = shop.view(order_id)
    assert view["total"] == {"amount_minor": PRICE, "currency": "gbp"}
    assert statuses(view) == {**dict.fromkeys(STEPS, "pending"), "validate_order": "running"}
    assert shop.tables.scheduled(order_id) == ["validate_order"]
    assert shop.stock(sku) == (10, 0)
    assert shop.ledger(order_id) == []
    answer = decide(shop, order_id, True, comment="a good customer")
    assert answer.status == 202, answer.body
    assert answer.json() == {"order_id": order_id, "decision": "approved", "total": view["total"]}
    assert shop.ended(order_id)["status"] == "completed"
    assert shop.effects(order_id) == NOTHING._replace(charged=PRICE, label="issued", mails=1, message_ids=1, pushes=1)
    (audit,) = [audit for audit in shop.tables.audits(order_id) if audit["Event"] == "approved"]
    assert "grace" in audit["Approval"]
    assert "a good customer" in audit["Approval"]
    assert decide(shop, order_id, True).status == 409


def test_an_order_that_is_not_approved_ends_rejected_and_has_touched_nothing(shop: OutsideView, forgotten: str) -> None:
    sku = shop.new_sku(price_minor=PRICE)
    order_id = waiting(shop, sku)
    assert decide(shop, order_id, False, comment="").status == 202  # a form that was sent without a comment
    view = shop.ended(order_id)
    assert view["status"] == "rejected"
    assert view["failure"] == {"step": "validate_order", "reason": "approval_rejected"}
    assert view["compensations"] == []
    assert shop.effects(order_id) == NOTHING
    assert shop.stock(sku) == (10, 0)


def test_a_total_at_the_threshold_waits_for_nobody(shop: OutsideView, forgotten: str) -> None:
    order_id = shop.order(**line(shop.new_sku(price_minor=THRESHOLD)))
    assert shop.ended(order_id)["status"] == "completed"
    assert "Approval" not in shop.tables.record(order_id)
    assert decide(shop, order_id, False).status == 409


def test_of_many_decisions_at_once_one_counts(shop: OutsideView, forgotten: str) -> None:
    order_id = waiting(shop, shop.new_sku(price_minor=PRICE))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: decide(shop, order_id, number % 2 == 0), range(8)))
    assert sorted(answer.status for answer in answers) == [202] + [409] * 7
    (counted,) = [answer.json()["decision"] for answer in answers if answer.status == 202]
    assert shop.ended(order_id)["status"] == {"approved": "completed", "rejected": "rejected"}[counted]


def test_the_decision_belongs_to_the_total_that_was_shown(shop: OutsideView, forgotten: str) -> None:
    sku = shop.new_sku(price_minor=PRICE)
    order_id = waiting(shop, sku)
    shop.put_stock(sku, on_hand=10, price_minor=2 * PRICE)
    assert decide(shop, order_id, True).json()["total"]["amount_minor"] == PRICE
    assert shop.ended(order_id)["total"]["amount_minor"] == PRICE
    assert shop.effects(order_id).charged == PRICE


def test_an_event_that_nobody_decided_wakes_and_approves_nothing(shop: OutsideView, forgotten: str) -> None:
    """A holder of the task hub's key can raise the event; the record alone decides."""
    order_id = waiting(shop, shop.new_sku(price_minor=PRICE))
    hub = f"{shop.urls['host']}/runtime/webhooks/durabletask/instances/{order_id}"
    for wake in ("decision:1", "decision:2"):
        assert fetch(f"{hub}/raiseEvent/{wake}", "POST", {"approved": True}).status == 202
    wait_for(
        lambda: shop.tables.scheduled(order_id) == ["validate_order"] * 3, 60, "look into the record for each event"
    )
    assert shop.becomes(order_id, "awaiting_approval")
    assert shop.ledger(order_id) == []
    assert decide(shop, order_id, True).status == 202
    assert shop.ended(order_id)["status"] == "completed"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"approved": "yes", "approver": "grace"}, "#/approved"),
        ({"approved": True}, "#/approver"),
        ({"approved": True, "approver": " "}, "#/approver"),
        ({"approved": True, "approver": "grace", "total": 1}, "#/total"),
    ],
)
def test_a_malformed_decision_is_refused_by_name(shop: OutsideView, forgotten: str, body: object, named: str) -> None:
    answer = shop.post(f"/api/orders/{forgotten}/approval", body)
    assert answer.status == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [named]


def test_a_decision_about_an_unknown_order_is_404(shop: OutsideView) -> None:
    assert decide(shop, new_id(), True).status == 404


def test_an_order_that_nobody_decided_about_ends_refused_and_a_late_decision_is_too_late(
    shop: OutsideView, forgotten: str
) -> None:
    view = shop.ended(forgotten)
    assert view["status"] == "rejected"
    assert view["failure"] == {"step": "validate_order", "reason": "approval_expired"}
    assert shop.effects(forgotten) == NOTHING
    assert decide(shop, forgotten, True).status == 409
    assert "approval_expired" in [audit["Event"] for audit in shop.tables.audits(forgotten)]
