"""Loud test data: a body that the public edge takes, and records made of it."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from models.money import Total
from models.order_parts import Approval, Line
from models.order_record import OrderRecord
from models.order_request import OrderRequest

BODY: dict[str, Any] = {
    "customer": {"id": "cust-42", "name": "Ada", "email": "ada@example.com"},
    "items": [{"sku": "CRUNCHY-ARMCHAIR", "quantity": 2}],
    "payment_method": "pm_card_visa",
    "shipping_address": {
        "name": "Ada Lovelace",
        "line1": "12 St James Sq",
        "city": "London",
        "postal_code": "SW1Y 4LB",
        "country": "GB",
    },
}


def body(**changes: Any) -> dict[str, Any]:
    """A fresh copy of a good body. `customer__name="…"` changes a nested field."""
    changed = copy.deepcopy(BODY)
    for path, value in changes.items():
        *parents, field = path.split("__")
        place = changed
        for parent in parents:
            place = place[parent]
        place[field] = value
    return changed


def request(**changes: Any) -> OrderRequest:
    return OrderRequest.model_validate_json(json.dumps(body(**changes)))


def running_order(order_id: str = "order-1", **changes: Any) -> OrderRecord:
    """An order as validation leaves it."""
    sent = request()
    facts: dict[str, Any] = {
        "order_id": order_id,
        "state": "running",
        "body_hash": sent.body_hash(),
        "accepted_at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "sent": sent.model_dump_json(exclude_none=True),
        "lines": (Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=12900),),
        "total": Total(amount_minor=25800, currency="gbp"),
    }
    return OrderRecord(**{**facts, **changes})


APPROVAL = Approval(deadline=datetime(2026, 1, 4, 12, tzinfo=UTC), total=Total(amount_minor=25800, currency="gbp"))
FAILURE = {"step": "send_confirmation", "reason": "recipient_rejected"}
# The facts of an order in each stage of its life, beside those of `running_order`.
STAGES: dict[str, dict[str, Any]] = {
    "accepted": {"state": "accepted", "lines": (), "total": None},
    "awaiting_approval": {"state": "awaiting_approval", "approval": APPROVAL},
    "running": {},
    "to be cancelled": {"cancel_requested": True},
    "being confirmed": {"confirmation": "sending"},
    "compensating": {"state": "compensating", "undoing": {"failure": FAILURE}},
    "needs_attention": {
        "state": "needs_attention",
        "undoing": {"failure": FAILURE},
        "attention": 1,
        "outcome": {"status": "needs_attention", "compensations": [{"name": "refund_payment", "status": "failed"}]},
    },
    **{
        state: {"state": state, "outcome": {"status": state}}
        for state in ("completed", "rejected", "compensated", "cancelled")
    },
}


def order_in(stage: str, **changes: Any) -> OrderRecord:
    """A record of this stage."""
    return running_order(**{**STAGES[stage], **changes})
