"""Notify the customer, after all other steps. A sent message cannot be unsent, so there is no undo.

No server can be asked whether a mail was sent. So the mail is sent at least once, always with the same Message-ID and
text. The record says `sending` before and `sent` after. A second copy exists only if the process died, or the
connection was lost, after the mail server accepted the mail and before `sent` was written.

`close_order` writes `sent`, and then sends the push, at most once. The push changes no outcome.
"""

from __future__ import annotations

import html
import logging
from typing import NamedTuple, Protocol

from activities import guards, handover
from activities.guards import Halted, Orders
from activities.order_notes import confirmation_sent, with_notes
from models.errors import OrderSagaError
from models.messages import StepDone, StepTask
from models.money import formatted
from models.order_record import OrderRecord, claim_confirmation, note_confirmation_sent
from models.view import REASONS_FOR_CUSTOMERS, money_back

log = logging.getLogger(__name__)


class Mail(NamedTuple):
    """`key` makes the Message-ID: the same key, the same message."""

    key: str
    order_id: str
    to: str
    subject: str
    text: str
    html: str


class Mailer(Protocol):
    def send(self, mail: Mail) -> None:
        """Send the mail. Raises Refused("recipient_rejected"), OutcomeUnknown or Unavailable."""


class Push(Protocol):
    def send(self, tag: str, order_id: str, message: str) -> None: ...


class Links(Protocol):
    def url(self, order: OrderRecord) -> str | None:
        """The customer's page of the order; None if there are no links. The same for each attempt."""


def send_confirmation(
    task: StepTask, orders: Orders, mailer: Mailer, push: Push | None, links: Links
) -> StepDone | Halted:
    """Safe to call again: a confirmation that the record knows as sent is not sent a second time.

    A remembered record is enough: the mail is sent only after the claim, which is written under the ETag or found on a
    record that was read. A cancel or an undo changes the same record, so one of the two writes is first.
    """
    order = handover.current(task, orders)
    if halted := guards.halting_outcome(order):
        return halted
    if order.confirmation == "sent":
        return StepDone(left=handover.left(task, order, *handover.notes(task)))
    order = orders.change(order, with_notes, handover.notes(task), claim_confirmation)
    if halted := guards.halting_outcome(order):  # a cancel, an undo or an end was first
        return halted
    mailer.send(confirmation_mail(order, links.url(order)))
    if handover.leaves_notes(task):
        return StepDone(left=handover.left(task, order, confirmation_sent()))
    orders.change(order, note_confirmation_sent)
    send_push(push, order)
    return StepDone()


def send_push(push: Push | None, order: OrderRecord) -> None:
    """Send the push. Only the call that wrote `sent` does so, so it is sent at most once."""
    if push is None:
        return
    try:
        message = f"Your order {order.order_id} is on its way."
        push.send(f"customer:{order.contents.customer.id}", order.order_id, message)
    except OrderSagaError as fault:
        log.warning("order %s: the push was not sent and will not be: %s", order.order_id, fault)


def cancellation_mail(order: OrderRecord, status: str, link: str | None) -> Mail:
    """The mail about an order that was undone. Its key, and so its Message-ID, differs from the confirmation's."""
    opening = f"your order {order.order_id} was {'cancelled' if status == 'cancelled' else 'not completed'}."
    facts = [sentence for sentence in (_reason(order, status), money_back(order)) if sentence]
    greeting = f"Hello {order.contents.customer.name},"
    return Mail(
        key=f"{order.order_id}.farewell",
        order_id=order.order_id,
        to=order.contents.customer.email,
        subject=f"Your order {order.order_id} was {'cancelled' if status == 'cancelled' else 'not completed'}",
        text="\n".join([greeting, "", opening, "", *facts, *_follow(link), ""]),
        html=_as_html(greeting, opening, facts, link),
    )


def _reason(order: OrderRecord, status: str) -> str | None:
    """Why the order was not completed, if that is for the customer to know. Who has cancelled knows why."""
    failure = (order.outcome or {}).get("failure") or {}
    return None if status == "cancelled" else REASONS_FOR_CUSTOMERS.get(failure.get("reason", ""))


def confirmation_mail(order: OrderRecord, link: str | None) -> Mail:
    """The same order always gives the same mail."""
    lines = [f"{line.quantity} x {line.sku} at {money(line.price_minor, order)}" for line in order.lines]
    facts = [
        f"Order: {order.order_id}",
        *lines,
        f"Total: {money(order.priced_total().amount_minor, order)}",
        f"Tracking number: {order.tracking_number}",
    ]
    greeting, opening = f"Hello {order.contents.customer.name},", "thank you for your order. It is on its way."
    return Mail(
        key=f"{order.order_id}.confirmation",
        order_id=order.order_id,
        to=order.contents.customer.email,
        subject=f"Your order {order.order_id} is on its way",
        text="\n".join([greeting, "", opening, "", *facts, *_follow(link), ""]),
        html=_as_html(greeting, opening, facts, link),
    )


def _follow(link: str | None) -> list[str]:
    return [] if link is None else ["", f"Follow your order: {link}"]


def _as_html(greeting: str, opening: str, facts: list[str], link: str | None) -> str:
    rows = "".join(f"<li>{html.escape(fact)}</li>" for fact in facts)
    follow = "" if link is None else f'<p><a href="{html.escape(link)}">Follow your order</a></p>'
    return f"<p>{html.escape(greeting)}</p><p>{html.escape(opening)}</p><ul>{rows}</ul>{follow}"


def money(amount_minor: int, order: OrderRecord) -> str:
    return formatted(amount_minor, order.priced_total().currency)
