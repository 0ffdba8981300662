"""Close the order: the last activity of every path. It also runs each time that an order is parked.

It turns the reservation of a completed order into a sale, and writes the outcome to the order's record. From then on
the record answers for the order, also when the history has been purged. The push about a confirmation and the mail
about an undone order are sent after the record is written, and so after any refund. Each is sent at most once, and
changes no outcome.
"""

from __future__ import annotations

import logging
from typing import Protocol

from activities import guards, handover
from activities.alerts import Alerts, send_if_due
from activities.guards import Halted, Orders
from activities.notification import Links, Mail, Push, cancellation_mail, send_push
from activities.order_notes import close_and_claim, with_notes
from models.errors import OrderSagaError
from models.messages import CloseTask, OrderFinal, OrderUndoing
from models.order_record import OrderRecord, claim_confirmation

log = logging.getLogger(__name__)


class IndexedOrders(Orders, Protocol):
    def follow(self, order: OrderRecord) -> None:
        """Write the order's index row from its record."""


class Stock(Protocol):
    def sell(self, order_id: str, *, remembered: bool = False) -> None:
        """reserved -> sold, and `on_hand` falls. Safe to repeat.

        `remembered`: rows that this process remembers may be tried first.
        """


class Mailer(Protocol):
    def send(self, mail: Mail) -> None: ...


def close_order(
    task: CloseTask,
    orders: IndexedOrders,
    stock: Stock,
    mailer: Mailer,
    push: Push | None,
    *,
    links: Links,
    alerts: Alerts | None = None,
) -> Halted:
    """Safe to call twice: a sale is a change of state, and the record is closed once.

    An order whose cancel was promised, or that is being undone, is not completed, and one that has run is not rejected
    because its validation failed later: the order is left as it is, for a new saga.

    It reads the record and uses no remembered one, because the outcome is final. The call whose write has claimed the
    mail and the push sends them, so each is sent at most once. The index row is written after them: if the process dies
    in between, a retry writes the row, but a claimed mail is never sent again.
    """
    order = orders.read(task.order_id)
    if task.outcome.status == "completed":
        order = _claimed(order, orders)
        if not order.is_final and (halted := guards.halting_outcome(order)):
            return halted
        stock.sell(task.order_id, remembered=handover.is_first_attempt(task))
    outcome = task.outcome.as_json()
    closed = orders.apply(order, with_notes, handover.notes(task), close_and_claim, outcome, task.attention)
    log.info("order %s %s", closed.record.order_id, _ending(closed.record))
    if "confirmation_sent" in closed.events:
        send_push(push, closed.record)
    if "farewell_claimed" in closed.events:
        _send_cancellation_notice(closed.record, mailer, links)
    if task.outcome.status in {"completed", "rejected"} and not closed.record.is_final:
        return guards.moved_on(closed.record) or OrderUndoing(total=closed.record.total)
    orders.follow(closed.record)
    send_if_due(closed.record, orders, alerts)
    return OrderFinal(outcome=closed.record.outcome or outcome)


def _claimed(order: OrderRecord, orders: Orders) -> OrderRecord:
    """The order, claimed so that it can no longer be cancelled. It stays unclaimed if a cancel or an undo was first.

    A confirmation that was sent has claimed its order. With CONFIRMATION_FAILURE=ignore the confirmation may have
    failed before its claim.
    """
    return order if order.confirmation is not None else orders.change(order, claim_confirmation)


def _ending(order: OrderRecord) -> str:
    """`completed`, or `compensated (process_payment: card_declined)`: our own codes, no data of the customer."""
    failure = (order.outcome or {}).get("failure")
    return f"{order.state} ({failure['step']}: {failure['reason']})" if failure else str(order.state)


def _send_cancellation_notice(order: OrderRecord, mailer: Mailer, links: Links) -> None:
    try:
        mailer.send(cancellation_mail(order, order.state, links.url(order)))
    except OrderSagaError as fault:
        log.warning("order %s: the mail about its end was not sent and will not be: %s", order.order_id, fault)
