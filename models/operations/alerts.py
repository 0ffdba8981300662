"""Being told: an alert is due when an order is parked, and when an approval waits. Pure.

An alert has a key of its own for each time that an order comes to wait. The record says which key was claimed and which
was sent. The first who claims it sends it: not the activity and the sweep both. What was claimed and not sent,
because a process died or nobody answered, is sent by the sweep. So an alert goes out at least once, under one key.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from models.order_record import Change, OrderRecord
from models.states import CANCEL_SHIPMENT, RELEASE_INVENTORY


class Alert(NamedTuple):
    """`key` is the same for each copy of one alert. `body` holds ids and amounts, and nothing of the customer."""

    key: str
    order_id: str
    body: dict[str, Any]


def alert_key(record: OrderRecord) -> str | None:
    """The alert of what the order waits for now. None: it waits for nobody."""
    if record.state == "needs_attention":
        return f"{record.order_id}:attention:{record.attention}"
    if record.state == "awaiting_approval" and record.approval is not None and record.approval.verdict is None:
        return f"{record.order_id}:approval"
    return None


def is_due(record: OrderRecord) -> bool:
    key = alert_key(record)
    return key is not None and record.alert_sent != key


def alert_of(record: OrderRecord, origin: str) -> Alert:
    """What is told of an order whose alert is due. `origin`: where the dashboard is; empty where nobody knows."""
    key = alert_key(record)
    assert key is not None, f"order {record.order_id} waits for nobody"
    waits = record.parked_compensations
    held = record.charged_minor - record.refunded_minor
    currency = record.total.currency if record.total else None
    approval = record.approval if record.state == "awaiting_approval" else None
    body = {
        "id": key,
        "type": f"order.{record.state}",
        "order_id": record.order_id,
        "waits_for": ["approval"] if approval else list(waits),
        "deadline": approval.deadline.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if approval else None,
        "total": record.total.model_dump() if record.total else None,
        "held": {
            "money": {"amount_minor": held, "currency": currency} if held > 0 else None,
            "goods": RELEASE_INVENTORY in waits,
            "label": CANCEL_SHIPMENT in waits,
        },
        "url": f"{origin}/api/dashboard#/order/{record.order_id}" if origin else None,
    }
    return Alert(key, record.order_id, body)


def claim(record: OrderRecord, key: str) -> Change | None:
    """One caller may send this alert; another that finds it claimed leaves it."""
    if record.alert_claimed == key or alert_key(record) != key:
        return None
    return Change("alert_claimed", {"alert_claimed": key})


def note_sent(record: OrderRecord, key: str) -> Change | None:
    return None if record.alert_sent == key else Change("alert_sent", {"alert_claimed": key, "alert_sent": key})


def is_overdue(record: OrderRecord, before: datetime) -> bool:
    """Due, and nobody is about to send it any more: nothing was written to the order since before then."""
    return is_due(record) and record.changed_at is not None and record.changed_at < before
