"""Charge the card, and give the money back. Do and undo, side by side.

The charge has two phases, so that its id is in our record before any money moves: open an unconfirmed payment intent,
note its id, confirm it. Whatever happens to the confirmation's answer, the next attempt asks the provider by that id.
"""

from __future__ import annotations

import logging
from typing import Protocol

from activities import standing
from models.errors import OutcomeUnknown, Refused
from models.order import OrderRecord
from models.results import StepCancelled, StepDone, StepTask, StepUnknown, UndoTask

log = logging.getLogger(__name__)


class Orders(standing.Orders, Protocol):
    def read(self, order_id: str) -> OrderRecord: ...

    def note_payment_intent(self, order: OrderRecord, intent_id: str) -> OrderRecord: ...

    def note_payment_unknown(self, order: OrderRecord, wake: str) -> OrderRecord: ...

    def note_charged(self, order: OrderRecord) -> OrderRecord: ...

    def note_refund(self, order: OrderRecord, refund_id: str) -> OrderRecord: ...


class Payments(Protocol):
    def open_intent(self, order: OrderRecord, operation_id: str) -> str:
        """Create the unconfirmed intent of this operation, or find it again. It holds no money. Returns its id."""

    def confirm(self, order_id: str, intent_id: str) -> None:
        """Charge. Raises Refused, OutcomeUnknown or Unavailable."""

    def settle(self, order_id: str, intent_id: str) -> None:
        """Find out what became of an earlier confirmation; confirm only if it had no effect. Raises as confirm."""

    def give_back(self, order_id: str, intent_id: str) -> str | None:
        """Cancel what is not captured, refund what is, once. Returns the refund's id, None when no money had moved.

        Raises OutcomeUnknown while the provider has not confirmed it.
        """


def process_payment(task: StepTask, orders: Orders, payments: Payments) -> StepDone | StepCancelled | StepUnknown:
    """Safe to call again at any point: an intent that our record knows is asked about before it is confirmed."""
    order = orders.read(task.order_id)
    if cancelled := standing.halted(order):
        return cancelled
    try:
        order = _charge(order, task.operation_id, orders, payments)
    except OutcomeUnknown as unknown:
        return _unknown(orders, order, unknown)
    orders.note_charged(order)
    return StepDone()


def _charge(order: OrderRecord, operation_id: str, orders: Orders, payments: Payments) -> OrderRecord:
    if order.payment_intent_id is not None:
        payments.settle(order.order_id, order.payment_intent_id)
        return order
    intent_id = payments.open_intent(order, operation_id)
    order = orders.note_payment_intent(order, intent_id)
    payments.confirm(order.order_id, intent_id)
    return order


def _unknown(orders: Orders, order: OrderRecord, unknown: OutcomeUnknown) -> StepUnknown:
    """The provider's webhook may know before we ask again: it finds in the record which event the saga waits for."""
    log.warning("outcome unknown: %s", unknown)
    past = int(order.payment_wake.rpartition(":")[2]) if order.payment_wake else 0
    wake = f"payment:{past + 1}"
    orders.note_payment_unknown(order, wake)
    return StepUnknown(wake=wake)


def refund_payment(task: UndoTask, orders: Orders, payments: Payments) -> StepDone:
    """Safe to call twice, and when nothing was ever charged.

    Where not even the intent's id is known, the same operation id opens the same intent, which is then cancelled: the
    provider itself refuses a confirmation that comes late.
    """
    order, resolved = standing.begin(task, "refund_payment", orders)
    if resolved:
        return resolved
    if order.payment_intent_id is None:
        try:
            order = orders.note_payment_intent(order, payments.open_intent(order, task.operation_id))
        except Refused:  # proof that no intent was ever opened under this id: there is nothing to give back
            return StepDone()
    assert order.payment_intent_id is not None
    refund_id = payments.give_back(order.order_id, order.payment_intent_id)
    if refund_id is not None:
        orders.note_refund(order, refund_id)
    return StepDone()
