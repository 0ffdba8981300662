"""Issue a shipping label, and void it. Do and undo, side by side."""

from __future__ import annotations

from typing import Protocol

from activities import guards, handover
from activities.guards import Halted, Orders
from activities.order_notes import label_issued
from models.delivery_address import is_po_box
from models.errors import Refused
from models.messages import OrderFinal, StepDone, StepTask, UndoTask
from models.order_parts import StoredAddress
from models.order_record import OrderRecord, note_shipment
from models.order_request import printable
from models.states import CANCEL_SHIPMENT


class Labels(Protocol):
    def issue(self, order: OrderRecord) -> str:
        """Store the order's one label, or find it. Returns the tracking number. Raises Refused("label_voided")."""

    def void(self, order_id: str) -> None:
        """Replace the label by a void page. If there is none, leave a void page, which refuses a late issue."""


def create_shipment(task: StepTask, orders: Orders, labels: Labels) -> StepDone | Halted:
    """Safe to call twice: the second call finds the label. Refuses with undeliverable_address.

    A remembered record is enough: the address never changes. A later undo has left a void label, which refuses it.
    The claim of the confirmation finds a later cancel.
    """
    order = handover.current(task, orders)
    if halted := guards.halting_outcome(order):
        return halted
    if not _is_deliverable(order.contents.shipping_address):
        raise Refused("undeliverable_address")
    number = labels.issue(order)
    if handover.leaves_notes(task):
        return StepDone(left=handover.left(task, order, *handover.notes(task), label_issued(number)))
    orders.change(order, note_shipment, number)
    return StepDone()


def _is_deliverable(address: StoredAddress) -> bool:
    """Whether a carrier can deliver to the address.

    The API and validation refuse other addresses, but an order that older code accepted may be in flight: with a PO
    box, a missing text, or a character that the label's font does not have.
    """
    texts = (address.name, address.line1, address.city, address.country)
    if not all(text.strip() for text in texts) or is_po_box(address.line1, address.line2, address.country):
        return False
    return all(
        printable(character) for text in (*texts, address.line2 or "", address.postal_code) for character in text
    )


def cancel_shipment(task: UndoTask, orders: Orders, labels: Labels) -> StepDone | OrderFinal:
    """Safe to call twice, and when no label was ever issued."""
    order, settled = guards.begin_undo(task, CANCEL_SHIPMENT, orders)
    if settled:
        return settled
    labels.void(order.order_id)
    return StepDone(left=handover.left_by_undo(task))
