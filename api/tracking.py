"""`GET /api/track/{order_id}?token=…` and its cancel: the customer's page, in business terms.

The routes are anonymous. The token in the link opens one order, and is checked before anything is read. The page has no
script; its cancel is a form that sends the token in its body. The page shows no name, no address, no Durable URL and no
key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import Any, Literal, NamedTuple, Protocol
from urllib.parse import parse_qs

import azure.functions as func
from pydantic import BaseModel, ValidationError

from api.operators import Orders, request_the_cancel
from api.orders import live_view
from api.problems import Problem
from models.errors import Conflict
from models.money import formatted
from models.order_record import OrderRecord
from models.view import REASONS_FOR_CUSTOMERS, OrderView, money_back, view_of

MAX_FORM_BYTES = 4096
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
CUSTOMER = {"by": "customer", "reason": "on the tracking page"}
STAGES = (
    ("reserve_inventory", "Your goods are set aside"),
    ("process_payment", "Your payment is received"),
    ("create_shipment", "Your parcel is labelled"),
    ("send_confirmation", "Your order is confirmed and on its way"),
)
SENTENCES = {
    "accepted": "We have your order.",
    "running": "We are preparing your order.",
    "awaiting_approval": "We are checking your order. You need not do anything.",
    "compensating": "Your order is being cancelled.",
    "needs_attention": "Your order is being cancelled. One of us is looking after it.",
    "completed": "Your order is on its way.",
    "rejected": "We could not accept your order.",
    "compensated": "Your order could not be completed.",
    "cancelled": "Your order is cancelled.",
}


def discreet(answer: func.HttpResponse) -> func.HttpResponse:
    """Set the headers of every response below a tracking link: no cache keeps it, and no referrer names its address."""
    for name, value in HEADERS.items():
        answer.headers[name] = value
    return answer


class Tracking(Protocol):
    def judge(self, order_id: str, token: str, now: datetime) -> Literal["valid", "expired", "wrong"]: ...


class TrackingToken(BaseModel):
    """The body of `POST …/cancel`."""

    token: str = ""


class TrackingLink(NamedTuple):
    """The order id in the path, and the token that was sent with it."""

    order_id: str
    token: str


async def show(req: func.HttpRequest, client: Any, orders: Orders, tracking: Tracking) -> func.HttpResponse:
    """200 with the page; 404 for an invalid link, 410 for one that has expired."""
    link = TrackingLink(req.route_params["order_id"], req.params.get("token", ""))
    record = await _admitted(link, orders, tracking)
    if isinstance(record, func.HttpResponse):
        return record
    return _order_page(await _view(record, client), record, link)


async def cancel(req: func.HttpRequest, client: Any, orders: Orders, tracking: Tracking) -> func.HttpResponse:
    """303 to the page once the cancel is promised; 409 with the page when it is too late.

    The token is in the body, as JSON or as a form: a page of another site does not have it.
    """
    link = TrackingLink(req.route_params["order_id"], _token_in(req))
    record = await _admitted(link, orders, tracking)
    if isinstance(record, func.HttpResponse):
        return record
    try:
        record = await request_the_cancel(record, client, orders, CUSTOMER)
    except Conflict:
        record = await asyncio.to_thread(orders.find, link.order_id) or record
        return _order_page(await _view(record, client), record, link, "It is too late to cancel this order.", 409)
    return func.HttpResponse(status_code=303, headers={**HEADERS, "Location": f"../{link.order_id}?token={link.token}"})


def _token_in(req: func.HttpRequest) -> str:
    """The token of a form or of a JSON body; empty if there is none."""
    body = req.get_body()
    if len(body) > MAX_FORM_BYTES:
        raise Problem(413, f"The body has {len(body)} bytes; at most {MAX_FORM_BYTES} are read.")
    text = body.decode("utf-8", "replace")
    if req.headers.get("Content-Type", "").startswith("application/json"):
        try:
            return TrackingToken.model_validate_json(text).token
        except ValidationError:
            return ""
    return parse_qs(text, max_num_fields=10).get("token", [""])[0] if text.count("&") < 10 else ""


async def _admitted(link: TrackingLink, orders: Orders, tracking: Tracking) -> OrderRecord | func.HttpResponse:
    """The order, or the page that says why it is not shown."""
    verdict = tracking.judge(link.order_id, link.token, datetime.now(UTC))
    if verdict == "expired":
        return _page(410, "This link has expired", ["You can no longer follow the order with it."])
    record = await asyncio.to_thread(orders.find, link.order_id) if verdict == "valid" else None
    if record is None:
        return _page(404, "This link is not valid", ["Please use the whole link in our mail."])
    return record


async def _view(record: OrderRecord, client: Any) -> OrderView:
    return view_of(record, None) if record.is_final else await live_view(client, record)


def _order_page(
    view: OrderView, record: OrderRecord, link: TrackingLink, notice: str = "", status: int = 200
) -> func.HttpResponse:
    cancelling = record.cancel_requested and not record.is_final
    sentence = "Your order is being cancelled." if cancelling else SENTENCES.get(view.status, "We have your order.")
    parts = [
        f'<p class="notice" role="alert">{escape(notice)}</p>' if notice else "",
        f'<p class="state {escape(view.status)}">{escape(sentence)}</p>',
        _because(view, record),
        "" if cancelling else _stages(view),
        _facts(record),
        _cancel_form(link) if record.can_be_cancelled and not cancelling else "",
        f'<p class="hint">As of {datetime.now(UTC).strftime("%H:%M:%S")} UTC. {_link(link, "Look again")}</p>',
    ]
    return _page(status, "Your order", [], f"<bdi>{escape(record.order_id)}</bdi>", parts)


def _because(view: OrderView, record: OrderRecord) -> str:
    """Why the order ended, and whether the card was charged or refunded."""
    sentences: list[str | None] = []
    if view.status in {"rejected", "compensated"} and view.failure is not None:
        sentences.append(REASONS_FOR_CUSTOMERS.get(view.failure.reason))
    if view.status in {"compensated", "cancelled", "rejected"} and record.is_final:
        sentences.append(money_back(record))
    return "".join(f"<p>{escape(text)}</p>" for text in sentences if text)


def _stages(view: OrderView) -> str:
    """The progress of the order; nothing for an order that is being undone."""
    if view.status not in {"accepted", "running", "awaiting_approval", "completed"}:
        return ""
    states = {step.name: step.status for step in view.steps}
    words = {"done": "done", "running": "now"}
    rows = [
        f'<li class="{words.get(states.get(name, ""), "to-come")}">{escape(label)}'
        f"<span> ({words.get(states.get(name, ''), 'to come').replace('-', ' ')})</span></li>"
        for name, label in STAGES
    ]
    return f'<ol class="stages"><li class="done">We have your order<span> (done)</span></li>{"".join(rows)}</ol>'


def _facts(record: OrderRecord) -> str:
    lines = [f"{line.quantity} x {line.sku}" for line in record.lines]
    facts = [
        ("Articles", "\n".join(lines)),
        ("Total", formatted(record.total.amount_minor, record.total.currency) if record.total else ""),
        ("Tracking number", record.tracking_number or "" if record.state == "completed" else ""),
        ("Ordered", record.accepted_at.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0")),
    ]
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts if value)
    return f"<dl>{rows}</dl>"


def _cancel_form(link: TrackingLink) -> str:
    return (
        f'<form method="post" action="/api/track/{escape(link.order_id)}/cancel">'
        f'<input type="hidden" name="token" value="{escape(link.token)}">'
        "<p>You can cancel the order until it is confirmed. What was charged is given back.</p>"
        "<button>Cancel the order</button></form>"
    )


def _link(link: TrackingLink, text: str) -> str:
    return f'<a href="/api/track/{escape(link.order_id)}?token={escape(link.token)}">{escape(text)}</a>'


def _page(
    status: int, title: str, sentences: Iterable[str], below: str = "", parts: Iterable[str] = ()
) -> func.HttpResponse:
    body = "".join([*(f"<p>{escape(text)}</p>" for text in sentences), *parts])
    head = f"<h1>{escape(title)}</h1>" + (f'<p class="id">{below}</p>' if below else "")
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/api/dashboard/track.css"></head>'
        f"<body><main>{head}{body}</main></body></html>"
    )
    return func.HttpResponse(html, status_code=status, mimetype="text/html", charset="utf-8", headers=HEADERS)
