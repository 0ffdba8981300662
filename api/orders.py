"""`POST /api/orders`, `GET /api/orders` and `GET /api/orders/{id}`.

The order's own record decides duplicates, not the instance id: a finished instance can be started again in Durable
Functions, and the Python client would not say so.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, get_args

import azure.functions as func

from api import paging
from api.problems import Problem, field_problem, head_problem, json_response, read_body, refuse_unknown_parameters
from api.sagas import exists, start_saga
from models.messages import Limits
from models.operations.order_list import IndexEntry, Page
from models.order_record import Acceptance, OrderRecord
from models.order_request import ORDER_ID_PATTERN, OrderRequest
from models.states import OrderStatus
from models.view import OrderView, detailed, moment, view_of

# Runtime statuses of an orchestration that has stopped without an outcome.
STOPPED = frozenset({"Failed", "Terminated", "Canceled"})
DEFAULT_PAGE, DEFAULT_DAYS, MAX_DAYS = 20, 7, 366
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)
# Any id that can be a key in storage can be looked up, so a stricter rule for new ids hides no older order.
LOOKUP_PATTERN = r"[^/\\#?\x00-\x1f\x7f-\x9f]{1,255}"
CONTINUATION_PATTERN = rf"^[0-9]{{13}}:{LOOKUP_PATTERN}$"


class OrderFinder(Protocol):
    def find(self, order_id: str) -> OrderRecord | None: ...


class Orders(OrderFinder, Protocol):
    def accept(self, order_id: str, request: OrderRequest) -> Acceptance: ...


class Tracking(Protocol):
    def url(self, order: OrderRecord) -> str | None:
        """The customer's page of the order; None if there are no links."""


class Index(Protocol):
    def page(self, status: str | None, newest: date, oldest: date, top: int, after: str | None) -> Page:
        """Orders by UTC day, newest first."""


async def place(
    req: func.HttpRequest, client: Any, orders: Orders, limits: Limits, tracking: Tracking
) -> func.HttpResponse:
    """202 with the Durable check-status body, `orderUrl` and `trackingUrl`: for a new order, and for one sent again."""
    request = read_body(req, OrderRequest)
    order_id = _new_order_id(req, request)
    inserted, record = await asyncio.to_thread(orders.accept, order_id, request)
    if record.is_erased:
        raise Problem(409, f"Order {order_id} exists, and its data was erased. Use a new id for a new order.")
    if record.body_hash != request.body_hash():
        raise Problem(409, f"Order {order_id} exists with another body. Use a new id for a new order.")
    if inserted or not (record.is_final or await exists(client, order_id)):
        await start_saga(client, order_id, limits, record.etag if inserted else None)
    return _accepted(req, client, order_id, tracking.url(record))


async def show(req: func.HttpRequest, client: Any, orders: OrderFinder) -> func.HttpResponse:
    """The customer's view: free of Durable URLs, keys and personal data."""
    record = await order_or_404(req, orders)
    view = view_of(record, None) if record.is_final else await live_view(client, record)
    return json_response(detailed(view, record).as_json())


async def order_or_404(req: func.HttpRequest, orders: OrderFinder, *parameters: str) -> OrderRecord:
    """The record of the order in the path. Raises Problem 404, and 400 for a query parameter not in `parameters`."""
    refuse_unknown_parameters(req, *parameters)
    order_id = req.route_params["order_id"]
    record = await asyncio.to_thread(orders.find, order_id) if re.fullmatch(LOOKUP_PATTERN, order_id) else None
    if record is None:
        raise Problem(404, "There is no order with this id.")
    return record


async def list_orders(req: func.HttpRequest, index: Index) -> func.HttpResponse:
    """`?status=&from=&to=&top=&continuation=`: days are UTC, `YYYY-MM-DD`; newest first, a page at a time."""
    refuse_unknown_parameters(req, "status", "from", "to", *paging.PARAMETERS)
    status, newest, oldest = _status(req), _day(req, "to"), _day(req, "from")
    newest = newest or datetime.now(UTC).date()
    oldest = oldest or newest - timedelta(days=DEFAULT_DAYS - 1)
    if not 0 <= (newest - oldest).days < MAX_DAYS:
        raise field_problem("from", f"must not be after `to`, and at most {MAX_DAYS} days before it")
    top, after = paging.top(req, DEFAULT_PAGE), paging.continuation(req, CONTINUATION_PATTERN)
    page = await asyncio.to_thread(index.page, status, newest, oldest, top, after)
    return json_response({"orders": [listed(entry) for entry in page.entries], "continuation": page.continuation})


def listed(entry: IndexEntry) -> dict[str, Any]:
    total = None
    if entry.amount_minor is not None:
        total = {"amount_minor": entry.amount_minor, "currency": entry.currency}
    return {
        "order_id": entry.order_id,
        "status": entry.status,
        "accepted_at": moment(entry.accepted_at),
        "skus": list(entry.skus),
        "total": total,
        "since": moment(entry.since) if entry.since else None,
        "waits_for": entry.waits_for,
        "failure": entry.failure,
        "held_minor": 0 if entry.status == "completed" else entry.held_minor,
    }


def _status(req: func.HttpRequest) -> str | None:
    status = req.params.get("status") or None
    if status not in {None, *get_args(OrderStatus)}:
        raise field_problem("status", f"must be one of {', '.join(get_args(OrderStatus))}")
    return status


def _day(req: func.HttpRequest, name: str) -> date | None:
    text = req.params.get(name)
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else date.min
    except ValueError:
        day = date.min
    if not FIRST_DAY <= day <= LAST_DAY:
        raise field_problem(name, "must be a UTC day such as 2026-01-31")
    return day


async def live_view(client: Any, record: OrderRecord) -> OrderView:
    status = await client.get_status(record.order_id)
    view = view_of(record, status.custom_status if status else None)
    if status and status.runtime_status.name in STOPPED:
        view.status = "needs_attention"
    return view


def _new_order_id(req: func.HttpRequest, request: OrderRequest) -> str:
    """The client's id, from the body or the `Idempotency-Key` header; a new id if the client sent neither."""
    key = req.headers.get("Idempotency-Key")
    if key is None:
        return request.order_id or str(uuid.uuid4())
    key = re.sub(r'^"(.*)"$', r"\1", key)
    if not re.fullmatch(ORDER_ID_PATTERN, key):
        raise head_problem("Idempotency-Key", "must be 1 to 64 letters, digits or hyphens")
    if request.order_id not in {None, key}:
        raise head_problem("Idempotency-Key", "must equal order_id when both are given")
    return key


def _accepted(req: func.HttpRequest, client: Any, order_id: str, tracking_url: str | None) -> func.HttpResponse:
    check_status = client.create_check_status_response(req, order_id)
    urls = json.loads(check_status.get_body())
    urls["orderUrl"] = f"{req.url.split('?')[0].rstrip('/')}/{order_id}"
    if tracking_url is not None:
        urls["trackingUrl"] = tracking_url
    headers = {"Location": urls["statusQueryGetUri"], "Retry-After": "1"}
    return json_response(urls, 202, headers)
