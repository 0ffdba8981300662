"""Close the order: the last activity of every path, and of every time that an order is parked.

It turns the reservation of a completed order into a sale, and writes the outcome to the order's record, which from then
on answers for the order: also when its history has been purged. The mail that tells a customer what was undone follows
the record, which follows the ledger; it is sent at most once, and decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from activities import guards
from activities.notification import Mail, farewell_mail
from models.errors import OrderSagaError
from models.messages import CloseTask, OrderFinal
from models.order_record import Change, OrderRecord, claim_farewell, close

log = logging.getLogger(__name__)


class Orders(guards.Orders, Protocol):
    def claim(self, order: OrderRecord, rule: Callable[[OrderRecord], Change | None]) -> bool:
        """Apply a transition. True for the one caller whose try has changed the record."""


class Stock(Protocol):
    def sell(self, order_id: str) -> None:
        """reserved -> sold, and the units leave the shelf. Safe to repeat."""


class Mailer(Protocol):
    def send(self, mail: Mail) -> None: ...


def close_order(task: CloseTask, orders: Orders, stock: Stock, mailer: Mailer) -> OrderFinal:
    """Safe to call twice: a sale is a change of state, and the record is closed once."""
    if task.outcome.status == "completed":
        stock.sell(task.order_id)
    order = orders.change(task.order_id, close, task.outcome.as_json(), task.attention)
    log.info("order %s %s", order.order_id, _ending(order))
    if order.state in {"compensated", "cancelled"}:
        _bid_farewell(order, orders, mailer)
    return OrderFinal(outcome=order.outcome or task.outcome.as_json())


def _ending(order: OrderRecord) -> str:
    """`completed`, or `compensated (process_payment: card_declined)`: codes of ours, and nothing of the customer's."""
    failure = (order.outcome or {}).get("failure")
    return f"{order.state} ({failure['step']}: {failure['reason']})" if failure else str(order.state)


def _bid_farewell(order: OrderRecord, orders: Orders, mailer: Mailer) -> None:
    try:
        if order.total is not None and not order.is_erased and orders.claim(order, claim_farewell):
            mailer.send(farewell_mail(order, order.state))
    except OrderSagaError as fault:
        log.warning("order %s: the mail about its end was not sent and will not be: %s", order.order_id, fault)
