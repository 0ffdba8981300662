"""The floor of the real order: only its calls, in its order, through its own clients.

It has no saga, history, host, rules or retries, so it takes the time of these calls alone. `ITS_OWN` has the calls of a
completed order of one line, which a test checks. `FEWEST` has two writes and a read less and one call of Stripe more;
no saga exists that needs only these calls.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from azure.core import MatchConditions
from azure.data.tables import UpdateMode

from activities.notification import confirmation_mail
from devtools.bench.real_orders.loads import HOT
from devtools.example_order import example_order
from models.money import Total
from models.order_parts import Line
from models.order_record import Change, OrderRecord
from models.order_request import OrderRequest
from models.view import fresh_view
from services import storage
from services.blob_labels import PDF, tracking_number
from services.label_pdf import issued_label
from services.notification_hub import NotificationHub
from services.smtp_mail import SmtpMail
from services.stripe_payments import StripePayments
from services.tables.order_rows import audit_row, order_row, record_of

LINE = Line(sku=HOT, quantity=1, price_minor=1000)
TOTAL = Total(amount_minor=1000, currency="gbp")
REQUEST = OrderRequest.model_validate(example_order(items=[{"sku": HOT, "quantity": 1}]))
INDEX_KEY = "8" * 13
# The audit rows that each write of the record carries, for an order that completes.
WRITES: dict[str, tuple[Change, ...]] = {
    "accepted": (
        Change(
            "accepted",
            {
                "state": "accepted",
                "body_hash": REQUEST.body_hash(),
                "sent": REQUEST.model_dump_json(exclude={"order_id"}, exclude_none=True),
            },
        ),
    ),
    "running": (Change("running", {"state": "running", "lines": (LINE,), "total": TOTAL}),),
    "opened": (
        Change("goods_reserved", {"goods": "reserved"}),
        Change("payment_intent_opened", {"payment_intent_id": "pi_" + "3" * 24}),
    ),
    "charged": (Change("payment_charged", {"charged_minor": 1000}),),
    "claimed": (
        Change("label_issued", {"tracking_number": "7" * 14}),
        Change("confirmation_claimed", {"confirmation": "sending"}),
    ),
    "completed": (
        Change("confirmation_sent", {"confirmation": "sent"}),
        Change("completed", {"state": "completed", "outcome": fresh_view("0" * 16, "completed").as_json()}),
    ),
}


class Placed:
    """One order of the floor: its id, the state of its record, and its payment intent."""

    def __init__(self, template: OrderRecord) -> None:
        self.order_id = secrets.token_hex(8)
        # The copy keeps the parsed request.
        self.record = template.model_copy(update={"order_id": self.order_id})
        self.etag, self.audits, self.intent_id = "", 0, ""


class RealFloor:
    """Safe to share between threads. `environment`: the app's settings; `calls`: `ITS_OWN` or `FEWEST`."""

    def __init__(self, environment: Mapping[str, str], calls: tuple[Call, ...]) -> None:
        account = storage.connect(environment)
        self.orders, self.index, self.stock = (
            storage.open_table(account, name) for name in ("orders", "orderindex", "stock")
        )
        self.labels = account.blobs.get_container_client("labels")
        self.payments = StripePayments(environment["STRIPE_API_KEY"], environment["STRIPE_API_BASE"])
        self.mailer = SmtpMail(environment["SMTP_URL"], environment["MAIL_FROM"])
        self.push = NotificationHub(environment["PUSH_CONNECTION"])
        self._calls = calls
        changes = (*WRITES["accepted"], *WRITES["running"], *WRITES["claimed"])
        facts = {name: value for change in changes for name, value in change.facts.items()}
        accepted_at = {"AcceptedAt": datetime.now(UTC)}
        self._template = record_of({**order_row("0", facts, 0), **accepted_at, "etag": ""})
        self.address = self._template.contents.shipping_address

    def prepare(self) -> None:
        """Create the article and the container of the labels before the first order."""
        if not self.labels.exists():
            self.labels.create_container()
        article = {"OnHand": 100_000, "Reserved": 0, "PriceMinor": 1000, "Currency": "gbp"}
        self.stock.upsert_entity({"PartitionKey": "stock", "RowKey": f"sku:{HOT}", **article})

    def order(self) -> None:
        placed = Placed(self._template)
        for call in self._calls:
            call(self, placed)


Call = Callable[[RealFloor, Placed], object]


def open_index(floor: RealFloor, placed: Placed) -> None:
    floor.index.create_entity(_entry(placed, "open", "accepted"))


def index_of_the_day(floor: RealFloor, placed: Placed) -> None:
    floor.index.upsert_entity(_entry(placed, "2026-01-01", "completed"))


def close_index(floor: RealFloor, placed: Placed) -> None:
    floor.index.delete_entity("open", f"{INDEX_KEY}:{placed.order_id}")


