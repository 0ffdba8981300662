"""`GET /api/orders/{order_id}/label`: the shipping label, for the warehouse."""

from __future__ import annotations

import asyncio
from typing import Protocol
from urllib.parse import quote

import azure.functions as func

from api.orders import OrderFinder, order_or_404
from api.problems import Problem
from models.label import Label

# The label has an address on it, so no cache may keep a copy.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
GONE = {
    "void": "The label of this order was voided: nothing is to be shipped.",
    "erased": "The label of this order was erased with its personal data.",
}


class Labels(Protocol):
    def read(self, order_id: str) -> Label | None: ...


async def show(req: func.HttpRequest, orders: OrderFinder, labels: Labels) -> func.HttpResponse:
    """200 with the PDF; 404 for an unknown order and for one without a label; 410 once it is void or erased."""
    record = await order_or_404(req, orders)
    label = await asyncio.to_thread(labels.read, record.order_id)
    if label is None:
        raise Problem(404, "This order has no label.")
    if label.status != "issued":
        raise Problem(410, GONE.get(label.status, "The label of this order is no longer in force."))
    name = {"Content-Disposition": f'inline; filename="{quote(record.order_id, safe="")}.pdf"'}
    return func.HttpResponse(label.pdf, mimetype="application/pdf", headers=HEADERS | name)
