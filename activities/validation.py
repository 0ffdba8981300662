"""Validate: refuse what cannot be sold, fix prices and total once, and wait for an approval where one is needed.

It changes nothing outside of the record, so it has no undo. It also moves the order's record from accepted to running,
because the record decides whether an orchestration may act at all: a finished instance id can be started again in
Durable Functions, a finished order cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from activities import guards, handover
from activities.alerts import Alerts, send_if_due
from activities.guards import Orders
from models.delivery_address import is_po_box
from models.errors import Refused
from models.messages import OrderFinal, OrderUndoing, StepCancelled, StepDone, StepTask, StepWaiting
from models.money import Total, refusal
from models.order_parts import Approval, Line
from models.order_record import OrderRecord, expire_approval, renew_approval_wait, resume_after_approval, start
from models.stock import StockItem


class Catalogue(Protocol):
    def items(self, skus: Iterable[str]) -> Mapping[str, StockItem]:
        """The items of these SKUs, by SKU; an unknown SKU is left out."""


class PaymentMethods(Protocol):
    def check_method(self, payment_method: str) -> None:
        """Raises Refused("payment_method_invalid") for one that the provider does not know or that is no card."""


class Policy(NamedTuple):
    """The shop's own rules. `approval_threshold_minor`: None asks for no approvals."""

    ships_to: Collection[str]
    approval_threshold_minor: int | None
    approval_deadline_s: float


Outcome = StepDone | StepWaiting | StepCancelled | OrderUndoing | OrderFinal


def validate_order(
    task: StepTask,
    orders: Orders,
    catalogue: Catalogue,
    payments: PaymentMethods,
    policy: Policy,
    *,
    alerts: Alerts | None = None,
) -> Outcome:
    """Safe to call again: an order that is running keeps the prices that the first call fixed.

    Refuses with country_not_served, undeliverable_address, unknown_sku, mixed_currencies, out_of_stock,
    currency_not_supported, invalid_charge_amount, amount_too_small, amount_too_large, payment_method_invalid,
    approval_rejected, approval_expired.

    A remembered record is enough to start the order, by a write under its ETag. A refusal writes nothing. If the order
    has started since, it would leave money and goods behind, so a refusal counts only on a record that was read.
    """
    order = handover.current(task, orders)
    if order.state == "awaiting_approval":
        order = orders.change(order, renew_approval_wait)
    if order.state == "accepted" and not order.cancel_requested:
        try:
            lines, total = _priced(order, catalogue, payments, policy)
        except Refused:
            if order.is_guess:
                return validate_order(handover.as_retried(task), orders, catalogue, payments, policy, alerts=alerts)
            raise
        order = orders.change(order, start, lines, total, _deadline(total, policy))
    outcome = _settled_outcome(order) or _approved(task, order, orders)
    if isinstance(outcome, StepWaiting):
        send_if_due(order, orders, alerts)
    return outcome


def _settled_outcome(order: OrderRecord) -> Outcome | None:
    """The outcome of an order that must not continue; None if it may."""
    if outcome := guards.moved_on(order):
        return outcome
    if order.cancel_requested and order.state == "running":
        # An orchestration before this one may have reserved, charged or shipped.
        return OrderUndoing(total=order.total)
    return StepCancelled() if order.cancel_requested else None


def _approved(task: StepTask, order: OrderRecord, orders: Orders) -> Outcome:
    approval = order.approval
    if approval is None:
        return _done(task, order, order.priced_total())
    if approval.verdict is None and approval.deadline <= datetime.now(UTC):
        order = orders.change(order, expire_approval)
    verdict = order.approval.verdict if order.approval else None
    return VERDICTS[verdict](task, order, approval, orders)


def _still_waiting(task: StepTask, order: OrderRecord, approval: Approval, orders: Orders) -> Outcome:
    return StepWaiting(total=approval.total, deadline=approval.deadline, wake=approval.wake)


def _resume(task: StepTask, order: OrderRecord, approval: Approval, orders: Orders) -> Outcome:
    moved = orders.change(order, resume_after_approval)
    return _settled_outcome(moved) or _done(task, moved, approval.total)


def _done(task: StepTask, order: OrderRecord, total: Total) -> StepDone:
    """The intent is noted before money moves and before the label, so without one there is nothing that came before."""
    resumed = True if order.payment_intent_id else None
    return StepDone(total=total, resumed=resumed, left=handover.left(task, order))


def _refuse_rejected(task: StepTask, order: OrderRecord, approval: Approval, orders: Orders) -> Outcome:
    raise Refused("approval_rejected")


def _refuse_expired(task: StepTask, order: OrderRecord, approval: Approval, orders: Orders) -> Outcome:
    raise Refused("approval_expired")


VERDICTS: dict[str | None, Callable[[StepTask, OrderRecord, Approval, Orders], Outcome]] = {
    None: _still_waiting,
    "approved": _resume,
    "rejected": _refuse_rejected,
    "expired": _refuse_expired,
}


def _deadline(total: Total, policy: Policy) -> datetime | None:
    """The end of the wait of an order over the threshold; None for an order that needs no approval."""
    if policy.approval_threshold_minor is None or total.amount_minor <= policy.approval_threshold_minor:
        return None
    return datetime.now(UTC) + timedelta(seconds=policy.approval_deadline_s)


def _priced(
    order: OrderRecord, catalogue: Catalogue, payments: PaymentMethods, policy: Policy
) -> tuple[tuple[Line, ...], Total]:
    request = order.contents
    address = request.shipping_address
    if address.country not in policy.ships_to:
        raise Refused("country_not_served")
    if is_po_box(address.line1, address.line2, address.country):
        raise Refused("undeliverable_address")
    lines, total = _price(order, catalogue.items(item.sku for item in request.items))
    payments.check_method(request.payment_method)
    return lines, total


def _price(order: OrderRecord, stock: Mapping[str, StockItem]) -> tuple[tuple[Line, ...], Total]:
    items = order.contents.items
    if unknown := [item.sku for item in items if item.sku not in stock]:
        raise Refused("unknown_sku", skus=unknown)
    if len({stock[item.sku].currency for item in items}) > 1:
        raise Refused("mixed_currencies")
    if any(item.quantity > stock[item.sku].available for item in items):
        raise Refused("out_of_stock")
    lines = tuple(Line(sku=item.sku, quantity=item.quantity, price_minor=stock[item.sku].price_minor) for item in items)
    amount, currency = sum(line.quantity * line.price_minor for line in lines), stock[items[0].sku].currency
    if reason := refusal(amount, currency):
        raise Refused(reason)
    return lines, Total(amount_minor=amount, currency=currency)
