"""What a shop and its operators ask of an order: cancel, approve, retry or resolve an undo, erase personal data.

Each is durable in the order's record before it is answered; then the saga is woken, and reads it there. So an answer
holds whatever happens to the wake-up: the sweep starts a saga that is gone, and an event that nobody waited for decides
nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import azure.functions as func

from edge.orders import Orders as Found
from edge.orders import found
from edge.problems import Problem, json_response, read_body
from edge.sagas import start_saga, wake_saga
from models.order import Decision, Evidence, OrderRecord, Reason
from models.results import Limits

COMPENSATIONS = frozenset({"release_inventory", "refund_payment", "cancel_shipment"})


class Orders(Found, Protocol):
    def request_cancel(self, order_id: str) -> OrderRecord:
        """Durable when it returns. Raises Conflict when the order can no longer be cancelled."""

    def decide_approval(self, order_id: str, decision: Decision) -> OrderRecord:
        """The one decision. Raises Conflict for a second or a late one."""

    def request_retry(self, order_id: str, compensation: str, reason: Reason) -> OrderRecord: ...

    def resolve(self, order_id: str, compensation: str, evidence: Evidence) -> OrderRecord: ...

    def erase(self, order_id: str) -> OrderRecord:
        """Raises Conflict while the order is not finished."""


class Labels(Protocol):
    def erase(self, order_id: str) -> None:
        """Take the address off the label."""


async def cancel(req: func.HttpRequest, client: Any, orders: Orders) -> func.HttpResponse:
    """202: the order ends `cancelled`. 409 with its state otherwise. Safe to repeat."""
    record = await found(req, orders)
    if record.state != "cancelled":
        record = await asyncio.to_thread(orders.request_cancel, record.order_id)
    if record.state == "awaiting_approval" and record.approval is not None:
        await wake_saga(client, record.order_id, record.approval.wake)
    return json_response({"order_id": record.order_id, "status": record.state, "cancel_requested": True}, 202)


async def approve(req: func.HttpRequest, client: Any, orders: Orders) -> func.HttpResponse:
    """202: the decision is recorded for this total. 409 for a second or a late one."""
    decision = read_body(req, Decision)
    record = await found(req, orders)
    record = await asyncio.to_thread(orders.decide_approval, record.order_id, decision)
    assert record.approval is not None, "a decision was recorded without an approval to decide"
    await wake_saga(client, record.order_id, record.approval.wake)
    body = {
        "order_id": record.order_id,
        "decision": record.approval.verdict,
        "total": record.approval.total.model_dump(),
    }
    return json_response(body, 202)


async def retry(req: func.HttpRequest, client: Any, orders: Orders, limits: Limits) -> func.HttpResponse:
    """202: the undo is tried again. 409 when it does not wait for an operator."""
    reason, compensation = read_body(req, Reason), _compensation(req)
    record = await found(req, orders)
    record = await asyncio.to_thread(orders.request_retry, record.order_id, compensation, reason)
    return await _go_on(client, record, compensation, limits)


async def resolve(req: func.HttpRequest, client: Any, orders: Orders, limits: Limits) -> func.HttpResponse:
    """202: the undo counts as done, on the evidence given. 409 when it does not wait for an operator."""
    evidence, compensation = read_body(req, Evidence), _compensation(req)
    record = await found(req, orders)
    record = await asyncio.to_thread(orders.resolve, record.order_id, compensation, evidence)
    return await _go_on(client, record, compensation, limits)


async def erase(req: func.HttpRequest, orders: Orders, labels: Labels) -> func.HttpResponse:
    """204: name, address, e-mail and payment method are gone; ids and amounts stay. 409 while it is not finished."""
    record = await found(req, orders)
    await asyncio.to_thread(orders.erase, record.order_id)
    await asyncio.to_thread(labels.erase, record.order_id)
    return func.HttpResponse(status_code=204)


async def _go_on(client: Any, record: OrderRecord, compensation: str, limits: Limits) -> func.HttpResponse:
    """Wake the parked saga; where it is gone (terminated, purged, of an older version), a new one goes on undoing."""
    if not await wake_saga(client, record.order_id, f"attention:{record.attention}"):
        await start_saga(client, record.order_id, limits)
    body = {"order_id": record.order_id, "compensation": compensation, "status": "compensating"}
    return json_response(body, 202)


def _compensation(req: func.HttpRequest) -> str:
    name: str = req.route_params["compensation"]
    if name not in COMPENSATIONS:
        raise Problem(404, f"There is no compensation of this name; there are {', '.join(sorted(COMPENSATIONS))}.")
    return name
