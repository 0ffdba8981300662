"""The orders of a load: their kinds, sequence and bodies, over an article of the load's own."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from devtools.example_order import example_order

PRICE_MINOR = 1000
# 5,000.00: above any threshold that a shop would ask an approval for, and below the limits of Stripe.
UNITS_TO_APPROVE = 500
DECLINED = "pm_card_visa_chargeDeclined"


class Order(NamedTuple):
    """`units` is how many of the load's article it buys."""

    order_id: str
    kind: str
    units: int
    body: Mapping[str, Any]


def sku_of(run: str) -> str:
    return run.upper()


def drawn(run: str, count: int, shares: Mapping[str, int]) -> list[Order]:
    """`count` orders in the shares of the mix, each kind to within one order, in an order that the run's name draws."""
    kinds = _apportioned(count, shares)
    random.Random(run).shuffle(kinds)  # noqa: S311 - guessing it gains nothing
    return [_order(run, number, kind) for number, kind in enumerate(kinds, start=1)]


def _apportioned(count: int, shares: Mapping[str, int]) -> list[str]:
    """By largest remainders: the rest goes to the kinds that lost most by rounding down."""
    whole = sum(shares.values())
    exact = {kind: count * share / whole for kind, share in shares.items()}
    parts = {kind: int(each) for kind, each in exact.items()}
    by_loss = sorted(shares, key=lambda kind: parts[kind] - exact[kind])
    for kind in by_loss[: count - sum(parts.values())]:
        parts[kind] += 1
    return [kind for kind, part in parts.items() for _ in range(part)]


def _order(run: str, number: int, kind: str) -> Order:
    order_id = f"{run}-{number:06d}"
    units = UNITS_TO_APPROVE if kind == "approved" else 1
    customer = {"id": run, "name": "Load", "email": f"{run}@example.com"}
    body = example_order(
        order_id=order_id,
        customer=customer,
        items=[{"sku": sku_of(run), "quantity": units}],
        payment_method=DECLINED if kind == "declined" else "pm_card_visa",
    )
    return Order(order_id, kind, units, body)
