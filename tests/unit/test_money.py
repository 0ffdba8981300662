"""The table of currencies: what Stripe charges, where each limit is, and how an amount is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from models.money import CURRENCIES, MAX_QUANTITY, formatted, price_warnings, refusal
from models.stock import InventoryUpdate
from sandbox.payments import currencies as stripes
from sandbox.payments.errors import StripeError
from tests.unit.orders import request

KINDS = {
    "two decimals": "gbp",
    "two decimals, no minimum of its own": "cny",
    "no decimals": "jpy",
    "no decimals, no minimum of its own": "xof",
    "three decimals": "kwd",
    "whole units in hundredths": "isk",
    "whole units in hundredths, listed as zero-decimal too": "ugx",
    "special for payouts only": "huf",
    "special for payouts only, no minimum of its own": "twd",
    "nine digits": "inr",
    "ten digits": "cop",
    "twelve digits": "idr",
}
LEAST_AND_MOST = {
    "gbp": (30, 99_999_999),
    "cny": (1, 99_999_999),
    "jpy": (50, 99_999_999),
    "xof": (1, 99_999_999),
    "kwd": (10, 99_999_990),
    "isk": (100, 99_999_900),
    "ugx": (100, 99_999_900),
    "huf": (17_500, 99_999_999),
    "twd": (1, 99_999_999),
    "inr": (50, 999_999_999),
    "cop": (50, 9_999_999_999),
    "idr": (50, 999_999_999_999),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_total_is_charged_from_the_least_to_the_largest_of_its_currency(kind: str) -> None:
    currency = KINDS[kind]
    least, most = LEAST_AND_MOST[currency]
    step = CURRENCIES[currency].granularity
    assert [refusal(amount, currency) for amount in (least, least + step, most - step, most)] == [None] * 4
    assert refusal(least - step, currency) == "amount_too_small"
    assert refusal(most + step, currency) == "amount_too_large"


@pytest.mark.parametrize(
    ("currency", "minimum"),
    [
        *[(currency, 50) for currency in "ars aud brl cad chf cop eur idr ils inr nzd php rub sgd usd zar".split()],
        *[("jpy", 50), ("krw", 50), ("gbp", 30), ("aed", 200), ("myr", 200), ("pln", 200), ("ron", 200)],
        *[("nok", 300), ("sek", 300), ("dkk", 250), ("hkd", 400), ("mxn", 1000), ("thb", 1000), ("czk", 1500)],
        *[("huf", 17500), ("bgn", 100)],
    ],
)
def test_each_minimum_that_stripe_names_is_held_to(currency: str, minimum: int) -> None:
    assert [refusal(amount, currency) for amount in (minimum - 1, minimum, minimum + 1)] == [
        "amount_too_small",
        None,
        None,
    ]


@pytest.mark.parametrize("currency", ["bhd", "jod", "kwd", "omr", "tnd"])
def test_a_total_of_three_decimals_ends_in_0(currency: str) -> None:
    assert [amount % 10 for amount in range(2500, 2521) if refusal(amount, currency) is None] == [0, 0, 0]
    assert {refusal(amount, currency) for amount in (1, 9, 11, 2501, 2509)} == {"invalid_charge_amount"}


@pytest.mark.parametrize("currency", ["isk", "ugx"])
def test_a_total_without_hundredths_ends_in_00(currency: str) -> None:
    assert [amount for amount in range(1, 401) if refusal(amount, currency) is None] == [100, 200, 300, 400]
    assert {refusal(amount, currency) for amount in (1, 50, 101, 550)} == {"invalid_charge_amount"}


@pytest.mark.parametrize("currency", ["huf", "twd"])
def test_a_charge_in_a_currency_that_is_special_for_payouts_has_hundredths(currency: str) -> None:
    assert refusal(104_545, currency) is None


@pytest.mark.parametrize("currency", ["xyz", "xxx", "xau", "btc", "usdc", "GBP", "", "gb", "gbp ", "ghs", "hrk"])
def test_what_is_no_currency_of_stripes_is_refused(currency: str) -> None:
    assert refusal(5000, currency) == "currency_not_supported"


@pytest.mark.parametrize("amount", [0, -100])
@pytest.mark.parametrize("currency", LEAST_AND_MOST)
def test_nothing_and_less_than_nothing_is_too_small(currency: str, amount: int) -> None:
    assert refusal(amount, currency) == "amount_too_small"


def test_the_table_has_each_currency_once_with_limits_that_fit_its_step() -> None:
    assert len(CURRENCIES) == 140
    for code, rules in CURRENCIES.items():
        assert len(code) == 3 and code.islower(), code
        assert rules.decimals in {0, 2, 3} and rules.granularity in {1, 10, 100}, code
        assert rules.minimum % rules.granularity == 0, code
        assert 0 < rules.minimum < rules.largest <= rules.maximum, code


# The sandbox has a list of its own: it stands for Stripe, so the two are held against each other here.


def stripe_says(amount: int, currency: str) -> str | None:
    try:
        stripes.known(currency)
        stripes.refuse_fractions(amount, currency, "amount")
        stripes.refuse_out_of_limits(amount, currency)
    except StripeError as error:
        return str(error.body["error"]["code"])
    return None


def test_the_app_and_the_sandbox_know_the_same_currencies() -> None:
    assert set(CURRENCIES) == stripes.CODES


@pytest.mark.parametrize("currency", CURRENCIES)
def test_the_sandbox_draws_every_line_where_the_app_draws_it(currency: str) -> None:
    rules = CURRENCIES[currency]
    near = {limit + by for limit in (rules.minimum, 5000, rules.largest) for by in range(-101, 102)}
    near = {amount for amount in near if amount > 0}
    for amount in sorted(near):
        assert refusal(amount, currency) == stripe_says(amount, currency), amount


# How amounts are written.


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (12900, "gbp", "129.00 GBP"),
        (5, "gbp", "0.05 GBP"),
        (0, "gbp", "0.00 GBP"),
        (99_999_999, "usd", "999999.99 USD"),
        (12900, "jpy", "12900 JPY"),
        (0, "jpy", "0 JPY"),
        (2500, "kwd", "2.500 KWD"),
        (2510, "bhd", "2.510 BHD"),
        (5, "tnd", "0.005 TND"),
        (50, "omr", "0.050 OMR"),
        (1000, "jod", "1.000 JOD"),
        (500, "isk", "5 ISK"),
        (0, "isk", "0 ISK"),
        (129_000, "ugx", "1290 UGX"),
        (104_500, "huf", "1045.00 HUF"),
        (80_045, "twd", "800.45 TWD"),
    ],
)
def test_an_amount_is_written_as_its_currency_has_it(amount: int, currency: str, written: str) -> None:
    assert formatted(amount, currency) == written


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [(550, "isk", "5.50 ISK"), (501, "ugx", "5.01 UGX"), (2505, "kwd", "2.505 KWD"), (12900, "xyz", "129.00 XYZ")],
)
def test_an_amount_of_an_older_order_is_written_in_full(amount: int, currency: str, written: str) -> None:
    assert formatted(amount, currency) == written


# Prices: a PUT of stock.


def put(price: int, currency: Any) -> InventoryUpdate:
    return InventoryUpdate.model_validate_json(
        json.dumps({"on_hand": 1, "price_minor": price, "currency": currency}),
    )


@pytest.mark.parametrize("currency", CURRENCIES)
def test_every_currency_may_be_put_up_to_its_largest_total(currency: str) -> None:
    largest = CURRENCIES[currency].maximum
    assert put(largest, currency).price_minor == largest
    with pytest.raises(ValidationError) as invalid:
        put(largest + 1, currency)
    assert [error["loc"] for error in invalid.value.errors()] == [("price_minor",)]


@pytest.mark.parametrize("currency", ["xyz", "xxx", "GBP", "Gbp", "gb", "", "usdc", "ghs", 826, None])
def test_a_currency_that_is_none_may_not_be_put(currency: Any) -> None:
    with pytest.raises(ValidationError) as invalid:
        put(1000, currency)
    assert [error["loc"] for error in invalid.value.errors()] == [("currency",)]


@pytest.mark.parametrize(
    ("price", "currency"),
    [
        *[(1, "gbp"), (1, "jpy"), (1, "eur")],  # thirty of them, or fifty
        *[(1, "kwd"), (5, "kwd"), (2505, "kwd"), (2500, "kwd")],  # two or ten of them end in 0
        *[(1, "isk"), (550, "isk"), (100, "isk"), (99, "ugx")],
        *[(2, "huf"), (17_500, "huf")],  # 8,750 of them make 175.00
        *[(99_999_999, "gbp"), (99_999_990, "kwd"), (49_999_995, "kwd"), (99_999_900, "isk")],
    ],
)
def test_a_price_of_which_some_quantity_can_be_charged_brings_no_warning(price: int, currency: str) -> None:
    quantities = range(1, MAX_QUANTITY + 1)
    assert any(refusal(quantity * price, currency) is None for quantity in quantities)
    assert price_warnings(price, currency) == []


@pytest.mark.parametrize(
    ("price", "currency"),
    [
        (1, "huf"),  # 10,000 of them are 100.00 HUF
        *[(99_999_999, "kwd"), (49_999_999, "kwd"), (99_999_991, "bhd")],
        *[(99_999_999, "isk"), (99_999_999, "ugx"), (1_000_001, "isk")],
    ],
)
def test_a_price_of_which_no_quantity_can_be_charged_brings_a_warning(price: int, currency: str) -> None:
    quantities = range(1, MAX_QUANTITY + 1)
    assert all(refusal(quantity * price, currency) is not None for quantity in quantities)
    (warning,) = price_warnings(price, currency)
    assert f"No quantity from 1 to {MAX_QUANTITY} at {formatted(price, currency)}" in warning


def test_the_warning_names_the_limits_and_the_step() -> None:
    assert price_warnings(99_999_999, "kwd") == [
        "No quantity from 1 to 10000 at 99999.999 KWD makes a total that Stripe charges: "
        "it charges from 0.010 KWD to 99999.990 KWD, in steps of 0.010 KWD."
    ]


def test_an_order_may_have_as_many_of_one_sku_as_the_warning_counts_on() -> None:
    assert request(items=[{"sku": "A", "quantity": MAX_QUANTITY}]).items[0].quantity == MAX_QUANTITY
    with pytest.raises(ValidationError):
        request(items=[{"sku": "A", "quantity": MAX_QUANTITY + 1}])
