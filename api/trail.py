"""`GET /api/orders/{order_id}/events`: the audit trail, oldest first, a page at a time."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Protocol

import azure.functions as func

from api import paging
from api.orders import OrderFinder, order_or_404
from api.problems import json_response, read_query
from models.operations.audit import AuditEvent, Trail
from models.view import moment

DEFAULT_PAGE = 100
CONTINUATION_PATTERN = r"^[1-9][0-9]{0,5}$"


class Orders(OrderFinder, Protocol):
    def trail(self, order_id: str, after: int, top: int) -> Trail:
        """At most `top` changes of an order's record, after number `after`."""


class EventsQuery(paging.Query):
    """The parameters of the list."""

    top: paging.Top = DEFAULT_PAGE
    continuation: Annotated[str | None, paging.continuation_of(CONTINUATION_PATTERN)] = None


async def show(req: func.HttpRequest, orders: Orders) -> func.HttpResponse:
    """200; 404 for an unknown order. `?top=&continuation=`."""
    query = read_query(req, EventsQuery)
    record = await order_or_404(req, orders, *paging.PARAMETERS)
    trail = await asyncio.to_thread(orders.trail, record.order_id, int(query.continuation or 0), query.top)
    body = {
        "order_id": record.order_id,
        "events": [_as_json(event) for event in trail.events],
        "continuation": None if trail.continuation is None else str(trail.continuation),
    }
    return json_response(body)


def _as_json(event: AuditEvent) -> dict[str, Any]:
    return {"number": event.number, "at": moment(event.at), "event": event.event, "facts": event.facts}
