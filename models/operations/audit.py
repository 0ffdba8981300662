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
    """What the payment provider told of an order by itself: `kind` is its event's type."""

    at: datetime
    event_id: str
    kind: str
