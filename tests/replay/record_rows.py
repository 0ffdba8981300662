"""Stores the rows that an order leaves in each stage today: `python -m tests.replay.record_rows`.

Run it when the layout of rows has changed, with the next number in `LAYOUT`. It only ever adds files: yesterday's stay,
because orders of that layout are in store. A file carries the digest of its content in its name, so that a test sees an
edit. Layout 1 is the one that had an order's index entry in the partition of its day from the start. In an entry of
layout 2 the columns of an earlier state stay.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from models import order_record as rules
from models.money import Total
from models.order_parts import Line
from models.order_record import OrderRecord
from models.order_request import Decision, Evidence
from models.view import CompensationView, fresh_view
from services.tables import order_rows, table_orders
from services.tables.order_index import OrderIndex
from services.tables.table_orders import TableOrders
from tests.support.pure_world import PureTable
from tests.support.shop_in_memory import Direct
from tests.unit.orders import request

FOLDER = Path(__file__).parent / "records"
LAYOUT = 3
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
LINES = (Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=12900),)
TOTAL = Total(amount_minor=25800, currency="gbp")
FAILURE = {"step": "send_confirmation", "reason": "recipient_rejected"}


class DrivenOrder:
    """One order, `order-1`, driven to a stage. Each method returns its record."""

    def __init__(self) -> None:
        tables: dict[str, Any] = {name: PureTable(name, Direct()) for name in ("orders", "orderindex")}
        self.rows = {name: table.rows for name, table in tables.items()}
        self.orders = TableOrders(tables["orders"], OrderIndex(tables["orderindex"]))

    def accepted(self) -> OrderRecord:
        return self.orders.accept("order-1", request()).record

    def running(self) -> OrderRecord:
        return self.orders.change(self.accepted(), rules.start, LINES, TOTAL, None)

    def waiting(self) -> OrderRecord:
        return self.orders.change(self.accepted(), rules.start, LINES, TOTAL, NOW + timedelta(days=3650))

    def approved(self) -> OrderRecord:
        yes = Decision(approved=True, approver="grace", comment="fine")
        return self.orders.change(self.waiting(), rules.decide_approval, yes, NOW)

    def healed(self) -> OrderRecord:
        return self.orders.change(self.running(), rules.note_healed, 1)

    def paid(self) -> OrderRecord:
        order = self.orders.change(self.running(), rules.note_goods, "reserved")
        order = self.orders.change(order, rules.note_payment_intent, "pi_1")
        return self.orders.change(order, rules.note_charged)

    def shipped(self) -> OrderRecord:
        return self.orders.change(self.paid(), rules.note_shipment, "TRACKING")

    def confirming(self) -> OrderRecord:
        return self.orders.change(self.shipped(), rules.claim_confirmation)

    def compensating(self) -> OrderRecord:
        return self.orders.change(self.shipped(), rules.begin_undo, FAILURE)

    def parked(self) -> OrderRecord:
        return self._closed(self.compensating(), "needs_attention", "refund_payment", attention=1)

    def resolved(self) -> OrderRecord:
        proof = Evidence(by="ada", reason="the card is closed", reference="SEPA-4711")
        return self.orders.change(self.parked(), rules.resolve, "refund_payment", proof)

    def completed(self) -> OrderRecord:
        return self._closed(self.orders.change(self.confirming(), rules.note_confirmation_sent), "completed")

    def rejected(self) -> OrderRecord:
        return self._closed(self.accepted(), "rejected")

    def compensated(self) -> OrderRecord:
        order = self.orders.change(self.compensating(), rules.note_refund, "re_1")
        return self.orders.change(self._closed(order, "compensated"), rules.claim_cancellation_notice)

    def cancelled(self) -> OrderRecord:
        order = self.orders.change(self.paid(), rules.request_cancel)
        order = self.orders.change(order, rules.begin_undo, None)
        return self._closed(self.orders.change(order, rules.note_refund, "re_1"), "compensated")

    def erased(self) -> OrderRecord:
        return self.orders.change(self.completed(), rules.erase, b"thrown away")

    def _closed(self, order: OrderRecord, status: Any, *parked: str, attention: int = 0) -> OrderRecord:
        view = fresh_view("order-1", status)
        view.total = TOTAL
        view.compensations = [CompensationView(name=name, status="failed") for name in parked]
        return self.orders.change(order, rules.close, view.as_json(), attention)


STAGES = tuple(
    "accepted running waiting approved healed paid shipped confirming compensating parked resolved completed rejected "
    "compensated cancelled erased".split()
)


def rows_in(stage: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of each table."""
    shop = DrivenOrder()
    with patch.object(table_orders, "_now", lambda: NOW), patch.object(order_rows, "datetime") as clock:
        clock.now.return_value = NOW
        getattr(shop, stage)()
    return {name: list(rows.values()) for name, rows in shop.rows.items()}


def text_of(rows: dict[str, list[dict[str, Any]]]) -> str:
    plain = {
        table: [{name: _plain(value) for name, value in row.items()} for row in those] for table, those in rows.items()
    }
    return json.dumps(plain, indent=1, sort_keys=True) + "\n"


def _plain(value: Any) -> Any:
    return {"$datetime": value.isoformat()} if isinstance(value, datetime) else value


def read(text: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of a file, with their times as times."""

    def as_stored(value: dict[str, Any]) -> Any:
        return datetime.fromisoformat(value["$datetime"]) if set(value) == {"$datetime"} else value

    rows: dict[str, list[dict[str, Any]]] = json.loads(text, object_hook=as_stored)
    return rows


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def main() -> None:
    for stage in STAGES:
        text = text_of(rows_in(stage))
        if not list(FOLDER.glob(f"{LAYOUT}.{stage}.*.json")):
            (FOLDER / f"{LAYOUT}.{stage}.{digest_of(text)}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
