"""Personal data lies in the order's record and on its label, and nowhere else; there it can be erased.

Every word of these customers is a canary. Their orders end in every way there is, through failures of every kind.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pypdfium2
import pytest
from azure.storage.blob import BlobServiceClient

from devtools.example_order import example_order
from devtools.processes.http import HttpResponse, fetch
from tests.support.orders_on_record import order_of_older_code
from tests.support.outside_view import OutsideView, new_id, wait_for
from tests.support.product import Product

CANARY = {
    "customer": {"id": "cust-canary", "name": "Canary Marmalade", "email": "canary.marmalade@example.com"},
    "shipping_address": {
        "name": "Canary Recipient",
        "line1": "77 Canary Lane",
        "line2": "Canary Flat",
        "city": "Łódź-Canary",
        "postal_code": "CNR 1YY",
        "country": "PL",
    },
}
BOUNCING = {**CANARY["customer"], "email": "canary@bounce.invalid"}
NO_DOOR = {**CANARY["shipping_address"], "line2": "PO Box Canary"}
NOT_SERVED = {**CANARY["shipping_address"], "country": "AQ"}
# A table, a log or a queue may escape what is not ASCII, so the city is looked for without its first letters.
WORDS = ["anary", "CNR 1YY", "pm_card", "sk_test_sandbox", "sandbox-push-key", "whsec_sandbox"]

# How an order is placed, what goes wrong with it at a provider, and how it ends.
ORDERS: dict[str, tuple[dict[str, Any], dict[str, Any] | None, str]] = {
    "completed": ({}, None, "completed"),
    "a country not served": ({"shipping_address": NOT_SERVED}, None, "rejected"),
    "a card declined": ({"payment_method": "pm_card_visa_chargeDeclined"}, None, "compensated"),
    "no such card": ({"payment_method": "pm_card_of_a_canary"}, None, "rejected"),
    "no door": ({"shipping_address": NO_DOOR}, None, "rejected"),
    "no door, validated by older code": ({"shipping_address": NO_DOOR, "older": True}, None, "compensated"),
    "a mail that bounces": ({"customer": BOUNCING}, None, "compensated"),
    "a charge lost": ({}, {"operation": "payment_intents.confirm", "fault": "drop_after_commit"}, "completed"),
    "a charge failed": ({}, {"operation": "payment_intents.confirm", "fault": "error_after_commit"}, "completed"),
    "an opening failed": ({}, {"operation": "payment_intents.create", "fault": "error_after_commit"}, "completed"),
    "a charge refused": ({}, {"operation": "payment_intents.confirm", "fault": "refuse"}, "compensated"),
    "a mail lost": ({}, {"operation": "email.send", "fault": "drop_after_commit"}, "completed"),
    "a mail refused": ({}, {"operation": "email.send", "fault": "refuse"}, "compensated"),
    "a push failed": ({}, {"operation": "push.send", "fault": "error_before_commit"}, "completed"),
    "cancelled": ({}, {"operation": "payment_intents.confirm", "fault": "hold", "delay_s": 2}, "cancelled"),
    "a refund refused": ({"customer": BOUNCING}, {"operation": "refunds.create", "fault": "refuse"}, "compensated"),
    "approved": ({"approved": True}, None, "completed"),
    "not approved": ({"approved": False}, None, "rejected"),
}


@pytest.fixture(scope="module")
def ended(shop: OutsideView) -> dict[str, str]:
    """Order ids by how they were to end; each has ended so."""
    cheap, dear = shop.new_sku(on_hand=50), shop.new_sku(price_minor=60_000)
    placed = {case: new_id() for case in ORDERS}
    rules: dict[str, list[dict[str, Any]]] = {"payments": [], "mail": []}
    for case, (_, fault, _) in ORDERS.items():
        if fault is not None:
            target = "mail" if fault["operation"] in {"email.send", "push.send"} else "payments"
            times = None if fault["operation"] == "refunds.create" else 1
            rules[target].append({"order_id": placed[case], "times": times, **fault})
    with shop.faults("payments", *rules["payments"]), shop.faults("mail", *rules["mail"]):
        for case, order_id in placed.items():
            sku = dear if "approved" in ORDERS[case][0] else cheap
            place(shop, order_id, sku, ORDERS[case][0])
        wait_for(lambda: shop.ledger(placed["cancelled"]), 60, "charge in flight")
        assert shop.cancel(placed["cancelled"]).status == 202
        for case in ("approved", "not approved"):
            decide(shop, placed[case], ORDERS[case][0]["approved"])
        shop.becomes(placed["a refund refused"], "needs_attention")
        assert erase(shop, placed["a refund refused"]).status == 409
    body = {"by": "ada", "reason": "the bank is up again"}
    assert shop.operate(placed["a refund refused"], "refund_payment", "retry", **body).status == 202
    assert {case: shop.ended(order_id)["status"] for case, order_id in placed.items()} == {
        case: status for case, (_, _, status) in ORDERS.items()
    }
    return placed


def place(outside: OutsideView, order_id: str, sku: str, changes: dict[str, Any]) -> None:
    body = {**CANARY, "items": [{"sku": sku, "quantity": 1}], **changes}
    body.pop("approved", None)
    place_it = partial(order_of_older_code, outside) if body.pop("older", False) else outside.order
    place_it(order_id, **body)
    # What is refused at the door must not be kept or logged either.
    assert (
        outside.post("/api/orders", example_order(**{**body, "order_id": order_id, "coupon": "Canary"})).status == 400
    )
    other = {**CANARY["customer"], "name": "Another Canary"}
    assert outside.post("/api/orders", example_order(**{**body, "order_id": order_id, "customer": other})).status == 409


def decide(outside: OutsideView, order_id: str, approved: bool) -> None:
    outside.becomes(order_id, "awaiting_approval")
    assert erase(outside, order_id).status == 409
    body = {"approved": approved, "approver": "grace"}
    assert outside.post(f"/api/orders/{order_id}/approval", body).status == 202


def erase(outside: OutsideView, order_id: str) -> HttpResponse:
    return fetch(f"{outside.urls['host']}/api/orders/{order_id}/personal-data", "DELETE")


def found_in(text: str) -> list[str]:
    return [word for word in WORDS if word in text]


def blobs(outside: OutsideView) -> Iterator[tuple[str, str, bytes]]:
    """(container, name, content) of every blob."""
    with BlobServiceClient.from_connection_string(outside.urls["storage_connection_string"]) as account:
        for container in account.list_containers():
            client = account.get_container_client(container.name)
            for blob in client.list_blobs():
                yield container.name, blob.name, client.download_blob(blob.name).readall()


def test_no_table_but_orders_holds_a_word_of_a_customer(shop: OutsideView, ended: dict[str, str]) -> None:
    tables = set(shop.tables.names())
    assert {"orders", "orderindex", "stock", "stripeevents"} < tables
    for table in sorted(tables - {"orders"}):
        rows = list(shop.tables.rows(table))
        text = json.dumps(rows, default=str)
        assert found_in(text) == [], table
        if table.endswith("History"):
            assert all(order_id in text for order_id in ended.values())


def test_no_blob_but_a_label_and_no_queue_holds_a_word_of_a_customer(
    shop: OutsideView, shop_product: Product, ended: dict[str, str]
) -> None:
    for container, name, content in blobs(shop):
        if container != "labels":
            assert found_in(content.decode("utf-8", "replace")) == [], f"{container}/{name}"
    queues = [path for path in (shop_product.data / "azurite").rglob("*queue*") if path.is_file()]
    queues += [path for path in (shop_product.data / "azurite" / "__queuestorage__").rglob("*") if path.is_file()]
    assert queues, "Azurite keeps its queues elsewhere by now"
    for path in queues:
        assert found_in(path.read_text(errors="replace")) == [], path.name


def test_no_answer_of_the_api_but_a_label_holds_a_word_of_a_customer(shop: OutsideView, ended: dict[str, str]) -> None:
    paths = [f"/api/orders/{order_id}{more}" for order_id in ended.values() for more in ("", "/events")]
    for path in [*paths, "/api/orders?top=100", "/api/inventory?top=100"]:
        answer = shop.get(path)
        assert (answer.status, found_in(answer.body.decode())) == (200, []), path


def test_no_log_holds_a_word_of_a_customer(shop_product: Product, ended: dict[str, str]) -> None:
    logs = list((shop_product.data / "logs").glob("*.log"))
    assert "devhost.log" in {log.name for log in logs}
    for log in logs:
        # `dev.py start` prints an order to paste.
        printed = {"pm_card"} if log.name == "start.log" else set()
        assert set(found_in(log.read_text(errors="replace"))) <= printed, log.name


def test_the_label_of_an_undone_order_names_nobody(shop: OutsideView, ended: dict[str, str]) -> None:
    for case in ("a mail that bounces", "a mail refused"):
        assert shop.label(ended[case]) == "void"
        assert "Canary" not in text_of(shop.label_pdf(ended[case]))


def text_of(pdf: bytes) -> str:
    return str(pypdfium2.PdfDocument(io.BytesIO(pdf))[0].get_textpage().get_text_bounded())


@pytest.mark.parametrize("case", ["completed", "a mail that bounces", "cancelled", "no such card", "a refund refused"])
def test_the_personal_data_of_a_finished_order_is_erased_and_its_amounts_are_not(
    shop: OutsideView, ended: dict[str, str], case: str
) -> None:
    order_id = ended[case]
    view, effects = shop.view(order_id), shop.effects(order_id)
    amounts = kept(shop, order_id)
    sent = json.loads(shop.tables.record(order_id)["Request"])
    assert found_in(json.dumps(shop.tables.record(order_id), default=str))
    for _ in range(2):
        answer = erase(shop, order_id)
        assert (answer.status, answer.body) == (204, b"")
    rows = [row for row in shop.tables.rows("orders") if row["PartitionKey"] == order_id]
    assert found_in(json.dumps(rows, default=str)) == []
    assert [row["Event"] for row in rows if row["RowKey"].startswith("audit:")].count("personal_data_erased") == 1
    for container, name, content in blobs(shop):
        if container == "labels" and order_id in name:
            assert "Canary" not in text_of(content)
    # Still auditable, and its id stays taken. It is no longer recognised by its body: a hash could confirm a guess.
    assert shop.view(order_id) == view
    assert kept(shop, order_id) == amounts
    assert shop.effects(order_id)._replace(label=None) == effects._replace(label=None)
    again = {**sent, "order_id": order_id}
    for body in (again, {**again, "payment_method": "pm_card_mastercard"}):
        assert shop.post("/api/orders", body).status == 409
    assert shop.tables.record(order_id)["BodyHash"].startswith("erased:")
    assert shop.view(order_id) == view
    assert shop.tables.record(order_id)["Request"] == ""
    assert shop.effects(order_id)._replace(label=None) == effects._replace(label=None)


def kept(outside: OutsideView, order_id: str) -> dict[str, Any]:
    names = ("State", "AmountMinor", "Currency", "ChargedMinor", "RefundedMinor", "Goods", "Lines", "PaymentIntentId")
    record = outside.tables.record(order_id)
    return {name: record[name] for name in names if name in record}


def test_the_label_of_a_delivered_order_keeps_its_number_and_loses_its_address(
    shop: OutsideView, ended: dict[str, str]
) -> None:
    order_id = ended["a charge lost"]
    number = shop.tables.record(order_id)["TrackingNumber"]
    assert "Canary" in text_of(shop.label_pdf(order_id))
    assert erase(shop, order_id).status == 204
    assert shop.label(order_id) == "erased"
    text = text_of(shop.label_pdf(order_id))
    assert "Canary" not in text
    assert number in text


def test_the_data_of_an_order_on_its_way_cannot_be_erased(shop: OutsideView) -> None:
    order_id = new_id()
    rule = {"operation": "payment_intents.confirm", "fault": "hold", "delay_s": 8, "order_id": order_id}
    with shop.faults("payments", rule):
        shop.order(order_id, items=[{"sku": shop.new_sku(), "quantity": 1}])
        wait_for(lambda: shop.fired("payments"), 60, "charge")
        answer = erase(shop, order_id)
    assert answer.status == 409
    assert "running" in answer.json()["detail"]
    assert shop.ended(order_id)["status"] == "completed"
    assert erase(shop, new_id()).status == 404
