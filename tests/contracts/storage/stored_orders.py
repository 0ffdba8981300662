"""Orders in real tables, brought into a state by the transitions of the record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from models.money import Total
from models.operations.order_list import IndexEntry
from models.order_parts import Approval, Line
from models.order_record import (
    OrderRecord,
    start,
)
from models.states import OrderStatus
from models.view import CompensationView, fresh_view
from services.tables.table_orders import TableOrders
from tests.unit.orders import request

LINES = (Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=12900),)
TOTAL = Total(amount_minor=25800, currency="gbp")


def ended(order_id: str, status: OrderStatus) -> dict[str, Any]:
    return fresh_view(order_id, status).as_json()


def parked(order_id: str) -> dict[str, Any]:
    view = fresh_view(order_id, "needs_attention")
    view.compensations = [
        CompensationView(name="refund_payment", status="failed"),
        CompensationView(name="release_inventory", status="done"),
    ]
    return view.as_json()


def placed(orders: TableOrders, order_id: str) -> OrderRecord:
    return orders.accept(order_id, request()).record


def running(orders: TableOrders, order_id: str) -> OrderRecord:
    return orders.change(placed(orders, order_id), start, LINES, TOTAL, None)


def waiting(orders: TableOrders, order_id: str, seconds: float = 60) -> OrderRecord:
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    return orders.change(placed(orders, order_id), start, LINES, TOTAL, deadline)


def listed(orders: TableOrders, order_id: str) -> IndexEntry:
    """The order's one entry in the index."""
    today = datetime.now(UTC).date()
    page = orders._index.page(None, today, today - timedelta(days=1), 1000, None)
    (entry,) = [entry for entry in page.entries if entry.order_id == order_id]
    return entry


def audits(orders: TableOrders, order_id: str) -> list[str]:
    rows = orders._table.query_entities(f"PartitionKey eq '{order_id}' and RowKey ge 'audit:' and RowKey lt 'audit;'")
    return [row["Event"] for row in rows]


def approval_of(orders: TableOrders, order_id: str) -> Approval:
    approval = orders.read(order_id).approval
    assert approval is not None
    return approval
