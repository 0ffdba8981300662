"""May this step still act? May this undo start? Every step and every undo first reads that in the order's record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol

from activities import handover
from activities.order_notes import with_notes
from models import order_record
from models.errors import Refused
from models.messages import StepCancelled, StepDone, UndoTask
from models.order_record import Applied, Change, OrderRecord

Rule = ParamSpec("Rule")


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


def refuse_or_cancel(order: OrderRecord) -> StepCancelled | None:
    """None: the step may act. A cancel is honoured here, at the safe point before a step acts.

    Raises Refused("already_undone") for a do that arrives after its order's undo has started.
    """
    if order.undoing is not None or order.is_final:
        raise Refused("already_undone")
    return StepCancelled() if order.cancel_requested else None


def begin_undo(task: UndoTask, undo: str, orders: Orders) -> tuple[OrderRecord, StepDone | None]:
    """Write that the undo has started. Returns the record, and an outcome if an operator has resolved this undo."""
    failure = None if task.failure is None else task.failure.model_dump(mode="json")
    order = orders.change(
        task.order_id, with_notes, handover.notes(task), order_record.begin_undo, failure, task.attention
    )
    return order, StepDone(resolved=True, left=handover.left_by_undo(task)) if undo in order.resolved else None
