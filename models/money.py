"""The currencies in which Stripe charges a card: one table, for each rule about amounts and each text that shows one.

An amount is a whole number of minor units, as Stripe's API takes it. The rules are on an order's total: a price of one
unit may be smaller than the least total, or no multiple of the step, because several units make up the total.

Source, with the sections on minor units, special cases, and minimum and maximum charge amounts:
https://docs.stripe.com/currencies. HUF and TWD are special there for payouts only: a charge has two decimals.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

# Stripe's reference of `amount` says "up to eight digits"; some card networks take more, and some regions no more.
EIGHT_DIGITS = 99_999_999
# The most units of one SKU that an order may have.
MAX_QUANTITY = 10_000


class Total(BaseModel):
    """An amount in minor units and its currency. It is read from records and histories, so it has no rule."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    amount_minor: int
    currency: str


class Currency(NamedTuple):
    """How Stripe takes one currency.

    decimals: of an amount, the digits behind the point: 1000 is 10.00 (2), 1000 (0) or 1.000 (3). granularity: every
    total is a multiple of it. minimum, maximum: of a total, in minor units. A currency without a minimum of its own has
    its granularity here: Stripe then compares with the minimum of the account's settlement currency, when it charges.
    """

    decimals: int = 2
    granularity: int = 1
    minimum: int = 1
    maximum: int = EIGHT_DIGITS

    @property
    def shown_decimals(self) -> int:
        """0 where only whole units can be charged: 500 of ISK is "5 ISK"."""
        return 0 if self.granularity == 10**self.decimals else self.decimals

    @property
    def largest(self) -> int:
        """The largest total that can be charged."""
        return self.maximum - self.maximum % self.granularity


TWO_DECIMALS = (
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc "
    "cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd "
    "kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php "
    "pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs "
    "wst xcd xcg yer zar zmw"
).split()
NO_DECIMALS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()
# The last digit is 0: 5.124 KWD is charged as 5120 or 5130.
THREE_DECIMALS = "bhd jod kwd omr tnd".split()
# These currencies have no hundredths any more, but Stripe's API still counts in them: 5 ISK is 500.
WHOLE_UNITS_IN_HUNDREDTHS = "isk ugx".split()
MINIMA = {
    **dict.fromkeys("ars aud brl cad chf cop eur idr ils inr nzd php rub sgd usd zar".split(), 50),
    **dict.fromkeys("jpy krw".split(), 50),
    **dict.fromkeys("aed myr pln ron".split(), 200),
    **dict.fromkeys("nok sek".split(), 300),
    **dict.fromkeys("mxn thb".split(), 1000),
    **{"bgn": 100, "czk": 1500, "dkk": 250, "gbp": 30, "hkd": 400, "huf": 17500},
}
MAXIMA = {"inr": 999_999_999, "cop": 9_999_999_999, "idr": 999_999_999_999}
LARGEST = max(MAXIMA.values())


def _rows(codes: list[str], decimals: int, granularity: int) -> dict[str, Currency]:
    return {
        code: Currency(decimals, granularity, MINIMA.get(code, granularity), MAXIMA.get(code, EIGHT_DIGITS))
        for code in codes
    }


CURRENCIES = {
    **_rows(TWO_DECIMALS, 2, 1),
    **_rows(NO_DECIMALS, 0, 1),
    **_rows(THREE_DECIMALS, 3, 10),
    **_rows(WHOLE_UNITS_IN_HUNDREDTHS, 2, 100),
}


def refusal(amount_minor: int, currency: str) -> str | None:
    """Why Stripe would refuse this total, in Stripe's word where it has one; None when it would charge it."""
    rules = CURRENCIES.get(currency)
    if rules is None:
        return "currency_not_supported"
    if amount_minor % rules.granularity:
        return "invalid_charge_amount"
    if amount_minor < rules.minimum:
        return "amount_too_small"
    return "amount_too_large" if amount_minor > rules.maximum else None


def can_make_a_total(price_minor: int, currency: str) -> bool:
    """Whether some quantity of one SKU at this price (at least 1), from 1 to MAX_QUANTITY, can be charged."""
    rules = CURRENCIES[currency]
    step = rules.granularity // gcd(price_minor, rules.granularity)
    least = -(-rules.minimum // price_minor)  # rounded up
    quantity = -(-least // step) * step
    return quantity <= MAX_QUANTITY and quantity * price_minor <= rules.maximum


def price_warnings(price_minor: int, currency: str) -> list[str]:
    """Sentences about a price that is allowed and is probably a mistake."""
    if can_make_a_total(price_minor, currency):
        return []
    rules = CURRENCIES[currency]
    step = f", in steps of {formatted(rules.granularity, currency)}" if rules.granularity > 1 else ""
    price, least, most = (formatted(amount, currency) for amount in (price_minor, rules.minimum, rules.largest))
    return [
        f"No quantity from 1 to {MAX_QUANTITY} at {price} makes a total that Stripe charges: "
        f"it charges from {least} to {most}{step}."
    ]


def formatted(amount_minor: int, currency: str) -> str:
    """`12900` in `gbp` is `129.00 GBP`, in `jpy` it is `12900 JPY`, `2500` in `kwd` is `2.500 KWD`, in `isk` `25 ISK`.

    An older order may have a currency that is not in the table (shown with two decimals), or hundredths of a currency
    that has none (shown, because the figure must be the one that was charged).
    """
    rules = CURRENCIES.get(currency, Currency())
    whole, rest = divmod(amount_minor, 10**rules.decimals)
    decimals = rules.decimals if rest else rules.shown_decimals
    fraction = f".{rest:0{decimals}d}" if decimals else ""
    return f"{whole}{fraction} {currency.upper()}"
