"""The rules of alerts: an alert is due when an order is parked, and when an approval waits. Pure.

An alert has a key of its own for each time that an order starts to wait. The record holds the key that was claimed and
the key that was sent. The first caller that claims an alert sends it, so the activity and the sweep do not both send
it. If it was claimed and not sent, because the process died or the receiver did not answer, the sweep sends it. So an
alert is sent at least once, under one key.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from models.order_record import Change, OrderRecord
from models.states import HELD, MONEY
from models.view import moment


class Alert(NamedTuple):
    """`key` is the same for each copy of one alert. `body` holds ids and amounts, and nothing of the customer."""

    key: str
    order_id: str
    body: dict[str, Any]


def alert_key(record: OrderRecord) -> str | None:
    """The key of the alert for the order's current wait. None: the order waits for no person."""
    if record.state == "needs_attention":
        return f"{record.order_id}:attention:{record.attention}"
    if record.state == "awaiting_approval" and record.approval is not None and record.approval.verdict is None:
        return f"{record.order_id}:approval"
    return None


def is_due(record: OrderRecord) -> bool:
    key = alert_key(record)
    return key is not None and record.alert_sent != key


def alert_of(record: OrderRecord, origin: str) -> Alert:
    """The alert of an order for which one is due. `origin`: the address of the app, empty if it is unknown."""
    key = alert_key(record)
    assert key is not None, f"order {record.order_id} waits for nobody"
    waits = record.parked_compensations
    currency = record.total.currency if record.total else None
    approval = record.approval if record.state == "awaiting_approval" else None
    body = {
        "id": key,
        "type": f"order.{record.state}",
        "order_id": record.order_id,
        "waits_for": ["approval"] if approval else list(waits),
        "deadline": moment(approval.deadline) if approval else None,
        "total": record.total.model_dump() if record.total else None,
        "held": {
            MONEY: {"amount_minor": record.held_minor, "currency": currency} if record.held_minor > 0 else None,
            **{part: undo in waits for undo, part in reversed(HELD.items()) if part != MONEY},
        },
        "url": f"{origin}/api/dashboard#/order/{record.order_id}" if origin else None,
    }
    return Alert(key, record.order_id, body)


def claim(record: OrderRecord, key: str) -> Change | None:
    """Claim this alert, for one caller. None: it is claimed already, or the order no longer waits."""
    if record.alert_claimed == key or alert_key(record) != key:
        return None
    return Change("alert_claimed", {"alert_claimed": key})


def note_sent(record: OrderRecord, key: str) -> Change | None:
    return None if record.alert_sent == key else Change("alert_sent", {"alert_claimed": key, "alert_sent": key})


def is_overdue(record: OrderRecord, before: datetime) -> bool:
    """Whether an alert is due that its first sender did not send: the record has not changed since `before`."""
    return is_due(record) and record.changed_at is not None and record.changed_at < before
