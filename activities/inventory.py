"""Reserve stock, and release it. Do and undo, side by side.

A reservation is a row with the order's id; releasing it is a change of that row's state, so that twice is harmless and
nothing is ever given back that was not taken.
"""

from __future__ import annotations

from typing import Protocol

from models.order import Line, OrderRecord
from models.results import StepDone, StepTask


class Orders(Protocol):
    def read(self, order_id: str) -> OrderRecord: ...


class Stock(Protocol):
    def reserve(self, order_id: str, lines: tuple[Line, ...]) -> None:
        """All lines or none. Safe to repeat. Raises Refused("out_of_stock" | "unknown_sku" | "already_released")."""

    def release(self, order_id: str) -> None:
        """Give back what this order holds. Where it holds nothing, leave a tombstone that refuses a late reserve."""


def reserve_inventory(task: StepTask, orders: Orders, stock: Stock) -> StepDone:
    """Safe to call twice: the second call finds the reservation and returns."""
    order = orders.read(task.order_id)
    stock.reserve(order.order_id, order.lines)
    return StepDone()


def release_inventory(task: StepTask, stock: Stock) -> StepDone:
    """Safe to call twice, and when nothing was ever reserved."""
    stock.release(task.order_id)
    return StepDone()
