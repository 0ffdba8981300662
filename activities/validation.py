"""Validate: refuse what cannot be sold, fix prices and total once. It changes nothing outside, so it has no undo.

The same activity moves the order's record from accepted to running, because the record decides whether an orchestration
may act at all: a finished instance id can be started again in Durable Functions, a finished order cannot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from models.errors import Refused
from models.order import Line, OrderRecord, StockItem, Total
from models.results import OrderFinal, StepDone, StepTask


class Orders(Protocol):
    def read(self, order_id: str) -> OrderRecord: ...

    def start(self, order_id: str, lines: tuple[Line, ...], total: Total) -> OrderRecord:
        """Move accepted -> running and fix lines and total. Returns the record as it then stands, moved or not."""


class Catalogue(Protocol):
    def items(self, skus: Iterable[str]) -> Mapping[str, StockItem]:
        """The known SKUs among those asked for."""


class PaymentMethods(Protocol):
    def check_method(self, payment_method: str) -> None:
        """Raises Refused("payment_method_invalid") for one that the provider does not know or that is no card."""

    def check_total(self, total: Total) -> None:
        """Raises Refused("amount_too_small" | "amount_too_large") outside the provider's limits."""


def validate_order(
    task: StepTask, orders: Orders, catalogue: Catalogue, payments: PaymentMethods, ships_to: Collection[str]
) -> StepDone | OrderFinal:
    """Safe to call again: an order that is running keeps the prices that the first call fixed.

    Refuses with country_not_served, unknown_sku, mixed_currencies, out_of_stock, amount_too_small, amount_too_large,
    payment_method_invalid.
    """
    order = orders.read(task.order_id)
    if order.state == "accepted":
        lines, total = _priced(order, catalogue, payments, ships_to)
        order = orders.start(order.order_id, lines, total)
    if order.is_final:
        return OrderFinal(outcome=order.outcome or {})
    return StepDone(total=order.priced_total())


def _priced(
    order: OrderRecord, catalogue: Catalogue, payments: PaymentMethods, ships_to: Collection[str]
) -> tuple[tuple[Line, ...], Total]:
    if order.request.shipping_address.country not in ships_to:
        raise Refused("country_not_served")
    lines, total = _price(order, catalogue.items(item.sku for item in order.request.items))
    payments.check_total(total)
    payments.check_method(order.request.payment_method)
    return lines, total


def _price(order: OrderRecord, stock: Mapping[str, StockItem]) -> tuple[tuple[Line, ...], Total]:
    items = order.request.items
    if any(item.sku not in stock for item in items):
        raise Refused("unknown_sku")
    if len({stock[item.sku].currency for item in items}) > 1:
        raise Refused("mixed_currencies")
    if any(item.quantity > stock[item.sku].available for item in items):
        raise Refused("out_of_stock")
    lines = tuple(Line(sku=item.sku, quantity=item.quantity, price_minor=stock[item.sku].price_minor) for item in items)
    amount = sum(line.quantity * line.price_minor for line in lines)
    return lines, Total(amount_minor=amount, currency=stock[items[0].sku].currency)
