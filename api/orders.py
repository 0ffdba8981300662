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
from typing import Annotated, Any, Protocol, get_args

import azure.functions as func
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from api import paging
from api.problems import (
    Fault,
    Problem,
    head_fault,
    json_response,
    read_body,
    read_query,
    refuse,
    refuse_unknown_parameters,
)
from api.sagas import start_saga, status_of
from models.messages import Limits
from models.operations.order_list import IndexEntry, Page
from models.order_record import Acceptance, OrderRecord
from models.order_request import LOOKUP_PATTERN, ORDER_ID_PATTERN, OrderRequest
from models.sentences import PATTERNS
from models.states import OrderStatus
from models.view import OrderView, detailed, moment, view_of

# Runtime statuses of an orchestration that has stopped without an outcome.
STOPPED = frozenset({"Failed", "Terminated", "Canceled"})
DEFAULT_PAGE, DEFAULT_DAYS, MAX_DAYS = 20, 7, 366
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)
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


def _today() -> date:
    return datetime.now(UTC).date()


def _status(status: str | None) -> str | None:
    if status not in {None, *get_args(OrderStatus)}:
        raise ValueError(f"must be one of {', '.join(get_args(OrderStatus))}")
    return status


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text) if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else date.min
    except ValueError:
        day = date.min
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError("must be a UTC day such as 2026-01-31")
    return day


def _before(oldest: date | None, others: ValidationInfo) -> date | None:
    """`to` is read first; one that is wrong is a fault of its own."""
    if oldest is not None and "newest" in others.data:
        newest = others.data["newest"] or _today()
        if not 0 <= (newest - oldest).days < MAX_DAYS:
            raise ValueError(f"must not be after `to`, and at most {MAX_DAYS} days before it")
    return oldest


class OrdersQuery(paging.Query):
    """The parameters of the list."""

    status: Annotated[str | None, AfterValidator(_status)] = None
    newest: Annotated[date | None, BeforeValidator(_day), Field(alias="to")] = None
    oldest: Annotated[date | None, BeforeValidator(_day), AfterValidator(_before), Field(alias="from")] = None
    top: paging.Top = DEFAULT_PAGE
    continuation: Annotated[str | None, paging.continuation_of(CONTINUATION_PATTERN)] = None


async def place(
    req: func.HttpRequest, client: Any, orders: Orders, limits: Limits, tracking: Tracking
) -> func.HttpResponse:
    """202 with the Durable check-status body, `orderUrl` and `trackingUrl`: for a new order, and for one sent again."""
    key = _idempotency_key(req)
    request = read_body(req, OrderRequest, _faults_of(key))
    order_id = _new_order_id(key, request)
    inserted, record = await asyncio.to_thread(orders.accept, order_id, request)
    if record.is_erased:
        raise Problem(409, f"Order {order_id} exists, and its data was erased. Use a new id for a new order.")
    if record.body_hash != request.body_hash():
        raise Problem(409, f"Order {order_id} exists with another body. Use a new id for a new order.")
    if inserted or (record.needs_saga and await status_of(client, order_id) is None):
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
    record = await asyncio.to_thread(orders.find, req.route_params["order_id"])
    if record is None:
        raise Problem(404, "There is no order with this id.")
    return record


async def list_orders(req: func.HttpRequest, index: Index) -> func.HttpResponse:
    """`?status=&from=&to=&top=&continuation=`: days are UTC, `YYYY-MM-DD`; newest first, a page at a time."""
    query = read_query(req, OrdersQuery)
    newest = query.newest or _today()
    oldest = query.oldest or newest - timedelta(days=DEFAULT_DAYS - 1)
    page = await asyncio.to_thread(index.page, query.status, newest, oldest, query.top, query.continuation)
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


async def live_view(client: Any, record: OrderRecord) -> OrderView:
    status = await status_of(client, record.order_id)
    view = view_of(record, status.custom_status if status else None)
    if status and status.runtime_status.name in STOPPED:
        view.status = "needs_attention"
    return view


def _idempotency_key(req: func.HttpRequest) -> str | None:
    """The header without its quotes."""
    key = req.headers.get("Idempotency-Key")
    return None if key is None else re.sub(r'^"(.*)"$', r"\1", key)


def _faults_of(key: str | None) -> list[Fault]:
    if key is None or re.fullmatch(ORDER_ID_PATTERN, key):
        return []
    return [head_fault("Idempotency-Key", PATTERNS[ORDER_ID_PATTERN])]


def _new_order_id(key: str | None, request: OrderRequest) -> str:
    """The client's id, from the body or the `Idempotency-Key` header; a new one when it gave neither."""
    if key is None:
        return request.order_id or str(uuid.uuid4())
    if request.order_id not in {None, key}:
        refuse([head_fault("Idempotency-Key", "must equal order_id when both are given")])
    return key


def _accepted(req: func.HttpRequest, client: Any, order_id: str, tracking_url: str | None) -> func.HttpResponse:
    check_status = client.create_check_status_response(req, order_id)
    urls = json.loads(check_status.get_body())
    urls["orderUrl"] = f"{req.url.split('?')[0].rstrip('/')}/{order_id}"
    if tracking_url is not None:
        urls["trackingUrl"] = tracking_url
    headers = {"Location": urls["statusQueryGetUri"], "Retry-After": "1"}
    return json_response(urls, 202, headers)
