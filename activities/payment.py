"""Charge the card, and give the money back. Do and undo, side by side.

The charge has two phases, so that its id is in our record before any money moves: open an unconfirmed payment intent,
note its id, confirm it. Whatever happens to the confirmation's answer, the next attempt asks the provider by that id.
"""

from __future__ import annotations

from typing import Protocol

from models.errors import Refused
from models.order import OrderRecord
from models.results import StepDone, StepTask


class Orders(Protocol):
    def read(self, order_id: str) -> OrderRecord: ...

    def note_payment_intent(self, order_id: str, intent_id: str) -> None: ...

    def note_refund(self, order_id: str, refund_id: str | None) -> None: ...


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


def process_payment(task: StepTask, orders: Orders, payments: Payments) -> StepDone:
    """Safe to call again at any point: an intent that our record knows is asked about before it is confirmed."""
    order = orders.read(task.order_id)
    if order.payment_intent_id is not None:
        payments.settle(order.order_id, order.payment_intent_id)
        return StepDone()
    intent_id = payments.open_intent(order, task.operation_id)
    orders.note_payment_intent(order.order_id, intent_id)
    payments.confirm(order.order_id, intent_id)
    return StepDone()


def refund_payment(task: StepTask, orders: Orders, payments: Payments) -> StepDone:
    """Safe to call twice, and when nothing was ever charged.

    Where not even the intent's id is known, the same operation id opens the same intent, which is then cancelled: the
    provider itself refuses a confirmation that comes late.
    """
    order = orders.read(task.order_id)
    try:
        intent_id = order.payment_intent_id or payments.open_intent(order, task.operation_id)
    except Refused:  # proof that no intent was ever opened under this id: there is nothing to give back
        return StepDone()
    orders.note_payment_intent(order.order_id, intent_id)
    refund_id = payments.give_back(order.order_id, intent_id)
    orders.note_refund(order.order_id, refund_id)
    return StepDone()
