"""What the warehouse and the shop get by the API: the label, the stock, the view's facts, and the audit trail."""

from __future__ import annotations

import io
import json
from typing import Any

import pypdfium2
import pytest

from devtools.example_order import example_order
from devtools.orders.__main__ import main
from devtools.processes.http import fetch
from tests.support.outside_view import OutsideView, new_id
from tests.support.product import Product

BOUNCING = {**example_order()["customer"], "email": "ada@bounce.invalid"}


@pytest.fixture(scope="module")
def sku(shop: OutsideView) -> str:
    return shop.new_sku(on_hand=20)


@pytest.fixture(scope="module")
def completed(shop: OutsideView, sku: str) -> str:
    order_id = shop.order(items=[{"sku": sku, "quantity": 2}])
    shop.ended(order_id)
    return order_id


@pytest.fixture(scope="module")
def undone(shop: OutsideView, sku: str) -> str:
    """Its label was issued, and voided."""
    order_id = shop.order(items=[{"sku": sku, "quantity": 1}], customer=BOUNCING)
    assert shop.ended(order_id)["status"] == "compensated"
    return order_id


def problem(shop: OutsideView, path: str) -> tuple[int, str]:
    answer = shop.get(path)
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status, answer.json()["detail"]


def test_a_view_has_lines_times_payment_and_tracking_number(shop: OutsideView, sku: str, completed: str) -> None:
    view = shop.view(completed)
    assert view["lines"] == [{"sku": sku, "quantity": 2, "price_minor": 1000}]
    assert view["payment"] == {"charged_minor": 2000, "refunded_minor": 0}
    assert view["accepted_at"] <= view["ended_at"]
    assert view["tracking_number"] in shop.messages(completed)[0]["text"]


def test_a_refund_is_in_the_view(shop: OutsideView, undone: str) -> None:
    assert shop.view(undone)["payment"] == {"charged_minor": 1000, "refunded_minor": 1000}


def test_the_label_is_the_stored_pdf_with_its_tracking_number(shop: OutsideView, completed: str) -> None:
    answer = shop.get(f"/api/orders/{completed}/label")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Disposition"] == f'inline; filename="{completed}.pdf"'
    assert answer.body == shop.label_pdf(completed)
    page = pypdfium2.PdfDocument(io.BytesIO(answer.body))[0]
    assert shop.view(completed)["tracking_number"] in page.get_textpage().get_text_range()


def test_a_label_that_is_not_in_force_is_refused(shop: OutsideView, sku: str, undone: str) -> None:
    assert problem(shop, f"/api/orders/{undone}/label") == (
        410,
        "The label of this order was voided: nothing is to be shipped.",
    )
    rejected = shop.order(items=[{"sku": sku, "quantity": 9999}])
    shop.ended(rejected)
    assert problem(shop, f"/api/orders/{rejected}/label") == (404, "This order has no label.")
    assert problem(shop, f"/api/orders/{new_id()}/label") == (404, "There is no order with this id.")
    erased = shop.order(items=[{"sku": sku, "quantity": 1}])
    shop.ended(erased)
    assert fetch(f"{shop.urls['host']}/api/orders/{erased}/personal-data", "DELETE").status == 204
    assert problem(shop, f"/api/orders/{erased}/label")[0] == 410


def test_the_audit_trail_is_the_stored_one(shop: OutsideView, undone: str) -> None:
    trail = shop.get(f"/api/orders/{undone}/events").json()
    stored = shop.tables.audits(undone)
    assert [event["event"] for event in trail["events"]] == [row["Event"] for row in stored]
    assert [event["number"] for event in trail["events"]] == list(range(1, len(stored) + 1))
    facts = {event["event"]: event["facts"] for event in trail["events"]}
    assert facts["payment_charged"] == {"charged_minor": 1000}
    assert facts["payment_refunded"]["refunded_minor"] == 1000
    assert trail["continuation"] is None


def test_the_audit_trail_is_read_in_pages(shop: OutsideView, undone: str) -> None:
    whole = shop.get(f"/api/orders/{undone}/events").json()["events"]
    read: list[dict[str, Any]] = []
    token = ""
    while token is not None:
        page = shop.get(f"/api/orders/{undone}/events?top=4&continuation={token}").json()
        read += page["events"]
        token = page["continuation"]
    assert read == whole
    assert problem(shop, f"/api/orders/{new_id()}/events")[0] == 404
    for query in ("top=0", "top=101", "top=x", "continuation=0", "continuation=x", "continuation=1234567"):
        assert problem(shop, f"/api/orders/{undone}/events?{query}")[0] == 400, query


def test_the_history_at_a_terminal_is_the_audit_trail(
    shop: OutsideView, shop_product: Product, undone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", undone, "--json", "--data", str(shop_product.data)]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == shop.get(f"/api/orders/{undone}/events").json()["events"]
    assert main(["history", undone, "--data", str(shop_product.data)]) == 0
    assert "payment_refunded" in capsys.readouterr().out


def test_the_stock_is_listed_with_what_a_put_needs(shop: OutsideView, sku: str) -> None:
    listed: list[dict[str, Any]] = []
    token = ""
    while token is not None:
        page = shop.get(f"/api/inventory?top=2&continuation={token}").json()
        listed += page["items"]
        token = page["continuation"]
    skus = [item["sku"] for item in listed]
    assert skus == sorted(set(skus)) and {sku, "CRUNCHY-ARMCHAIR", "SMALL-TABLE"} <= set(skus)
    item = listed[skus.index(sku)]
    body = {"on_hand": item["on_hand"] + 1, "price_minor": item["price_minor"], "currency": item["currency"]}
    put = fetch(f"{shop.urls['host']}/api/inventory/{sku}", "PUT", body, {"If-Match": item["etag"]})
    assert put.status == 200
    assert fetch(f"{shop.urls['host']}/api/inventory/{sku}", "PUT", body, {"If-Match": item["etag"]}).status == 412
    for query in ("top=0", "top=101", "continuation=a", "continuation=%27%20or%20true"):
        assert problem(shop, f"/api/inventory?{query}")[0] == 400, query
