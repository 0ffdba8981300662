"""Close the order: the last activity of every path, and of every time that an order is parked.

It turns the reservation of a completed order into a sale, and writes the outcome to the order's record, which from then
on answers for the order: also when its history has been purged. The mail that tells a customer what was undone follows
the record, which follows the ledger; it is sent at most once, and decides nothing.
"""

from __future__ import annotations

import logging
from typing import Protocol

from activities.notification import Mail, farewell_mail
from models.errors import OrderSagaError
from models.order import OrderRecord
from models.results import CloseTask, OrderFinal
from models.status import OrderView

log = logging.getLogger(__name__)


class Orders(Protocol):
    def close(self, order_id: str, outcome: OrderView, attention: int) -> OrderRecord:
        """Write the outcome. Safe to repeat. The record's own outcome may differ: a cancel that was promised."""

    def claim_farewell(self, order: OrderRecord) -> bool:
        """True for one caller ever."""


class Stock(Protocol):
    def sell(self, order_id: str) -> None:
        """reserved -> sold, and the units leave the shelf. Safe to repeat."""


class Mailer(Protocol):
    def send(self, mail: Mail) -> None: ...


def close_order(task: CloseTask, orders: Orders, stock: Stock, mailer: Mailer) -> OrderFinal:
    """Safe to call twice: a sale is a change of state, and the record is closed once."""
    if task.outcome.status == "completed":
        stock.sell(task.order_id)
    order = orders.close(task.order_id, task.outcome, task.attention)
    if order.state in {"compensated", "cancelled"}:
        _bid_farewell(order, orders, mailer)
    return OrderFinal(outcome=order.outcome or task.outcome.as_json())


def _bid_farewell(order: OrderRecord, orders: Orders, mailer: Mailer) -> None:
    try:
        if order.total is not None and order.request is not None and orders.claim_farewell(order):
            mailer.send(farewell_mail(order, order.state))
    except OrderSagaError as fault:
        log.warning("order %s: the mail about its end was not sent and will not be: %s", order.order_id, fault)
