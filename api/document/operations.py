"""The description of each route, by the name of its function: the part of the API document that no trigger has.

Route, methods and key level come from the triggers (see openapi.py). A test checks that each trigger has a description
and each description a trigger.
"""

from __future__ import annotations

from collections.abc import Mapping

from api import inventory, paging, trail
from api.document import answers
from api.document.dashboard_operations import DASHBOARD_OPERATIONS
from api.document.described import Operation, Parameter, Reply, Schema
from api.document.examples import (
    ACCEPTED,
    COMPENSATED,
    DECISION,
    EVENTS,
    EVIDENCE,
    EXAMPLE_ID,
    FRONT,
    HEALTHY,
    LISTED,
    ORDER,
    REASON,
    STOCK,
    STOCK_LIST,
)
from api.orders import CONTINUATION_PATTERN, DEFAULT_DAYS, DEFAULT_PAGE, MAX_DAYS
from models.order_request import SKU_PATTERN, Decision, Evidence, OrderRequest, Reason, Remark
from models.states import OrderStatus
from models.stock import InventoryUpdate
from models.view import OrderDetail

DAY: Schema = {"type": "string", "format": "date"}
STATUS: Schema = {"type": "string", "enum": list(OrderStatus.__args__)}  # type: ignore[attr-defined]
SIGNED = Parameter("Stripe-Signature", "header", "`t=…,v1=…`: Stripe's signature of the body.", {"type": "string"})
KEPT = ("Cache-Control",)


def _pages(default: int, continuation_pattern: str) -> tuple[Parameter, Parameter]:
    size = {"type": "integer", "minimum": 1, "maximum": paging.MAX_PAGE, "default": default}
    return (
        Parameter("top", "query", "The largest number of entries.", size),
        Parameter(
            "continuation",
            "query",
            "The `continuation` of the page before.",
            {"type": "string", "pattern": continuation_pattern},
        ),
    )


