"""The orders that the pictures show: some that completed, one that was undone, one that is parked, one to approve."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import httpx

from devtools.example_order import example_order
from devtools.trouble import Trouble

PATIENCE_S = 180.0
SETTINGS = {"APPROVAL_THRESHOLD_MINOR": "60000", "UNDO_RETRY_SECONDS": "6", "SWEEP_SCHEDULE": "*/5 * * * * *"}


class Scene(NamedTuple):
    """Ids of orders, the address of a tracking page, and the view of the order that was undone."""

    undone: str
    parked: str
    tracking: str
    view: Mapping[str, Any]


def set_the_scene(urls: Mapping[str, Any]) -> Scene:
    with httpx.Client(base_url=urls["host"], timeout=30) as api:
        first = _order(api, "armchairs-1", [("CRUNCHY-ARMCHAIR", 2)])
        _order(api, "table-2", [("SMALL-TABLE", 1), ("LAST-LAMP", 1)])
        _order(api, "armchair-3", [("CRUNCHY-ARMCHAIR", 1)], payment_method="pm_card_visa_chargeDeclined")
        _order(api, "lamp-4", [("LAST-LAMP", 1)])
        refunds = {"operation": "refunds.create", "fault": "error_before_commit"}
        rules = [{**refunds, "order_id": "armchair-5", "times": 2}, {**refunds, "order_id": "armchair-6"}]
        httpx.put(urls["payments"] + "/sandbox/faults", json={"seed": 7, "rules": rules}).raise_for_status()
        for order_id in ("armchair-5", "armchair-6"):
            _order(api, order_id, [("CRUNCHY-ARMCHAIR", 1)], mail="bob@bounce.invalid")
        _order(api, "armchairs-7", [("CRUNCHY-ARMCHAIR", 5)])
        tracking = _order(api, "tables-8", [("SMALL-TABLE", 2)])["trackingUrl"]
        for order_id in ("armchairs-1", "armchair-5", "tables-8"):
            _wait_for(lambda order_id=order_id: _view(api, order_id)["status"] in {"completed", "compensated"})
        _wait_for(lambda: _view(api, "armchair-6")["status"] == "needs_attention")
        assert first["id"] == "armchairs-1"
        return Scene("armchair-5", "armchair-6", tracking, _view(api, "armchair-5"))


def _order(
    api: httpx.Client,
    order_id: str,
    lines: Sequence[tuple[str, int]],
    mail: str = "ada@example.com",
    payment_method: str = "pm_card_visa",
) -> dict[str, Any]:
    body = example_order(
        order_id=order_id,
        customer={**example_order()["customer"], "email": mail},
        items=[{"sku": sku, "quantity": quantity} for sku, quantity in lines],
        payment_method=payment_method,
    )
    answer = api.post("/api/orders", json=body)
    if answer.status_code != 202:
        raise Trouble(f"Order {order_id} was answered {answer.status_code}.")
    return dict(answer.json())


def _view(api: httpx.Client, order_id: str) -> dict[str, Any]:
    return dict(api.get(f"/api/orders/{order_id}").json())


def _wait_for(done: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise Trouble("The orders of the pictures did not reach their states in time.")
        time.sleep(0.1)
