"""The public edge's shape: what an order may look like, and what is named when it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from models.order_request import PRINTABLE_RANGES, OrderRequest, printable
from tests.unit.orders import body, request


def wrong_fields(**changes: Any) -> set[tuple[int | str, ...]]:
    with pytest.raises(ValidationError) as invalid:
        OrderRequest.model_validate_json(json.dumps(body(**changes)))
    return {error["loc"] for error in invalid.value.errors()}


def line(**changes: Any) -> list[dict[str, Any]]:
    return [{"sku": "CRUNCHY-ARMCHAIR", "quantity": 1, **changes}]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"items": line(quantity=0)}, ("items", 0, "quantity")),
        ({"items": line(quantity=-1)}, ("items", 0, "quantity")),
        ({"items": line(quantity=10_001)}, ("items", 0, "quantity")),
        ({"items": line(quantity="1")}, ("items", 0, "quantity")),
        ({"items": line(quantity=1.5)}, ("items", 0, "quantity")),
        ({"items": line(quantity=True)}, ("items", 0, "quantity")),
        ({"items": line(sku="crunchy")}, ("items", 0, "sku")),
        ({"items": line(sku="A" * 65)}, ("items", 0, "sku")),
        ({"items": line(price_minor=1)}, ("items", 0, "price_minor")),
        ({"items": []}, ("items",)),
        ({"items": [{"sku": f"SKU-{n}", "quantity": 1} for n in range(51)]}, ("items",)),
        ({"order_id": "no spaces"}, ("order_id",)),
        ({"order_id": ""}, ("order_id",)),
        ({"order_id": "a" * 65}, ("order_id",)),
        ({"order_id": "trailing\n"}, ("order_id",)),
        ({"payment_method": "visa"}, ("payment_method",)),
        ({"payment_method": "pm_card-visa"}, ("payment_method",)),
        ({"customer__id": "cust 42"}, ("customer", "id")),
        ({"customer__email": "ada"}, ("customer", "email")),
        ({"customer__email": "ada@example.com\r\nBcc: eve@example.com"}, ("customer", "email")),
        ({"customer__name": "nul\x00"}, ("customer", "name")),
        ({"customer__name": "   "}, ("customer", "name")),
        ({"customer__name": "n" * 201}, ("customer", "name")),
        ({"customer__vip": True}, ("customer", "vip")),
        ({"shipping_address__country": "GBR"}, ("shipping_address", "country")),
        ({"shipping_address__country": "ZZ"}, ("shipping_address", "country")),
        ({"shipping_address__line1": None}, ("shipping_address", "line1")),
        ({"shipping_address__city": "London\tE1"}, ("shipping_address", "city")),
        ({"shipping_address__name": "山田"}, ("shipping_address", "name")),
        ({"coupon": "FREE"}, ("coupon",)),
    ],
)
def test_a_wrong_field_is_refused_and_named(changes: dict[str, Any], field: tuple[int | str, ...]) -> None:
    assert wrong_fields(**changes) == {field}


def test_every_wrong_field_is_named_at_once() -> None:
    named = wrong_fields(payment_method="visa", items=line(quantity=0), customer__email="ada")
    assert named == {("payment_method",), ("items", 0, "quantity"), ("customer", "email")}


def test_a_repeated_sku_is_refused_and_named() -> None:
    with pytest.raises(ValidationError, match="CRUNCHY-ARMCHAIR"):
        request(items=line() + line())


def test_an_unprintable_character_of_an_address_is_named() -> None:
    with pytest.raises(ValidationError, match=r"U\+5C71"):
        request(shipping_address__city="山")


def test_a_customers_name_may_have_any_letters() -> None:
    assert request(customer__name="山田 太郎").customer.name == "山田 太郎"


@pytest.mark.parametrize("city", ["Łódź", "Ελλάδα", "Київ", "São Paulo", "Þórshöfn", "L'Aquila"])
def test_an_address_may_be_latin_greek_or_cyrillic(city: str) -> None:
    assert request(shipping_address__city=city).shipping_address.city == city


@pytest.mark.parametrize("line2", ["", "  ", "\u00a0", None])
def test_a_second_line_that_was_left_empty_is_no_line(line2: str | None) -> None:
    sent = request(shipping_address__line2=line2)
    assert sent.shipping_address.line2 is None
    assert sent.body_hash() == request().body_hash()


def test_a_letter_and_its_accent_written_apart_are_joined() -> None:
    assert request(shipping_address__city="Łódz\u0301").shipping_address.city == "Łódź"


def test_errors_do_not_repeat_what_was_sent() -> None:
    with pytest.raises(ValidationError) as invalid:
        request(customer__email="secret-person")
    assert "secret-person" not in str(invalid.value)


def test_the_same_order_hashes_the_same_however_it_was_spelled() -> None:
    two = [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 2}]
    spelled = request(items=two, order_id="x", shipping_address__line2=None)
    assert spelled.body_hash() == request(items=two[::-1]).body_hash()


@pytest.mark.parametrize(
    "changes",
    [
        {"items": line(quantity=3)},
        {"payment_method": "pm_card_mastercard"},
        {"customer__email": "eve@example.com"},
        {"shipping_address__line2": "Flat 2"},
    ],
)
def test_another_order_hashes_otherwise(changes: dict[str, Any]) -> None:
    assert request(**changes).body_hash() != request().body_hash()


def test_printable_is_neither_nothing_nor_everything() -> None:
    every = [chr(code) for low, high in PRINTABLE_RANGES for code in range(low, high + 1)]
    assert 700 < sum(map(printable, every)) < len(every)
    assert not printable("\u00ad")
