"""`POST /api/webhooks/stripe`: events from Stripe.

The route is anonymous; an event is trusted by its signature only. An event decides nothing. It is recorded by its id,
beside the order that it is about. Then the saga is woken and asks Stripe. If the order has ended, a payment that should
not exist is refunded. So duplicates and events out of order are harmless.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Protocol

import azure.functions as func

from api.problems import Problem, json_response
from api.sagas import wake_saga
from models.errors import Refused
from models.order_record import OrderRecord
from models.order_request import LOOKUP_PATTERN

MAX_EVENT_BYTES = 256 * 1024
# The texts that storage accepts as a key, and as a value.
EVENT_ID, EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]{1,255}"), re.compile("[^\x00-\x1f\ud800-\udfff]{1,255}")


class Orders(Protocol):
    def find(self, order_id: str) -> OrderRecord | None: ...

    def note_webhook(self, order_id: str, event_id: str, kind: str) -> None:
        """Record the event beside the order. Safe to repeat."""


class Events(Protocol):
    def record(self, event_id: str, kind: str, order_id: str | None) -> None:
        """Record, by its id, an event about no order of ours. Safe to repeat."""


class Signatures(Protocol):
    def check(self, body: bytes, signature: str) -> None:
        """Raises Refused when this body was not signed with our secret within the last five minutes."""


class Reconciler(Protocol):
    def settle_payment(self, order: OrderRecord) -> bool:
        """Give back the money of an order that ended without it. True when something was given back."""


async def receive(
    req: func.HttpRequest,
    client: Any,
    *,
    orders: Orders,
    events: Events,
    signatures: Signatures,
    reconciler: Reconciler,
) -> func.HttpResponse:
    """200 also for unknown orders and repeated events; 400 for a wrong signature; 413 for a body that is too large."""
    body = req.get_body()
    if len(body) > MAX_EVENT_BYTES:
        raise Problem(413, f"An event has at most {MAX_EVENT_BYTES} bytes.")
    try:
        signatures.check(body, req.headers.get("Stripe-Signature", ""))
    except Refused:
        raise Problem(400, "The signature is not one of ours, or is older than five minutes.") from None
    order = await asyncio.to_thread(_recorded, orders, events, *_parsed(body))
    if order is not None:
        await _act_on(order, client, reconciler)
    return json_response({"received": True})


def _recorded(orders: Orders, events: Events, event_id: str, kind: str, order_id: str | None) -> OrderRecord | None:
    """The order that the event is about, once the event is recorded; None when it is about none of ours."""
    order = orders.find(order_id) if order_id else None
    if order is not None:
        orders.note_webhook(order.order_id, event_id, kind)
    else:
        events.record(event_id, kind, order_id)
    return order


async def _act_on(order: OrderRecord, client: Any, reconciler: Reconciler) -> None:
    if order.is_final:
        await asyncio.to_thread(reconciler.settle_payment, order)
    elif order.payment_wake:
        await wake_saga(client, order.order_id, order.payment_wake)


def _parsed(body: bytes) -> tuple[str, str, str | None]:
    """(event id, type, order id). Raises Problem 400 for a signed body that is no event."""
    try:
        event = json.loads(body)
        order_id = (event["data"]["object"].get("metadata") or {}).get("order_id")
        event_id, kind = str(event["id"]), str(event["type"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Problem(400, "The body is no event of Stripe's.") from None
    if not (EVENT_ID.fullmatch(event_id) and EVENT_TYPE.fullmatch(kind)):
        raise Problem(400, "The body is no event of Stripe's.")
    return event_id, kind, order_id if _is_order_id(order_id) else None


def _is_order_id(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(LOOKUP_PATTERN, value) is not None
