"""Reserve stock, and release it. Do and undo, side by side.

A reservation is a row with the order's id; releasing it is a change of that row's state, so that twice is harmless and
nothing is ever given back that was not taken.
"""

from __future__ import annotations

from typing import Protocol

from activities import guards
from activities.guards import Orders
from models.messages import StepCancelled, StepDone, StepTask, UndoTask
from models.order_record import Line, note_goods
from models.states import RELEASE_INVENTORY


class Stock(Protocol):
    def reserve(self, order_id: str, lines: tuple[Line, ...]) -> None:
        """All lines or none. Safe to repeat. Raises Refused("out_of_stock" | "unknown_sku" | "already_released")."""

    def release(self, order_id: str) -> None:
        """Give back what this order holds. Where it holds nothing, leave a tombstone that refuses a late reserve."""


def reserve_inventory(task: StepTask, orders: Orders, stock: Stock) -> StepDone | StepCancelled:
    """Safe to call twice: the second call finds the reservation and returns."""
    order = orders.read(task.order_id)
    if cancelled := guards.refuse_or_cancel(order):
        return cancelled
    stock.reserve(order.order_id, order.lines)
    orders.change(order, note_goods, "reserved")
    return StepDone()


def release_inventory(task: UndoTask, orders: Orders, stock: Stock) -> StepDone:
    """Safe to call twice, and when nothing was ever reserved."""
    order, resolved = guards.begin_undo(task, RELEASE_INVENTORY, orders)
    if resolved:
        return resolved
    stock.release(order.order_id)
    orders.change(order, note_goods, "released")
    return StepDone()
