"""Issue a shipping label, and void it. Do and undo, side by side."""

from __future__ import annotations

from typing import Protocol

from activities import standing
from models.errors import Refused
from models.order import OrderRecord
from models.po_box import is_po_box
from models.results import StepCancelled, StepDone, StepTask, UndoTask


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
    address = order.contents().shipping_address
    if is_po_box(address.line1, address.line2, address.country):  # validation refuses it; older code's did not
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
