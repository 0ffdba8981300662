"""The examples of the API document. They follow an order of the README."""

from __future__ import annotations

from typing import Any

from api.labels import GONE
from models.states import PROCESS_PAYMENT, STEP_NAMES, UNDOES

EXAMPLE_ID = "armchairs-2"
EXAMPLE_SKU = "CRUNCHY-ARMCHAIR"
HUB = f"https://shop.example/runtime/webhooks/durabletask/instances/{EXAMPLE_ID}"

ORDER: dict[str, Any] = {
    "order_id": EXAMPLE_ID,
    "customer": {"id": "cust-42", "name": "Ada", "email": "ada@example.com"},
    "items": [{"sku": EXAMPLE_SKU, "quantity": 2}],
    "payment_method": "pm_card_visa_chargeDeclined",
    "shipping_address": {
        "name": "Ada Lovelace",
        "line1": "12 St James Sq",
        "city": "London",
        "postal_code": "SW1Y 4LB",
        "country": "GB",
    },
}
ACCEPTED = {
    "id": EXAMPLE_ID,
    "statusQueryGetUri": HUB,
    "sendEventPostUri": f"{HUB}/raiseEvent/{{eventName}}",
    "terminatePostUri": f"{HUB}/terminate",
    "purgeHistoryDeleteUri": HUB,
    "orderUrl": f"https://shop.example/api/orders/{EXAMPLE_ID}",
    "trackingUrl": f"https://shop.example/api/track/{EXAMPLE_ID}?token=1798450200.Qm9…",
}
BEFORE_PAYMENT = STEP_NAMES[: STEP_NAMES.index(PROCESS_PAYMENT)]
STATUSES = {step: "undone" if step in UNDOES.values() else "done" for step in BEFORE_PAYMENT}
STATUSES[PROCESS_PAYMENT] = "refused"
COMPENSATED = {
    "order_id": EXAMPLE_ID,
    "status": "compensated",
    "total": {"amount_minor": 25800, "currency": "gbp"},
    "steps": [{"name": step, "status": STATUSES.get(step, "pending")} for step in STEP_NAMES],
    "failure": {"step": PROCESS_PAYMENT, "reason": "card_declined", "decline_code": "generic_decline"},
    "compensations": [{"name": undo, "status": "done"} for undo, step in UNDOES.items() if step in BEFORE_PAYMENT],
    "accepted_at": "2026-11-26T09:30:00Z",
    "ended_at": "2026-11-26T09:30:02Z",
    "lines": [{"sku": EXAMPLE_SKU, "quantity": 2, "price_minor": 12900}],
    "payment": {"charged_minor": 0, "refunded_minor": 0},
    "tracking_number": None,
}
EVENTS = {
    "order_id": EXAMPLE_ID,
    "events": [
        {"number": 1, "at": "2026-11-26T09:30:00Z", "event": "accepted", "facts": {}},
        {
            "number": 2,
            "at": "2026-11-26T09:30:01Z",
            "event": "running",
            "facts": {"state": "running", "total": {"amount_minor": 25800, "currency": "gbp"}},
        },
        {"number": 3, "at": "2026-11-26T09:30:01Z", "event": "goods_reserved", "facts": {"goods": "reserved"}},
    ],
    "continuation": "3",
}
LISTED_ORDER = {
    "order_id": EXAMPLE_ID,
    "status": "compensated",
    "accepted_at": "2026-11-26T09:30:00Z",
    "skus": [EXAMPLE_SKU],
    "total": {"amount_minor": 25800, "currency": "gbp"},
    "since": "2026-11-26T09:30:02Z",
    "waits_for": None,
    "failure": "card_declined",
    "held_minor": 0,
}
LISTED = {"orders": [LISTED_ORDER], "continuation": None}
OVERVIEW = {
    "needs_you": [
        {
            **LISTED_ORDER,
            "order_id": "armchairs-3",
            "status": "needs_attention",
            "waits_for": "refund_payment",
            "failure": "recipient_rejected",
            "held_minor": 25800,
        }
    ],
    "unfinished": {"count": 1, "more": False, "by_status": {"needs_attention": 1}},
    "orders": [LISTED_ORDER],
    "continuation": None,
    "actor": None,
}
TIMELINE = {
    **COMPENSATED,
    "goods": "released",
    "approval": None,
    "history": "live",
    "attempts": [
        {
            "activity": "process_payment",
            "path": "step",
            "number": 1,
            "started_at": "2026-11-26T09:30:01.204Z",
            "ended_at": "2026-11-26T09:30:01.377Z",
            "result": "refused",
            "reason": "generic_decline",
        }
    ],
    "waits": [],
    "due": None,
    "references": {"process_payment": {"key": f"{EXAMPLE_ID}:pay", "reference": "pi_3Q"}},
    "events": [{"at": "2026-11-26T09:30:00.911Z", "event": "accepted"}],
    "can": {"cancel": False, "decide": False, "retry": [], "resolve": [], "erase": True, "stopped": False},
    "actor": None,
}
HOLDERS = {
    "sku": EXAMPLE_SKU,
    "holders": [{"order_id": "armchairs-3", "status": "needs_attention", "quantity": 2}],
    "more": False,
}
DECISION = {"approved": True, "approver": "grace", "comment": "a known customer"}
REASON = {"by": "grace", "reason": "the provider answers again"}
EVIDENCE = {**REASON, "reason": "refunded by bank transfer", "reference": "transfer 2026-11-26/7"}
STOCK = {
    "sku": EXAMPLE_SKU,
    "on_hand": 50,
    "reserved": 2,
    "available": 48,
    "price_minor": 12900,
    "currency": "gbp",
}
STOCK_LIST = {"items": [{**STOCK, "etag": "W/\"datetime'2026-11-26T09%3A00%3A00.0000000Z'\""}], "continuation": None}
FRONT = {"name": "Order saga", "links": {"docs": "/api/docs", "health": "/api/health"}}
HEALTHY = {
    "status": "ok",
    "providers": {"storage": "ok", "payments": "configured", "mail": "configured", "push": "configured"},
    "stripe_key": "test",
    "faults": [],
    "sweep": {"at": "2026-11-26T09:31:00Z"},
}
# By status: the `detail` of the problem, and further members of its body.
PROBLEMS: dict[int, tuple[str, dict[str, Any]]] = {
    400: (
        "items/0/quantity: must be at least 1",
        {"errors": [{"pointer": "#/items/0/quantity", "detail": "must be at least 1"}]},
    ),
    404: ("There is no order with this id.", {}),
    409: (f"Order {EXAMPLE_ID} is completed: it can no longer be cancelled.", {}),
    410: (GONE["void"], {}),
    412: (f"sku {EXAMPLE_SKU} is no longer as the If-Match says: read it again.", {}),
    413: ("The body has 300000 bytes; at most 262144 are read.", {}),
    415: ("The body must be JSON and declared so: send `Content-Type: application/json`.", {}),
    503: ("Order armchairs-2 could not be read. Try again later.", {}),
}
