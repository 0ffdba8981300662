"""May this step still act? May this undo start? Every step and every undo first reads that in the order's record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol

from activities import handover
from activities.order_notes import with_notes
from models import order_record
from models.messages import OrderFinal, OrderUndoing, StepCancelled, StepDone, UndoTask
from models.order_record import Applied, Change, OrderRecord

Rule = ParamSpec("Rule")

Halted = OrderFinal | OrderUndoing | StepCancelled

# An order that older code parked before it had a total is in one of these states without being undone.
PARKED_BEFORE = frozenset({"needs_attention", "compensating"})


class Orders(handover.OrderReader, Protocol):
    """The orders' records, as every activity needs them."""

    def change(
        self,
        order: OrderRecord | str,
        rule: Callable[Concatenate[OrderRecord, Rule], Change | None],
        *args: Rule.args,
        **kwargs: Rule.kwargs,
    ) -> OrderRecord:
        """Apply a transition of `models.order_record`. Returns the record after it."""

    def apply(
        self,
        order: OrderRecord | str,
        rule: Callable[Concatenate[OrderRecord, Rule], Change | None],
        *args: Rule.args,
        **kwargs: Rule.kwargs,
    ) -> Applied:
        """As `change`. Also returns the events that this call has written. The caller writes the index."""


def moved_on(order: OrderRecord) -> OrderFinal | OrderUndoing | None:
    """The outcome of a step whose order has ended, or only goes backwards. None: it goes forward.

    An activity of an orchestration that is gone may still run, and end the order or start to undo it. So each step of
    the next orchestration can find that, and not only the first.
    """
    if order.is_final:
        return OrderFinal(outcome=order.outcome or {})
    if order.undoing is not None or order.state in PARKED_BEFORE:
        failure = (order.undoing or {}).get("failure")
        return OrderUndoing(total=order.total, failure=failure, attention=order.attention)
    return None


def halting_outcome(order: OrderRecord) -> Halted | None:
    """None: the step may act. A cancel is honoured here, at the safe point before a step acts."""
    return moved_on(order) or (StepCancelled() if order.cancel_requested else None)


def begin_undo(task: UndoTask, undo: str, orders: Orders) -> tuple[OrderRecord, StepDone | OrderFinal | None]:
    """Write that the undo has started. Returns the record, and an outcome if the undo must not act.

    It must not act if an operator has resolved it, or if the order has ended: what it would take back may be delivered.
    """
    failure = None if task.failure is None else task.failure.model_dump(mode="json")
    order = orders.change(
        task.order_id, with_notes, handover.notes(task), order_record.begin_undo, failure, task.attention
    )
    if order.is_final:
        return order, OrderFinal(outcome=order.outcome or {})
    return order, StepDone(resolved=True, left=handover.left_by_undo(task)) if undo in order.resolved else None
