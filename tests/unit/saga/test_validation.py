"""What validation refuses, and that it refuses before the record moves; step 4 on an order of older code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from activities import runner
from activities.shipping import create_shipment
from activities.validation import Policy, validate_order
from models.errors import Refused
from models.messages import StepDone, StepTask
from models.money import Total
from models.order_record import Change, OrderRecord
from models.stock import StockItem
from tests.unit.orders import body, request, running_order

POLICY = Policy(frozenset({"GB"}), None, 3600)
TASK = StepTask(order_id="order-1", operation_id="order-1:validate")


class RecordInMemory:
    """The record of one accepted order, changed by its own rules."""

    def __init__(self, **changes: Any) -> None:
        self.record = running_order(sent=request(**changes).model_dump_json(), state="accepted", lines=(), total=None)

    @property
    def started(self) -> Total | None:
        return self.record.total

    @property
    def shipped(self) -> str | None:
        return self.record.tracking_number

    def read(self, order_id: str) -> OrderRecord:
        return self.record

    def change(self, order: OrderRecord | str, rule: Callable[..., Change | None], *args: Any, **kwargs: Any) -> Any:
        change = rule(self.record, *args, **kwargs)
        self.record = self.record.model_copy(update=dict(change.facts) if change else {})
        return self.record


class Shelves:
    """SKUs by name: (price, currency), a thousand of each."""

    def __init__(self, prices: Mapping[str, tuple[int, str]]) -> None:
        self._prices = prices

    def items(self, skus: Any) -> Mapping[str, StockItem]:
        wanted = set(skus)
        return {
            sku: StockItem(sku=sku, on_hand=1000, reserved=0, price_minor=price, currency=currency)
            for sku, (price, currency) in self._prices.items()
            if sku in wanted
        }


class AnyCard:
    checked = 0

    def check_method(self, payment_method: str) -> None:
        self.checked += 1


class EveryLabel:
    def issue(self, order: OrderRecord) -> str:
        return "TRACKING"

    def void(self, order_id: str) -> None:
        raise AssertionError("nothing is undone here")


def validated(orders: RecordInMemory, prices: Mapping[str, tuple[int, str]], payments: AnyCard | None = None) -> Any:
    """The outcome as the history has it."""
    services: Any = (orders, Shelves(prices), payments or AnyCard(), POLICY)
    return runner.run(lambda: services, StepTask, TASK.model_dump(), lambda needs, task: validate_order(task, *needs))


def lines(*quantities: int) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in zip("ABC", quantities, strict=False)]


@pytest.mark.parametrize(
    ("prices", "quantities", "reason"),
    [
        ([(29, "gbp")], [1], "amount_too_small"),
        ([(49, "jpy")], [1], "amount_too_small"),
        ([(8_749, "huf")], [2], "amount_too_small"),
        ([(99_999_999, "gbp"), (1, "gbp")], [1, 1], "amount_too_large"),
        ([(50_000_000, "isk")], [2], "amount_too_large"),
        ([(2505, "kwd")], [1], "invalid_charge_amount"),
        ([(2500, "kwd"), (5, "kwd")], [3, 1], "invalid_charge_amount"),
        ([(550, "isk")], [1], "invalid_charge_amount"),
        ([(5, "ugx")], [10], "invalid_charge_amount"),
        ([(1000, "xyz")], [1], "currency_not_supported"),
        ([(1000, "")], [1], "currency_not_supported"),
        ([(0, "gbp")], [1], "amount_too_small"),
        ([(1000, "gbp"), (1000, "eur")], [1, 1], "mixed_currencies"),
    ],
)
def test_a_total_that_stripe_would_refuse_is_refused_before_anything_moves(
    prices: list[tuple[int, str]], quantities: list[int], reason: str
) -> None:
    orders, payments = RecordInMemory(items=lines(*quantities)), AnyCard()
    outcome = validated(orders, dict(zip("ABC", prices, strict=False)), payments)
    assert outcome == {"kind": "refused", "reason": reason}
    assert orders.started is None
    assert payments.checked == 0


@pytest.mark.parametrize(
    ("prices", "quantities", "total"),
    [
        ([(15, "gbp")], [2], 30),
        ([(1, "jpy")], [50], 50),
        ([(2505, "kwd")], [2], 5010),
        ([(2503, "kwd"), (7, "kwd")], [1, 1], 2510),
        ([(50, "isk")], [2], 100),
        ([(8_750, "huf")], [2], 17_500),
        ([(99_999_999, "gbp")], [1], 99_999_999),
    ],
)
def test_the_rule_is_on_the_total_and_not_on_the_price(
    prices: list[tuple[int, str]], quantities: list[int], total: int
) -> None:
    orders = RecordInMemory(items=lines(*quantities))
    currency = prices[0][1]
    outcome = validated(orders, dict(zip("ABC", prices, strict=False)))
    assert outcome == {"kind": "done", "total": {"amount_minor": total, "currency": currency}}


def test_each_unknown_sku_is_named_and_no_other() -> None:
    orders = RecordInMemory(items=lines(1, 1, 1))
    outcome = validated(orders, {"B": (1000, "gbp")})
    assert outcome == {"kind": "refused", "reason": "unknown_sku", "skus": ["A", "C"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"shipping_address__line1": "PO Box 7"},
        {"shipping_address__line2": "P.O. Box 7"},
        {"shipping_address__line1": "Postfach 12"},
    ],
)
def test_a_po_box_is_refused_before_the_stock_is_read(changes: dict[str, Any]) -> None:
    orders = RecordInMemory(**changes)
    assert validated(orders, {}) == {"kind": "refused", "reason": "undeliverable_address"}
    assert orders.started is None


def test_a_po_box_in_a_country_that_is_not_served_is_not_served() -> None:
    orders = RecordInMemory(shipping_address__line1="PO Box 7", shipping_address__country="AQ")
    assert validated(orders, {})["reason"] == "country_not_served"


UNDELIVERABLE = {
    "a PO box": {"line1": "PO Box 7"},
    "a PO box in the second line": {"line2": "Postfach 12"},
    "letters that the font has not": {"city": "\u5c71\u7530"},
    "a control character": {"name": "Ada\x07"},
    "a character that a later font may have": {"line2": "\U0001f3e0"},
    "no city": {"city": " "},
    "no line": {"line1": ""},
}


@pytest.mark.parametrize("address", UNDELIVERABLE.values(), ids=UNDELIVERABLE)
def test_step_4_refuses_an_address_that_other_code_took_and_no_label_can_lead_to(address: dict[str, str]) -> None:
    orders: Any = RecordInMemory()
    sent = json.loads(orders.record.sent)
    sent["shipping_address"] |= address
    orders.record = running_order(sent=json.dumps(sent))
    with pytest.raises(Refused, match="undeliverable_address"):
        create_shipment(TASK, orders, EveryLabel())
    assert orders.shipped is None


def test_step_4_ships_what_has_a_door() -> None:
    orders: Any = RecordInMemory()
    orders.record = orders.record.model_copy(update={"state": "running"})
    assert create_shipment(TASK, orders, EveryLabel()) == StepDone()
    assert orders.shipped == "TRACKING"


def test_the_body_of_these_tests_has_a_door() -> None:
    assert body()["shipping_address"]["line1"] == "12 St James Sq"