OPERATIONS: Mapping[str, Operation] = {
    "place_order": Operation(
        "Orders",
        "Place an order",
        {
            202: Reply(
                "The order is stored, and its saga runs.", answers.Accepted, ACCEPTED, ("Location", "Retry-After")
            )
        },
        (400, 409, 413, 415, 503),
        OrderRequest,
        ORDER,
        (
            Parameter(
                "Idempotency-Key",
                "header",
                "Replaces `order_id`. If both are sent, they must be equal. One pair of quotes around it is dropped.",
                {"type": "string", "pattern": '^"?[A-Za-z0-9-]{1,64}"?$'},
            ),
        ),
        "Safe to repeat: the same id with the same body is answered with the same 202 and starts nothing twice. "
        "Prices and currency come from the catalogue.",
    ),
    "list_orders": Operation(
        "Orders",
        "List orders, newest first",
        {200: Reply("A page of orders.", answers.OrderPage, LISTED)},
        (400, 503),
        parameters=(
            Parameter("status", "query", "Only orders of this status.", STATUS),
            Parameter("from", "query", f"The oldest UTC day; by default the last {DEFAULT_DAYS} days.", DAY),
            Parameter("to", "query", f"The newest UTC day; today by default. At most {MAX_DAYS} days in all.", DAY),
            *_pages(DEFAULT_PAGE, CONTINUATION_PATTERN),
        ),
    ),
    "get_order": Operation(
        "Orders",
        "Show an order as its customer sees it",
        {200: Reply("The order.", OrderDetail, COMPENSATED)},
        (400, 404, 503),
        says="The answer holds no Durable URLs, keys or personal data.",
    ),
    "list_events": Operation(
        "Orders",
        "Show an order's audit trail, oldest first",
        {200: Reply("A page of changes.", answers.EventPage, EVENTS)},
        (400, 404, 503),
        parameters=_pages(trail.DEFAULT_PAGE, trail.CONTINUATION_PATTERN),
        says="Each change of the order's record, with who requested it and why. No personal data of the customer.",
    ),
    "get_label": Operation(
        "Orders",
        "Fetch the shipping label",
        {200: Reply("The label, with its address.", "application/pdf", headers=(*KEPT, "Content-Disposition"))},
        (400, 404, 410, 503),
        says="404 when there is no label; 410 when it was voided, or erased with the personal data.",
    ),
    "cancel_order": Operation(
        "Orders",
        "Cancel an order",
        {
            202: Reply(
                "The order ends `cancelled`.",
                answers.CancelAccepted,
                {"order_id": EXAMPLE_ID, "status": "running", "cancel_requested": True},
            )
        },
        (400, 404, 409, 413, 415, 503),
        Remark,
        REASON,
        body_required=False,
        says="Safe to repeat. 409 when it is too late: the confirmation is sent, or the order has ended.",
    ),
    "decide_approval": Operation(
        "Operators",
        "Approve or refuse an order that waits for approval",
        {
            202: Reply(
                "The decision is recorded for this total.",
                answers.DecisionRecorded,
                {"order_id": EXAMPLE_ID, "decision": "approved", "total": {"amount_minor": 64500, "currency": "gbp"}},
            )
        },
        (400, 404, 409, 413, 415, 503),
        Decision,
        DECISION,
        says="There is one decision: 409 for a second or a late one.",
    ),
    "retry_compensation": Operation(
        "Operators",
        "Retry an undo that could not be confirmed",
        {
            202: Reply(
                "The undo is tried again.",
                answers.UndoResumed,
                {"order_id": EXAMPLE_ID, "compensation": "refund_payment", "status": "compensating"},
            )
        },
        (400, 404, 409, 413, 415, 503),
        Reason,
        REASON,
        says="409 when no undo of this order waits for an operator.",
    ),
    "resolve_compensation": Operation(
        "Operators",
        "Mark an undo as done, with evidence",
        {
            202: Reply(
                "The undo is `resolved`. The saga resumes when no other undo waits.",
                answers.UndoResumed,
                {"order_id": EXAMPLE_ID, "compensation": "refund_payment", "status": "compensating"},
            )
        },
        (400, 404, 409, 413, 415, 503),
        Evidence,
        EVIDENCE,
        says="`reference` names the proof, such as the bank's number of a transfer.",
    ),
    "erase_personal_data": Operation(
        "Operators",
        "Erase the personal data of a finished order",
        {204: Reply("Name, address, e-mail and payment method are gone; ids and amounts stay.")},
        (400, 404, 409, 413, 415, 503),
        Remark,
        REASON,
        body_required=False,
        says="Safe to repeat. 409 while the order is not finished.",
    ),
    "stripe_webhook": Operation(
        "Payments",
        "Receive an event from Stripe",
        {200: Reply("Recorded; also for unknown orders and repeated events.", answers.Received, {"received": True})},
        (400, 413, 503),
        parameters=(SIGNED,),
        says="The event is trusted by its signature only. It decides nothing: it makes the saga ask Stripe.",
    ),
    "list_inventory": Operation(
        "Stock",
        "List SKUs in ascending order",
        {200: Reply("A page of SKUs.", answers.StockList, STOCK_LIST)},
        (400, 503),
        parameters=_pages(inventory.DEFAULT_PAGE, SKU_PATTERN),
    ),
    "get_inventory": Operation(
        "Stock",
        "Show a SKU",
        {200: Reply("Its count and price.", answers.StockAnswer, STOCK, ("ETag",))},
        (400, 404, 503),
    ),
    "put_inventory": Operation(
        "Stock",
        "Set count and price of a SKU",
        {
            200: Reply("Changed.", answers.StockChanged, STOCK, ("ETag",)),
            201: Reply("Created.", answers.StockChanged, STOCK, ("ETag",)),
        },
        (400, 409, 412, 413, 415, 503),
        InventoryUpdate,
        {"on_hand": 50, "price_minor": 12900, "currency": "gbp"},
        (
            Parameter(
                "If-Match",
                "header",
                "An ETag. If it is not the current one, nothing is changed (412).",
                {"type": "string"},
            ),
        ),
        "409 below what is reserved for orders. A price of which no quantity can be charged is stored with a warning.",
    ),
    "health": Operation(
        "Service",
        "Check whether the service can take orders",
        {200: Reply("Storage answers, and the settings are whole.", answers.Health, HEALTHY)},
        (503,),
        says="Names settings and providers, never a value.",
    ),
    "front_page": Operation(
        "Service",
        "Show links to the app's pages",
        {200: Reply("A page of links, or JSON for a client that prefers it.", answers.Front, FRONT, KEPT)},
        says="`Accept` chooses between `text/html` and `application/json`.",
    ),
    "requests_file": Operation(
        "Service",
        "A request for each route, for editors",
        {200: Reply("Plain text.", "text/plain", headers=KEPT)},
    ),
    "openapi_document": Operation(
        "Service",
        "This document",
        {200: Reply("OpenAPI 3.1.", "application/json", headers=KEPT)},
    ),
    "api_docs": Operation(
        "Service",
        "The page that shows this document",
        {200: Reply("HTML without data.", "text/html", headers=KEPT)},
    ),
    "api_docs_asset": Operation(
        "Service",
        "A file of the page that shows this document",
        {200: Reply("A script or a style sheet.", "*/*", headers=KEPT)},
        (404,),
    ),
    **DASHBOARD_OPERATIONS,
}
