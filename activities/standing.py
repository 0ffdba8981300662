"""May this step still act? May this undo begin? The order's record says so; every step and every undo asks first."""

from __future__ import annotations

from typing import Any, Protocol

from models.errors import Refused
from models.order import OrderRecord
from models.results import StepCancelled, StepDone, UndoTask


class Orders(Protocol):
    def begin_undo(self, order_id: str, failure: dict[str, Any] | None, attention: int) -> OrderRecord:
        """Note, once and before anything is undone, that the order goes backwards from here.

        An order that was parked since (`attention` times is what this undo knows of) stays with its operator.
        """


def halted(order: OrderRecord) -> StepCancelled | None:
    """None: go on. A cancel is honoured here, at the safe point before a step acts.

    Raises Refused("already_undone") for a do that arrives after its order's undo has begun.
    """
    if order.undoing is not None or order.is_final:
        raise Refused("already_undone")
    return StepCancelled() if order.cancel_requested else None


def begin(task: UndoTask, undo: str, orders: Orders) -> tuple[OrderRecord, StepDone | None]:
    """The record, in which the undo has begun; with an outcome when an operator has resolved this undo already."""
    failure = None if task.failure is None else task.failure.model_dump(mode="json")
    order = orders.begin_undo(task.order_id, failure, task.attention)
    return order, StepDone(resolved=True) if undo in order.resolved else None
