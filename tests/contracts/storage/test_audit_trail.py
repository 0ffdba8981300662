"""The audit trail in real tables: every change, who asked for it, in pages, and no personal data."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from models.order_record import (
    begin_undo,
    close,
    decide_approval,
    note_goods,
    resolve,
    start,
)
from models.order_request import Decision
from services.tables.table_orders import TableOrders
from tests.contracts.storage.stored_orders import LINES, TOTAL, ended, parked, placed
from tests.contracts.storage.test_stored_decisions import PROOF
from tests.unit.orders import request


def test_the_audit_trail_holds_no_personal_data(orders: TableOrders, order_id: str) -> None:
    order = orders.accept(order_id, request(customer__name="Canary Name")).record
    orders.change(orders.change(order, start, LINES, TOTAL, None), close, ended(order_id, "completed"), 0)
    rows = orders._table.query_entities(f"PartitionKey eq '{order_id}' and RowKey ge 'audit:'")
    trail = " ".join(str(dict(row)) for row in rows if row["RowKey"] != "order")
    for canary in ("Canary", "ada@example.com", "St James", "pm_card_visa"):
        assert canary not in trail


def test_the_trail_holds_each_change_and_who_asked_for_it(orders: TableOrders, order_id: str) -> None:
    order = placed(orders, order_id)
    deadline = datetime.now(UTC) + timedelta(hours=1)
    order = orders.change(order, start, LINES, TOTAL, deadline)
    order = orders.change(order, decide_approval, Decision(approved=True, approver="grace"), datetime.now(UTC))
    order = orders.change(order, begin_undo, {"step": "send_confirmation", "reason": "recipient_rejected"})
    order = orders.change(order, close, parked(order_id), 1)
    orders.change(order, resolve, "refund_payment", PROOF)
    trail = orders.trail(order_id, 0, 100)
    assert trail.continuation is None
    assert [event.number for event in trail.events] == [1, 2, 3, 4, 5, 6]
    facts = {event.event: event.facts for event in trail.events}
    assert facts["accepted"] == {}
    assert facts["awaiting_approval"]["total"] == {"amount_minor": 25800, "currency": "gbp"}
    assert facts["approved"]["approval"]["approver"] == "grace"
    assert facts["closed"]["outcome"]["status"] == "needs_attention"
    assert (
        facts["compensation_resolved"].items()
        >= {
            "compensation": "refund_payment",
            "by": "ada",
            "reason": "the card is closed",
            "reference": "SEPA-4711",
        }.items()
    )
    assert "Ada" not in str(trail) and "pm_card" not in str(trail)


def test_the_trail_is_read_in_pages(orders: TableOrders, order_id: str) -> None:
    order = placed(orders, order_id)
    order = orders.change(order, start, LINES, TOTAL, None)
    order = orders.change(order, note_goods, "reserved")
    pages = [orders.trail(order_id, after, 2) for after in (0, 2)]
    assert [[event.event for event in page.events] for page in pages] == [["accepted", "running"], ["goods_reserved"]]
    assert [page.continuation for page in pages] == [2, None]
    assert orders.trail(str(uuid.uuid4()), 0, 2) == ((), None)
