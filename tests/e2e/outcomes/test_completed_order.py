"""One order that goes through, looked at from every side: the answer, the stores, the tables, the messages."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pypdfium2
import pytest
import zxingcpp

from devtools.example_order import example_order
from devtools.processes.http import HttpResponse, fetch
from tests.support.outside_view import OutsideView, compensations, new_id, statuses
from tests.support.product import Product
from tests.support.steps import STEPS

CANARIES = {
    "name": "Canary Marmalade",
    "email": "canary.marmalade@example.com",
    "line1": "77 Canary Lane",
    "city": "Łódź",
    "postal_code": "CNR 1YY",
}


@pytest.fixture(scope="module")
def outside(product: Product) -> Iterator[OutsideView]:
    with closing(OutsideView(product.urls)) as outside:
        yield outside


@pytest.fixture(scope="module")
def sku(outside: OutsideView) -> str:
    return outside.new_sku(on_hand=10, price_minor=12900)


@pytest.fixture(scope="module")
def answer(outside: OutsideView, sku: str) -> HttpResponse:
    """The 202 of an order of two, whose every personal word is a canary; it has ended."""
    order = example_order(
        order_id=new_id(),
        customer={"id": "cust-canary", "name": CANARIES["name"], "email": CANARIES["email"]},
        items=[{"sku": sku, "quantity": 2}],
        shipping_address={
            "name": CANARIES["name"],
            "line1": CANARIES["line1"],
            "city": CANARIES["city"],
            "postal_code": CANARIES["postal_code"],
            "country": "PL",
        },
    )
    answer = outside.post("/api/orders", order)
    assert answer.status == 202, answer.body
    outside.ended(order["order_id"])
    return answer


@pytest.fixture(scope="module")
def order_id(answer: HttpResponse) -> str:
    return str(answer.json()["id"])


def test_the_202_carries_the_durable_urls_and_the_orders_own(
    answer: HttpResponse, outside: OutsideView, order_id: str
) -> None:
    body = answer.json()
    assert {
        "id",
        "statusQueryGetUri",
        "sendEventPostUri",
        "terminatePostUri",
        "purgeHistoryDeleteUri",
        "orderUrl",
    } <= set(body)
    assert answer.headers["Location"] == body["statusQueryGetUri"]
    assert int(answer.headers["Retry-After"]) >= 1
    assert body["orderUrl"] == f"{outside.urls['host']}/api/orders/{order_id}"
    assert fetch(body["orderUrl"]).json()["status"] == "completed"


def test_the_status_url_ends_completed_with_the_customers_view_as_output(answer: HttpResponse, order_id: str) -> None:
    status = fetch(answer.json()["statusQueryGetUri"])
    assert status.status == 200
    assert status.json()["runtimeStatus"] == "Completed"
    expected = {
        "order_id": order_id,
        "status": "completed",
        "total": {"amount_minor": 25800, "currency": "gbp"},
        "steps": [{"name": name, "status": "done"} for name in STEPS],
        "failure": None,
        "compensations": [],
    }
    assert status.json()["output"] == expected
    assert status.json()["customStatus"] == expected


def test_the_customers_view_is_the_output_and_holds_no_durable_url(outside: OutsideView, order_id: str) -> None:
    view, output = outside.view(order_id), json.loads(outside.tables.instance(order_id)["Output"])
    assert view.items() >= output.items()
    assert view.keys() - output.keys() == {"accepted_at", "ended_at", "lines", "payment", "tracking_number"}
    assert "http" not in json.dumps(view)


def test_the_units_left_the_shelf(outside: OutsideView, sku: str, order_id: str) -> None:
    assert outside.stock(sku) == (8, 0)
    shelf = outside.get(f"/api/inventory/{sku}").json()
    assert shelf == {
        "sku": sku,
        "on_hand": 8,
        "reserved": 0,
        "available": 8,
        "price_minor": 12900,
        "currency": "gbp",
    }


def test_the_ledger_shows_one_payment_of_the_catalogues_price(outside: OutsideView, order_id: str) -> None:
    paid = [entry for entry in outside.ledger(order_id) if entry["event"] == "payment_intent.succeeded"]
    assert [(entry["amount_minor"], entry["currency"]) for entry in paid] == [(25800, "gbp")]
    assert [entry for entry in outside.ledger(order_id) if entry["event"].startswith("refund")] == []


@pytest.mark.parametrize(
    ("price", "currency", "total", "written"),
    [
        (2505, "kwd", 5010, ("2.505 KWD", "5.010 KWD")),
        (50_000, "isk", 100_000, ("500 ISK", "1000 ISK")),
        (5_000_000_000, "idr", 10_000_000_000, ("50000000.00 IDR", "100000000.00 IDR")),
    ],
)
def test_what_is_charged_is_what_the_mail_says_in_any_currency(
    outside: OutsideView, price: int, currency: str, total: int, written: tuple[str, str]
) -> None:
    sku = outside.new_sku(price_minor=price, currency=currency)
    order_id = outside.order(items=[{"sku": sku, "quantity": 2}])
    assert outside.ended(order_id)["total"] == {"amount_minor": total, "currency": currency}
    (paid,) = [entry for entry in outside.ledger(order_id) if entry["event"] == "payment_intent.succeeded"]
    assert (paid["amount_minor"], paid["currency"]) == (total, currency)
    (mail,) = [message for message in outside.messages(order_id) if message["kind"] == "email"]
    assert f"2 x {sku} at {written[0]}" in mail["text"]
    assert f"Total: {written[1]}" in mail["text"]


def decoded(pdf: bytes) -> tuple[set[str], str, tuple[float, float]]:
    """The texts of the symbols on the label, its printed text, and its size in inches."""
    document = pypdfium2.PdfDocument(io.BytesIO(pdf))
    page = document[0]
    image = page.render(scale=3).to_pil()
    text = page.get_textpage().get_text_bounded()
    size = (page.get_width() / 72, page.get_height() / 72)
    return {symbol.text for symbol in zxingcpp.read_barcodes(image)}, text, size


def test_the_label_is_4_by_6_inches_and_its_symbols_decode_to_the_tracking_number(
    outside: OutsideView, order_id: str
) -> None:
    symbols, text, size = decoded(outside.label_pdf(order_id))
    (tracking_number,) = symbols
    assert len(tracking_number) == 14
    assert tracking_number in text
    assert CANARIES["city"] in text
    assert size == (4, 6)
    assert outside.labels_of(order_id) == 1
    assert outside.label(order_id) == "issued"


def test_one_mail_and_one_push_arrived(outside: OutsideView, order_id: str) -> None:
    mail, push = sorted(outside.messages(order_id), key=lambda message: message["kind"])
    assert (mail["kind"], mail["to"]) == ("email", CANARIES["email"])
    assert order_id in mail["message_id"]
    assert "258.00 GBP" in mail["text"]
    assert (push["kind"], push["to"]) == ("push", "customer:cust-canary")
    assert mail["seq"] < push["seq"]


def test_the_instances_row_has_the_real_columns(outside: OutsideView, order_id: str) -> None:
    row = outside.tables.instance(order_id)
    assert row["Name"] == "order_saga"
    assert row["RuntimeStatus"] == "Completed"
    assert row["TaskHubName"] == outside.urls["task_hub"]
    assert {"Input", "Output", "CustomStatus", "CreatedTime", "LastUpdatedTime", "CompletedTime", "ExecutionId"} <= set(
        row
    )


def test_the_history_rows_hold_the_saga_in_order(outside: OutsideView, order_id: str) -> None:
    rows = outside.tables.history(order_id)
    assert [row["EventType"] for row in rows[:3]] == ["OrchestratorStarted", "ExecutionStarted", "TaskScheduled"]
    assert [row["EventType"] for row in rows[-2:]] == ["ExecutionCompleted", "OrchestratorCompleted"]
    assert outside.tables.scheduled(order_id) == [*STEPS, "close_order"]
    assert [int(row["RowKey"], 16) for row in rows] == list(range(len(rows)))


def test_no_table_but_orders_and_no_log_holds_a_word_of_the_customer(
    outside: OutsideView, product: Product, order_id: str
) -> None:
    secrets = [*CANARIES.values(), "pm_card_visa", "sk_test_sandbox", "sandbox-push-key"]
    for table in set(outside.tables.names()) - {"orders"}:
        text = json.dumps([row for row in outside.tables.rows(table) if order_id in str(row)], default=str)
        assert [secret for secret in secrets if secret in text] == [], table
    for log in (product.data / "logs").glob("*.log"):
        text = log.read_text(errors="replace") if log.name.startswith("devhost") else ""
        assert [secret for secret in secrets if secret in text] == [], log.name


def test_the_order_table_keeps_the_audit_trail(outside: OutsideView, order_id: str) -> None:
    rows: list[dict[str, Any]] = [row for row in outside.tables.rows("orders") if row["PartitionKey"] == order_id]
    events = [row["Event"] for row in rows if row["RowKey"].startswith("audit:")]
    assert events == [
        "accepted",
        "running",
        "goods_reserved",
        "payment_intent_opened",
        "payment_charged",
        "label_issued",
        "confirmation_claimed",
        "confirmation_sent",
        "closed",
    ]
    assert statuses(outside.view(order_id)) == dict.fromkeys(STEPS, "done")
    assert compensations(outside.view(order_id)) == []
