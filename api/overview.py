"""`GET /api/operations/overview` and `GET /api/orders/{order_id}/timeline`: what the dashboard shows.

The overview costs two reads of storage, however many orders there are: the unfinished orders, and those ended today.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol

import azure.functions as func

from api import orders as orders_edge
from api.operators import actor
from api.orders import STOPPED, listed, order_or_404
from api.problems import json_response, refuse_unknown_parameters
from api.sagas import status_of
from models.operations import timeline
from models.operations.audit import AuditEvent, Trail, Webhook
from models.operations.order_list import Front
from models.order_record import OrderRecord
from models.view import detailed, view_of

TOP, MOST_EVENTS = 50, 500
SHOWN_FACTS = ("by", "reason", "compensation", "reference", "payment_intent_id", "refund_id", "tracking_number")
DECISIONS = frozenset({"approved", "approval_refused"})
CACHING = "private, no-cache"
ReadCounts = Callable[[], dict[str, Any] | None]


class Index(Protocol):
    def front(self, today: date, top: int) -> Front: ...


class Orders(orders_edge.OrderFinder, Protocol):
    def trail(self, order_id: str, after: int, top: int) -> Trail: ...

    def webhooks(self, order_id: str, top: int) -> list[Webhook]: ...


async def show(req: func.HttpRequest, index: Index) -> func.HttpResponse:
    """200, or 304 when nothing has changed since the ETag in `If-None-Match`."""
    refuse_unknown_parameters(req)
    front = await asyncio.to_thread(index.front, datetime.now(UTC).date(), TOP)
    newest = front.newest(TOP)
    states = Counter(entry.status for entry in front.unfinished)
    body = {
        "needs_you": [listed(entry) for entry in front.needing_somebody()],
        "unfinished": {
            "count": len(front.unfinished),
            "more": front.more_unfinished,
            "by_status": dict(sorted(states.items())),
        },
        "orders": [listed(entry) for entry in newest],
        "continuation": newest[-1].key if len(newest) == TOP else None,
        "actor": actor(req),
    }
    return polled(req, body)


async def counts(req: func.HttpRequest, read_counts: ReadCounts) -> func.HttpResponse:
    """The ended orders of the day by state, as the sweep last counted them: one read. Null before that."""
    refuse_unknown_parameters(req)
    return json_response({"ended": await asyncio.to_thread(read_counts)})


async def order_timeline(req: func.HttpRequest, client: Any, orders: Orders) -> func.HttpResponse:
    """The order's attempts, waits and events. `history` is `gone` when only the audit trail is left."""
    record = await order_or_404(req, orders)
    status = await status_of(client, record.order_id, show_history=True, show_history_output=True)
    trail = await asyncio.to_thread(orders.trail, record.order_id, 0, MOST_EVENTS)
    webhooks = await asyncio.to_thread(orders.webhooks, record.order_id, MOST_EVENTS)
    events = [*map(_event, trail.events), *map(_webhook, webhooks)]
    body = _timeline(record, status, events)
    return polled(req, {**body, "actor": actor(req)})


def _timeline(record: OrderRecord, status: Any, events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    history = _history(status)
    done = timeline.attempts(history)
    view = view_of(record, status.custom_status if status else None)
    stopped = bool(status) and status.runtime_status is not None and status.runtime_status.name in STOPPED
    if stopped and not record.is_final:
        view.status = "needs_attention"
    next_due = timeline.due(record, history, done, datetime.now(UTC))
    return {
        **detailed(view, record).as_json(),
        "goods": record.goods,
        "approval": None if record.approval is None else record.approval.model_dump(mode="json"),
        "history": "live" if done else "gone",
        "attempts": list(timeline.as_json(done)),
        "waits": list(timeline.as_json(timeline.waits(record, done))),
        "due": next(timeline.as_json([next_due]), None) if next_due else None,
        "references": timeline.references(record),
        "events": sorted(events, key=lambda event: str(event["at"])),
        "can": _can(record, stopped),
    }


def _event(event: AuditEvent) -> dict[str, Any]:
    """The facts of a change that the page shows: who, why, and the ids. `…/events` has all of them."""
    facts = {name: str(event.facts[name]) for name in SHOWN_FACTS if event.facts.get(name)}
    approval = event.facts.get("approval")
    if event.event in DECISIONS and isinstance(approval, dict):
        facts |= {"by": approval.get("approver") or "", "reason": approval.get("comment") or ""}
    return {
        "at": timeline.shown(event.at),
        "event": event.event,
        **{name: text for name, text in facts.items() if text},
    }


def _webhook(webhook: Webhook) -> dict[str, Any]:
    shown = timeline.shown(webhook.at)
    return {"at": shown, "event": "webhook", "by": "stripe", "reason": webhook.kind, "reference": webhook.event_id}


def _history(status: Any) -> list[dict[str, Any]]:
    """The entries of the history. SDK 1.7 keeps them under the name that they have in the host's answer."""
    entries = getattr(status, "historyEvents", None) or getattr(status, "history", None) or []
    return [entry for entry in entries if isinstance(entry, dict)]


def _can(record: OrderRecord, stopped: bool) -> dict[str, Any]:
    """The actions that are allowed now."""
    return {
        "cancel": record.can_be_cancelled and not record.cancel_requested,
        "decide": record.state == "awaiting_approval" and record.approval is not None and not record.approval.verdict,
        "retry": list(record.parked_compensations),
        "resolve": list(record.parked_compensations),
        "erase": record.is_final and not record.is_erased,
        "stopped": stopped and not record.is_final,
    }


def polled(req: func.HttpRequest, body: object) -> func.HttpResponse:
    """The response to a poll: 200 with the body as JSON and its ETag; 304 when `If-None-Match` names that ETag."""
    text = json.dumps(body, ensure_ascii=False)
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": CACHING}
    known = {each.strip().removeprefix("W/") for each in req.headers.get("If-None-Match", "").split(",")}
    if etag in known:
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(text, mimetype="application/json", headers=headers)
