"""`POST /api/orders` and `GET /api/orders/{id}`.

The order's own record decides duplicates, not the instance id: a finished instance can be started again in Durable
Functions, and the Python client would not say so.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from typing import Any, Protocol

import azure.functions as func

from edge.problems import Problem, field_problem, json_response, read_body
from models.order import ORDER_ID_PATTERN, Acceptance, OrderRecord, OrderRequest
from models.results import Limits, SagaInput, wire
from models.status import OrderView, view_of

log = logging.getLogger(__name__)

# Runtime statuses in which no orchestration will move the order any more.
STOPPED = frozenset({"Failed", "Terminated", "Canceled"})


class Orders(Protocol):
    def accept(self, order_id: str, request: OrderRequest) -> Acceptance: ...

    def find(self, order_id: str) -> OrderRecord | None: ...


async def place(req: func.HttpRequest, client: Any, orders: Orders, limits: Limits) -> func.HttpResponse:
    """202 with the Durable check-status body and `orderUrl`: for a new order, and for the same order again."""
    request = read_body(req, OrderRequest)
    order_id = _order_id(req, request)
    inserted, record = await asyncio.to_thread(orders.accept, order_id, request)
    if record.body_hash != request.body_hash():
        raise Problem(409, f"Order {order_id} exists with another body. Use a new id for a new order.")
    if inserted or not (record.is_final or await _exists(client, order_id)):
        await _start(client, order_id, limits)
    return _accepted(req, client, order_id)


async def show(req: func.HttpRequest, client: Any, orders: Orders) -> func.HttpResponse:
    """The customer's view: free of Durable URLs, keys and personal data."""
    order_id = req.route_params["order_id"]
    record = await asyncio.to_thread(orders.find, order_id) if re.match(ORDER_ID_PATTERN, order_id) else None
    if record is None:
        raise Problem(404, "There is no order with this id.")
    view = view_of(record, None) if record.is_final else await _live_view(client, record)
    return json_response(view.as_json())


async def _live_view(client: Any, record: OrderRecord) -> OrderView:
    status = await client.get_status(record.order_id)
    view = view_of(record, status.custom_status if status else None)
    if status and status.runtime_status.name in STOPPED:
        view.status = "needs_attention"
    return view


def _order_id(req: func.HttpRequest, request: OrderRequest) -> str:
    """The client's id, from the body or the `Idempotency-Key` header; a new one when it gave neither."""
    key = req.headers.get("Idempotency-Key")
    if key is None:
        return request.order_id or str(uuid.uuid4())
    key = re.sub(r'^"(.*)"$', r"\1", key)
    if not re.match(ORDER_ID_PATTERN, key) or key.endswith("\n"):
        raise field_problem("Idempotency-Key", "must be 1 to 64 letters, digits or hyphens")
    if request.order_id not in {None, key}:
        raise field_problem("Idempotency-Key", "must equal order_id when both are given")
    return key


async def _exists(client: Any, order_id: str) -> bool:
    return bool(await client.get_status(order_id))


async def _start(client: Any, order_id: str, limits: Limits) -> None:
    """Start the saga. A start that loses a race against the same POST finds the instance there, which is success."""
    task = wire(SagaInput(order_id=order_id, limits=limits))
    try:
        await client.start_new("order_saga", order_id, task)
    except Exception as fault:  # the SDK raises nothing more precise
        if not await _exists(client, order_id):
            log.exception("order %s was accepted, but its saga could not be started", order_id)
            raise Problem(503, f"Order {order_id} is accepted but not started. Send it again with this id.") from fault


def _accepted(req: func.HttpRequest, client: Any, order_id: str) -> func.HttpResponse:
    check_status = client.create_check_status_response(req, order_id)
    urls = json.loads(check_status.get_body())
    urls["orderUrl"] = f"{req.url.split('?')[0].rstrip('/')}/{order_id}"
    headers = {"Location": urls["statusQueryGetUri"], "Retry-After": "1"}
    return json_response(urls, 202, headers)
