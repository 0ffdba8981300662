"""Orders that another version of this code stored: with a column and fields that are unknown here, and content that
today's edge refuses. Each is shown, listed, decided, undone and erased like any other.
"""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from azure.data.tables import TableClient

from devtools.example_order import example_order
from devtools.processes.http import fetch
from services.tables.order_index import OrderIndex
from tests.support.orders_on_record import accept, index_of, orders_of, out_of_sight
from tests.support.outside_view import NOTHING, OutsideView, compensations, new_id, wait_for

BOUNCING = {**example_order()["customer"], "email": "ada@bounce.invalid"}
COMPLETED = NOTHING._replace(charged=1000, label="issued", mails=1, message_ids=1, pushes=1)
ADA = {"by": "ada", "reason": "the bank is up again"}
# More than 200 characters, a capital that no e-mail has, fields that nobody knows: today's edge names each of them.
FORBIDDEN: dict[str, Any] = {"name": "Ada " + "of the very long name " * 20, "loyalty": {"points": 7}}


def table(outside: OutsideView) -> TableClient:
    return TableClient.from_connection_string(outside.urls["storage_connection_string"], "orders")


def stored_by_another_version(outside: OutsideView, order_id: str) -> None:
    """Change what is stored, as a version with other rules would have written it."""
    sent = json.loads(outside.tables.record(order_id)["Request"])
    sent["customer"] |= FORBIDDEN
    sent["shipping_address"] |= {"floor": 3, "line2": "x" * 300}
    sent["items"] = [{**item, "engraving": "For Ada"} for item in sent["items"]]
    sent["gift"] = True
    row = {"PartitionKey": order_id, "RowKey": "order", "Request": json.dumps(sent), "LoyaltyPoints": 7}
    table(outside).update_entity(row)


def is_listed(outside: OutsideView, order_id: str, status: str) -> bool:
    """In one of the pages of the list: the product is shared, and others place orders too."""
    page, path = {"continuation": ""}, "/api/orders?top=100"
    while page["continuation"] is not None:
        page = outside.get(path).json()
        if (order_id, status) in [(order["order_id"], order["status"]) for order in page["orders"]]:
            return True
        path = f"/api/orders?top=100&continuation={page['continuation']}"
    return False


def test_todays_edge_refuses_the_content(shop: OutsideView) -> None:
    """Else the tests below would prove nothing."""
    order = example_order(order_id=new_id())
    order["customer"] |= FORBIDDEN
    answer = shop.post("/api/orders", order)
    assert answer.status == 400
    assert {error["pointer"] for error in answer.json()["errors"]} >= {"#/customer/name", "#/customer/loyalty"}


def test_an_accepted_one_is_driven_to_its_end(shop: OutsideView) -> None:
    order_id, items = new_id(), [{"sku": shop.new_sku(), "quantity": 1}]
    with out_of_sight(shop, order_id):
        accept(shop, order_id, age_s=60, items=items)
        stored_by_another_version(shop, order_id)
    assert shop.becomes(order_id, "completed")["status"] == "completed"
    assert shop.effects(order_id) == COMPLETED
    assert is_listed(shop, order_id, "completed")
    assert fetch(f"{shop.urls['host']}/api/orders/{order_id}/personal-data", "DELETE").status == 204
    assert "loyalty" not in str(shop.tables.record(order_id))


@pytest.mark.parametrize(("action", "status"), [("approve", "completed"), ("cancel", "cancelled")])
def test_one_that_waits_for_its_approval_is_decided(shop: OutsideView, action: str, status: str) -> None:
    order_id = shop.order(items=[{"sku": shop.new_sku(price_minor=60_000), "quantity": 1}])
    shop.becomes(order_id, "awaiting_approval")
    stored_by_another_version(shop, order_id)
    assert shop.view(order_id)["status"] == "awaiting_approval"
    assert is_listed(shop, order_id, "awaiting_approval")
    if action == "approve":
        answer = shop.post(f"/api/orders/{order_id}/approval", {"approved": True, "approver": "grace"})
    else:
        answer = shop.cancel(order_id)
    assert answer.status == 202, answer.body
    assert shop.ended(order_id)["status"] == status


@pytest.mark.parametrize("verb", ["retry", "resolve"])
def test_a_parked_one_is_repaired(shop: OutsideView, verb: str) -> None:
    sku, order_id = shop.new_sku(), new_id()
    body = ADA if verb == "retry" else {**ADA, "reference": "SEPA-4711"}
    with shop.faults("payments", {"operation": "refunds.create", "fault": "error_before_commit", "order_id": order_id}):
        shop.order(order_id, items=[{"sku": sku, "quantity": 1}], customer=BOUNCING)
        shop.becomes(order_id, "needs_attention")
        stored_by_another_version(shop, order_id)
    assert shop.view(order_id)["status"] == "needs_attention"
    assert shop.operate(order_id, "refund_payment", verb, **body).status == 202
    view = shop.becomes(order_id, "compensated")
    done = "done" if verb == "retry" else "resolved"
    assert ("refund_payment", done) in compensations(view)
    assert shop.effects(order_id).given_back == (1000 if verb == "retry" else 0)
    assert shop.stock(sku) == (10, 0)


def test_a_state_that_is_unknown_here_is_shown_listed_and_cancelled(shop: OutsideView) -> None:
    """As a newer version leaves it when somebody goes back to this one."""
    order_id = shop.order(items=[{"sku": shop.new_sku(price_minor=60_000), "quantity": 1}])
    shop.becomes(order_id, "awaiting_approval")
    table(shop).update_entity({"PartitionKey": order_id, "RowKey": "order", "State": "awaiting_customer"})
    index_of(shop).follow(orders_of(shop).read(order_id))
    assert shop.get(f"/api/orders/{order_id}").status == 200
    assert is_listed(shop, order_id, "awaiting_customer")
    assert shop.cancel(order_id).status == 202


def test_a_damaged_record_is_reported_in_a_sentence_and_the_sweep_heals_its_neighbours(shop: OutsideView) -> None:
    damaged, neighbour = new_id(), new_id()
    items = [{"sku": shop.new_sku(), "quantity": 1}]
    with patch.object(OrderIndex, "open"):
        record = accept(shop, damaged, age_s=60, items=items)
    table(shop).update_entity({"PartitionKey": damaged, "RowKey": "order", "Lines": "[{"})
    index_of(shop).open(damaged, record.accepted_at, ["SKU"])
    accept(shop, neighbour, age_s=50, items=items)
    try:
        assert shop.ended(neighbour)["status"] == "completed"
        for path in (f"/api/orders/{damaged}", f"/api/orders/{damaged}/cancel"):
            answer = fetch(shop.urls["host"] + path, "POST" if path.endswith("cancel") else "GET")
            assert answer.status == 503
            assert f"The record of order {damaged} cannot be read" in answer.json()["detail"]
        assert is_listed(shop, damaged, "accepted")
        wait_for(lambda: shop.get("/api/health").json()["sweep"].get("not_well_since"), 60, "the truth in health")
        assert shop.get("/api/health").json()["sweep"]["not_mended"] >= 1
    finally:
        table(shop).delete_entity(damaged, "order")
    wait_for(lambda: "not_well_since" not in shop.get("/api/health").json()["sweep"], 60, "a sweep that ended well")
