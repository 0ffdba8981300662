"""Close the order: the last activity of every path.

It turns the reservation of a completed order into a sale, and writes the outcome to the order's record, which from then
on answers for the order: also when its history has been purged.
"""

from __future__ import annotations

from typing import Protocol

from models.results import CloseTask, StepDone
from models.status import OrderView


class Orders(Protocol):
    def close(self, order_id: str, outcome: OrderView) -> None:
        """Write the outcome. Safe to repeat."""


class Stock(Protocol):
    def sell(self, order_id: str) -> None:
        """reserved -> sold, and the units leave the shelf. Safe to repeat."""


def close_order(task: CloseTask, orders: Orders, stock: Stock) -> StepDone:
    """Safe to call twice: a sale is a change of state, and the record is closed once."""
    if task.outcome.status == "completed":
        stock.sell(task.order_id)
    orders.close(task.order_id, task.outcome)
    return StepDone()
