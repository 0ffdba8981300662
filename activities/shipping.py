"""Issue a shipping label, and void it. Do and undo, side by side."""

from __future__ import annotations

import re
from typing import Protocol

from activities import standing
from models.errors import Refused
from models.order import Address, OrderRecord
from models.results import StepCancelled, StepDone, StepTask, UndoTask

# Parcel carriers need a door. Post-office boxes, as the countries this shop knows write them.
PO_BOX = re.compile(
    r"\b(p\.?\s*o\.?\s*box|post\s*office\s*box|postfach|bo[iî]te\s+postale|casella\s+postale|apartado\s+(postal|de\s+correos))\b",
    re.IGNORECASE,
)


class Orders(standing.Orders, Protocol):
    def read(self, order_id: str) -> OrderRecord: ...

    def note_shipment(self, order: OrderRecord, tracking_number: str) -> OrderRecord: ...


class Labels(Protocol):
    def issue(self, order: OrderRecord) -> str:
        """Store the order's one label, or find it. Returns the tracking number. Raises Refused("label_voided")."""

    def void(self, order_id: str) -> None:
        """Make the label void for all to see. Where there is none, leave a void one, which refuses a late issue."""


def create_shipment(task: StepTask, orders: Orders, labels: Labels) -> StepDone | StepCancelled:
    """Safe to call twice: the second call finds the label. Refuses with undeliverable_address."""
    order = orders.read(task.order_id)
    if cancelled := standing.halted(order):
        return cancelled
    if _is_po_box(order.contents().shipping_address):
        raise Refused("undeliverable_address")
    orders.note_shipment(order, labels.issue(order))
    return StepDone()


def cancel_shipment(task: UndoTask, orders: Orders, labels: Labels) -> StepDone:
    """Safe to call twice, and when no label was ever issued."""
    order, resolved = standing.begin(task, "cancel_shipment", orders)
    if resolved:
        return resolved
    labels.void(order.order_id)
    return StepDone()


def _is_po_box(address: Address) -> bool:
    return any(PO_BOX.search(line) for line in (address.line1, address.line2 or ""))
