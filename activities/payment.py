"""Charge the card, and refund it. Do and undo, side by side.

The charge has two phases, so that its id is in our record before any money moves: open an unconfirmed payment intent,
note its id, confirm it. If the confirmation's answer is lost, the next attempt asks the provider by that id.
"""

from __future__ import annotations

import logging
from typing import Protocol

from activities import guards, handover
from activities.guards import Halted, Orders
from activities.order_notes import with_notes
from models.errors import OutcomeUnknown, Refused
from models.messages import OrderFinal, StepDone, StepTask, StepUnknown, UndoTask
from models.order_record import OrderRecord, note_charged, note_payment_intent, note_payment_unknown, note_refund
from models.states import REFUND_PAYMENT

log = logging.getLogger(__name__)


class Payments(Protocol):
    def open_intent(self, order: OrderRecord, operation_id: str) -> str:
        """Create the unconfirmed intent of this operation, or find it again. It holds no money. Returns its id."""

    def confirm(self, order_id: str, intent_id: str) -> None:
        """Charge. Raises Refused, OutcomeUnknown or Unavailable."""

    def settle(self, order_id: str, intent_id: str) -> None:
        """Read the result of an earlier confirmation; confirm only if it had no effect. Raises as confirm."""

    def give_back(self, order_id: str, intent_id: str) -> str | None:
        """Cancel an intent that is not captured, refund one that is, once. Returns the refund's id, or None.

        Raises OutcomeUnknown while the provider has not confirmed it.
        """


def process_payment(task: StepTask, orders: Orders, payments: Payments) -> StepDone | StepUnknown | Halted:
    """Safe to call again at any point: the state of an intent in our record is read before it is confirmed.

    A remembered record is enough: the intent holds no money, and its id is written under the ETag before it is
    confirmed. If that write finds another state, the record is read. A cancel or an undo since then is honoured. An
    intent that another attempt has noted may be confirmed already, so it is settled.
    """
    order = handover.current(task, orders)
    if halted := guards.halting_outcome(order):
        return halted
    charge = payments.settle
    if order.payment_intent_id is None:
        intent_id = payments.open_intent(order, task.operation_id)
        opened = orders.apply(order, with_notes, handover.notes(task), note_payment_intent, intent_id)
        order = opened.record
        if halted := guards.halting_outcome(order):
            return halted
        if "payment_intent_opened" in opened.events:
            charge = payments.confirm
    try:
        charge(order.order_id, str(order.payment_intent_id))
    except OutcomeUnknown as unknown:
        return _unknown(task, orders, order, unknown)
    order = orders.change(order, with_notes, handover.notes(task), note_charged)
    return StepDone(left=handover.left(task, order))


def _unknown(task: StepTask, orders: Orders, order: OrderRecord, unknown: OutcomeUnknown) -> StepUnknown:
    """Note which event the saga waits for. The provider's webhook may come before our next question, and raises it."""
    log.warning("outcome unknown: %s", unknown)
    past = int(order.payment_wake.rpartition(":")[2]) if order.payment_wake else 0
    wake = f"payment:{past + 1}"
    orders.change(order, with_notes, handover.notes(task), note_payment_unknown, wake)
    return StepUnknown(wake=wake)


def refund_payment(task: UndoTask, orders: Orders, payments: Payments) -> StepDone | OrderFinal:
    """Safe to call twice, and when nothing was ever charged.

    If the intent's id is unknown, the same operation id opens the same intent, which is then cancelled. So the provider
    itself refuses a late confirmation.
    """
    order, settled = guards.begin_undo(task, REFUND_PAYMENT, orders)
    if settled:
        return settled
    if order.total is None:  # it was parked before its validation, so no intent was ever opened
        return StepDone(left=handover.left_by_undo(task))
    if order.payment_intent_id is None:
        try:
            intent_id = payments.open_intent(order, task.operation_id)
            order = orders.change(order, note_payment_intent, intent_id)
        except Refused:  # proof that no intent was ever opened under this id: there is nothing to give back
            return StepDone(left=handover.left_by_undo(task))
    assert order.payment_intent_id is not None
    refund_id = payments.give_back(order.order_id, order.payment_intent_id)
    if refund_id is not None:
        orders.change(order, note_refund, refund_id)
    return StepDone(left=handover.left_by_undo(task))
