"""Issue a shipping label, and void it. Do and undo, side by side."""

from __future__ import annotations

import re
from typing import Protocol

from models.errors import Refused
from models.order import Address, OrderRecord
from models.results import StepDone, StepTask

# Parcel carriers need a door. Post-office boxes, as the countries this shop knows write them.
PO_BOX = re.compile(
    r"\b(p\.?\s*o\.?\s*box|post\s*office\s*box|postfach|bo[iî]te\s+postale|casella\s+postale|apartado\s+(postal|de\s+correos))\b",
    re.IGNORECASE,
)


class Orders(Protocol):
    def read(self, order_id: str) -> OrderRecord: ...

    def note_shipment(self, order_id: str, tracking_number: str) -> None: ...


class Labels(Protocol):
    def issue(self, order: OrderRecord) -> str:
        """Store the order's one label, or find it. Returns the tracking number. Raises Refused("label_voided")."""

    def void(self, order_id: str) -> None:
        """Make the label void for all to see. Where there is none, leave a void one, which refuses a late issue."""


def create_shipment(task: StepTask, orders: Orders, labels: Labels) -> StepDone:
    """Safe to call twice: the second call finds the label. Refuses with undeliverable_address."""
    order = orders.read(task.order_id)
    if _is_po_box(order.request.shipping_address):
        raise Refused("undeliverable_address")
    orders.note_shipment(order.order_id, labels.issue(order))
    return StepDone()


def cancel_shipment(task: StepTask, labels: Labels) -> StepDone:
    """Safe to call twice, and when no label was ever issued."""
    labels.void(task.order_id)
    return StepDone()


def _is_po_box(address: Address) -> bool:
    return any(PO_BOX.search(line) for line in (address.line1, address.line2 or ""))
