"""The audit trail of an order, as it is read back."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple


class AuditEvent(NamedTuple):
    """One change of an order's record. `facts`: what it wrote, and an operator's own words; nothing of the customer."""

    number: int
    at: datetime
    event: str
    facts: dict[str, Any]


class Trail(NamedTuple):
    """Oldest first. `continuation` is the number after which the next page begins; None at the end."""

    events: tuple[AuditEvent, ...]
    continuation: int | None


class Webhook(NamedTuple):
    """An event that the payment provider sent about an order. `kind` is the event's type."""

    at: datetime
    event_id: str
    kind: str
