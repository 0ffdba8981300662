"""Reserve stock, and release it. Do and undo, side by side.

A reservation is a row with the order's id. Releasing it changes the state of that row, so a second release is harmless,
and units that were never taken are never given back.
"""

from __future__ import annotations

from typing import Protocol

from activities import guards, handover
from activities.guards import Halted, Orders
from activities.order_notes import goods_released, goods_reserved
from models.messages import OrderFinal, StepDone, StepTask, UndoTask
from models.order_parts import Line
from models.order_record import note_goods
from models.states import RELEASE_INVENTORY


class Stock(Protocol):
    def reserve(self, order_id: str, lines: tuple[Line, ...], *, remembered: bool = False) -> None:
        """Reserve all lines or none. Safe to repeat.

        Raises Refused("out_of_stock" | "unknown_sku" | "already_released").
        `remembered`: rows that this process remembers may be tried first.
        """

    def release(self, order_id: str) -> None:
        """Release the units of this order. If it holds none, leave a tombstone that refuses a late reserve."""


def reserve_inventory(task: StepTask, orders: Orders, stock: Stock) -> StepDone | Halted:
    """Safe to call twice: the second call finds the reservation and returns.

    A remembered record is enough: lines and total are fixed in the state that its ETag names. The next step finds a
    later cancel. A later undo has left a tombstone, which refuses the reservation.
    """
    order = handover.current(task, orders)
    if halted := guards.halting_outcome(order):
        return halted
    stock.reserve(order.order_id, order.lines, remembered=handover.is_first_attempt(task))
    if handover.leaves_notes(task):
        return StepDone(left=handover.left(task, order, *handover.notes(task), goods_reserved()))
    orders.change(order, note_goods, "reserved")
    return StepDone()


def release_inventory(task: UndoTask, orders: Orders, stock: Stock) -> StepDone | OrderFinal:
    """Safe to call twice, and when nothing was ever reserved."""
    order, settled = guards.begin_undo(task, RELEASE_INVENTORY, orders)
    if settled:
        return settled
    stock.release(order.order_id)
    if handover.leaves_notes(task):
        return StepDone(left=handover.left_by_undo(task, goods_released()))
    orders.change(order, note_goods, "released")
    return StepDone()
