"""Reserve stock, and release it. Do and undo, side by side.

A reservation is a row with the order's id; releasing it is a change of that row's state, so that twice is harmless and
nothing is ever given back that was not taken.
"""

from __future__ import annotations

from typing import Protocol

from activities import standing
from models.order import Line, OrderRecord
from models.results import StepCancelled, StepDone, StepTask, UndoTask


class Orders(standing.Orders, Protocol):
    def read(self, order_id: str) -> OrderRecord: ...

    def note_goods(self, order: OrderRecord, goods: str) -> OrderRecord: ...


class Stock(Protocol):
    def reserve(self, order_id: str, lines: tuple[Line, ...]) -> None:
        """All lines or none. Safe to repeat. Raises Refused("out_of_stock" | "unknown_sku" | "already_released")."""

    def release(self, order_id: str) -> None:
        """Give back what this order holds. Where it holds nothing, leave a tombstone that refuses a late reserve."""


def reserve_inventory(task: StepTask, orders: Orders, stock: Stock) -> StepDone | StepCancelled:
    """Safe to call twice: the second call finds the reservation and returns."""
    order = orders.read(task.order_id)
    if cancelled := standing.halted(order):
        return cancelled
    stock.reserve(order.order_id, order.lines)
    orders.note_goods(order, "reserved")
    return StepDone()


def release_inventory(task: UndoTask, orders: Orders, stock: Stock) -> StepDone:
    """Safe to call twice, and when nothing was ever reserved."""
    order, resolved = standing.begin(task, "release_inventory", orders)
    if resolved:
        return resolved
    stock.release(order.order_id)
    orders.note_goods(order, "released")
    return StepDone()
