"""`StripeSignatures` checks the signature of a webhook. `TableEvents` records the events about no order of ours.

Stripe signs `<timestamp>.<raw body>`; its own package checks the signature. Events about no order of ours are stored by
their id in table `stripeevents`, with their type and the order that they name, and nothing else of their content. The
others are stored beside their orders (`services.tables.table_orders`).
"""

from __future__ import annotations

from datetime import UTC, datetime

import stripe
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableClient

from models.errors import Refused
from services.storage import storage_faults

TOLERANCE_S = 300


class StripeSignatures:
    """Without a secret every event is refused."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def check(self, body: bytes, signature: str) -> None:
        """Raises Refused when this body was not signed with our secret within the last five minutes."""
        if not self._secret or not signature.isascii():  # Stripe's package raises TypeError for other characters
            raise Refused("wrong_signature")
        try:
            text = body.decode("utf-8")
            stripe.WebhookSignature.verify_header(text, signature, self._secret, tolerance=TOLERANCE_S)
        except (UnicodeDecodeError, ValueError, stripe.SignatureVerificationError):
            raise Refused("wrong_signature") from None


class TableEvents:
    def __init__(self, table: TableClient) -> None:
        self._table = table

    def record(self, event_id: str, kind: str, order_id: str | None) -> None:
        """Record the event by its id. Safe to repeat. Raises Unavailable."""
        row = {"PartitionKey": event_id, "RowKey": "event", "Type": kind, "ReceivedAt": datetime.now(UTC)}
        if order_id is not None:
            row["OrderId"] = order_id
        with storage_faults(f"event {event_id}"):
            try:
                self._table.create_entity(row)
            except ResourceExistsError:
                """Stripe sends an event at least once."""