def insert(floor: RealFloor, placed: Placed) -> None:
    (change,) = WRITES["accepted"]
    rows = (order_row(placed.order_id, change.facts, 1), audit_row(placed.order_id, 1, change))
    written, _ = floor.orders.submit_transaction([("create", row) for row in rows])
    placed.etag, placed.audits = written["etag"], 1


def write(name: str) -> Call:
    def write_record(floor: RealFloor, placed: Placed) -> None:
        changes = WRITES[name]
        facts = {each: value for change in changes for each, value in change.facts.items()}
        audits = [audit_row(placed.order_id, placed.audits + at, change) for at, change in enumerate(changes, 1)]
        placed.audits += len(changes)
        guard = {"mode": UpdateMode.MERGE, "etag": placed.etag, "match_condition": MatchConditions.IfNotModified}
        row = order_row(placed.order_id, facts, placed.audits)
        written = floor.orders.submit_transaction([("update", row, guard), *(("create", each) for each in audits)])
        placed.etag = written[0]["etag"]

    return write_record


def read_record(floor: RealFloor, placed: Placed) -> None:
    floor.orders.get_entity(placed.order_id, "order")


def read_stock(floor: RealFloor, placed: Placed) -> None:
    floor.stock.get_entity("stock", f"sku:{HOT}")


def reserve(floor: RealFloor, placed: Placed) -> None:
    lines = json.dumps([{"sku": HOT, "quantity": 1}])
    floor.stock.submit_transaction([_count({"Reserved": 1}), ("create", _reservation(placed, "reserved", Lines=lines))])


def sell(floor: RealFloor, placed: Placed) -> None:
    sold = ("update", _reservation(placed, "sold"), {"mode": UpdateMode.MERGE})
    floor.stock.submit_transaction([_count({"OnHand": 99_999, "Reserved": 0}), sold])


def check_method(floor: RealFloor, placed: Placed) -> None:
    floor.payments.check_method(placed.record.contents.payment_method)


def create_intent(floor: RealFloor, placed: Placed) -> None:
    placed.intent_id = floor.payments.open_intent(placed.record, f"{placed.order_id}:pay")


def confirm_intent(floor: RealFloor, placed: Placed) -> None:
    floor.payments.confirm(placed.order_id, placed.intent_id)


def retrieve_intent(floor: RealFloor, placed: Placed) -> None:
    floor.payments.settle(placed.order_id, placed.intent_id)


def store_label(floor: RealFloor, placed: Placed) -> None:
    number = tracking_number(placed.order_id)
    page = issued_label(floor.address, placed.order_id, number)
    metadata = {"order_id": placed.order_id, "tracking_number": number, "status": "issued"}
    floor.labels.upload_blob(f"{placed.order_id}.pdf", page, content_settings=PDF, metadata=metadata, overwrite=False)


def send_mail(floor: RealFloor, placed: Placed) -> None:
    floor.mailer.send(confirmation_mail(placed.record, None))


def send_push(floor: RealFloor, placed: Placed) -> None:
    customer = placed.record.contents.customer.id
    floor.push.send(f"customer:{customer}", placed.order_id, f"Your order {placed.order_id} is on its way.")


def _entry(placed: Placed, partition: str, status: str) -> dict[str, Any]:
    row = {"PartitionKey": partition, "RowKey": f"{INDEX_KEY}:{placed.order_id}", "OrderId": placed.order_id}
    return {**row, "Status": status, "Skus": HOT, "AcceptedAt": datetime.now(UTC)}


def _count(columns: dict[str, int]) -> tuple[Any, ...]:
    """Count without an ETag: the floor decides nothing, so it never retries."""
    return ("update", {"PartitionKey": "stock", "RowKey": f"sku:{HOT}", **columns}, {"mode": UpdateMode.MERGE})


def _reservation(placed: Placed, state: str, **columns: str) -> dict[str, Any]:
    keys = {"PartitionKey": "stock", "RowKey": f"order:{placed.order_id}"}
    return {**keys, "State": state, "ChangedAt": datetime.now(UTC), **columns}


ITS_OWN: tuple[Call, ...] = (
    *(open_index, insert),
    *(read_stock, check_method, write("running")),
    reserve,
    *(create_intent, write("opened"), confirm_intent, write("charged")),
    store_label,
    *(write("claimed"), send_mail),
    *(read_record, sell, write("completed"), send_push, index_of_the_day, close_index),
)
FEWEST: tuple[Call, ...] = (
    *(open_index, insert),
    *(read_stock, check_method),
    *(reserve, write("running")),
    *(create_intent, write("opened"), confirm_intent, retrieve_intent),
    store_label,
    *(write("claimed"), send_mail),
    *(sell, write("completed"), send_push, index_of_the_day),
)
