"""The two mails to a customer: each amount is written as its currency has it."""

from __future__ import annotations

import html
from typing import Any

import pytest

from activities.notification import cancellation_mail, confirmation_mail
from models.money import Total
from models.order_parts import Line
from models.order_record import OrderRecord
from models.view import REASONS_FOR_CUSTOMERS
from tests.unit.orders import request, running_order


def ordered(price: int, currency: str) -> OrderRecord:
    """Two armchairs at this price."""
    line = Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=price)
    total = Total(amount_minor=2 * price, currency=currency)
    return running_order(lines=(line,), total=total, tracking_number="TRACKING", refunded_minor=2 * price)


MONEY = [
    (12900, "gbp", "129.00 GBP", "258.00 GBP"),
    (12900, "jpy", "12900 JPY", "25800 JPY"),
    (2500, "kwd", "2.500 KWD", "5.000 KWD"),
    (2505, "bhd", "2.505 BHD", "5.010 BHD"),
    (500, "isk", "5 ISK", "10 ISK"),
    (550, "ugx", "5.50 UGX", "11 UGX"),
    (104_545, "huf", "1045.45 HUF", "2090.90 HUF"),
    (12900, "xyz", "129.00 XYZ", "258.00 XYZ"),  # of an order that older code validated
]


@pytest.mark.parametrize(("minor", "currency", "price", "total"), MONEY)
def test_the_confirmation_names_prices_and_total(minor: int, currency: str, price: str, total: str) -> None:
    mail = confirmation_mail(ordered(minor, currency), None)
    for text in (mail.text, mail.html):
        assert f"2 x CRUNCHY-ARMCHAIR at {price}" in text
        assert f"Total: {total}" in text


@pytest.mark.parametrize(("minor", "currency", "price", "total"), MONEY)
def test_the_cancellation_names_what_was_refunded(minor: int, currency: str, price: str, total: str) -> None:
    mail = cancellation_mail(ordered(minor, currency), "compensated", None)
    for text in (mail.text, mail.html):
        assert f"We have refunded {total} to your card." in text


FAILURE = {"step": "process_payment", "reason": "authentication_required"}


@pytest.mark.parametrize("reason", REASONS_FOR_CUSTOMERS)
def test_the_cancellation_says_why_in_the_words_of_the_tracking_page(reason: str) -> None:
    outcome = {"status": "compensated", "failure": {**FAILURE, "reason": reason}}
    mail = cancellation_mail(running_order(outcome=outcome), "compensated", None)
    assert REASONS_FOR_CUSTOMERS[reason] in mail.text and html.escape(REASONS_FOR_CUSTOMERS[reason]) in mail.html


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("cancelled", {"failure": FAILURE}),
        ("compensated", {"failure": {**FAILURE, "reason": "service_unavailable"}}),
        ("compensated", {"failure": None}),
        ("compensated", None),
    ],
)
def test_the_cancellation_names_no_reason_that_is_none_of_the_customers(status: str, outcome: Any) -> None:
    text = cancellation_mail(running_order(outcome=outcome), status, None).text
    assert text.endswith("\n\nYour card was not charged.\n")


@pytest.mark.parametrize("charged", [25800, 0], ids=["charged", "not known to be charged"])
def test_the_cancellation_says_nothing_of_money_that_an_operator_gave_back(charged: int) -> None:
    evidence = {"refund_payment": {"by": "ada", "reason": "by bank transfer", "reference": "SEPA-4711"}}
    mail = cancellation_mail(running_order(charged_minor=charged, resolved=evidence), "compensated", None)
    assert "card" not in mail.text + mail.html


WILD = [
    "<script>alert(1)</script>",
    "\"quotes\" and 'others' & more",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "W" * 200,
]


@pytest.mark.parametrize("text", WILD)
def test_a_name_of_any_kind_is_inert_in_the_mails(text: str) -> None:
    sent = request(customer__name=text)
    order = ordered(12900, "gbp").model_copy(update={"sent": sent.model_dump_json(exclude_none=True)})
    for mail in (confirmation_mail(order, None), cancellation_mail(order, "cancelled", None)):
        assert f"Hello {text}," in mail.text
        assert f"Hello {html.escape(text)}," in mail.html and "<script" not in mail.html
        assert text not in mail.subject
