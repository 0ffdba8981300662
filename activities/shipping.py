"""Issue a shipping label, and void it. Do and undo, side by side."""

from __future__ import annotations

from typing import Protocol

from activities import guards
from activities.guards import Orders
from models.errors import Refused
from models.messages import StepCancelled, StepDone, StepTask, UndoTask
from models.order_record import OrderRecord, note_shipment
from models.po_box import is_po_box
from models.states import CANCEL_SHIPMENT


class Labels(Protocol):
    def issue(self, order: OrderRecord) -> str:
        """Store the order's one label, or find it. Returns the tracking number. Raises Refused("label_voided")."""

    def void(self, order_id: str) -> None:
        """Make the label void for all to see. Where there is none, leave a void one, which refuses a late issue."""


def create_shipment(task: StepTask, orders: Orders, labels: Labels) -> StepDone | StepCancelled:
    """Safe to call twice: the second call finds the label. Refuses with undeliverable_address."""
    order = orders.read(task.order_id)
    if cancelled := guards.refuse_or_cancel(order):
        return cancelled
    address = order.contents.shipping_address
    if is_po_box(address.line1, address.line2, address.country):  # validation refuses it; older code's did not
        raise Refused("undeliverable_address")
    orders.change(order, note_shipment, labels.issue(order))
    return StepDone()


def cancel_shipment(task: UndoTask, orders: Orders, labels: Labels) -> StepDone:
    """Safe to call twice, and when no label was ever issued."""
    order, resolved = guards.begin_undo(task, CANCEL_SHIPMENT, orders)
    if resolved:
        return resolved
    labels.void(order.order_id)
    return StepDone()
