# ruff: noqa: RUF001 - names are written with letters that look like others
"""The public edge's shape: what an order may look like, and what is named when it does not."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from models.order_request import PRINTABLE_RANGES, Decision, Evidence, OrderRequest, Reason, Remark, printable
from tests.unit.orders import body, request, running_order


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


@pytest.mark.parametrize(
    "address",
    [
        *("a..b@example.com", ".a@example.com", "a.@example.com", "ada@example", "ada@-a.example", "ada@a-.example"),
        *("ada@a..example", f"ada@{'a' * 64}.example", f"{'a' * 65}@a.example", "@a.example", "a@b@c.example"),
        *("=?utf-8?q?a=0Ab?=@a.example", "ada@example.com\n"),
    ],
)
def test_an_address_that_no_mail_server_takes_is_refused_and_named(address: str) -> None:
    assert wrong_fields(customer__email=address) == {("customer", "email")}


@pytest.mark.parametrize(
    "address",
    [
        *("o'neill+shop@example.com", "a.b-c_d@xn--bcher-kva.example", "a@b.co", f"{'a' * 64}@a.example"),
        *(f"ada@{'a' * 63}.example", "1@2.3a", "!#$%&'*+/?=^_`{|}~-@example.com"),
    ],
)
def test_an_address_that_mail_servers_take_is_taken(address: str) -> None:
    assert request(customer__email=address).customer.email == address


def test_every_wrong_field_is_named_at_once() -> None:
    named = wrong_fields(payment_method="visa", items=line(quantity=0), customer__email="ada")
    assert named == {("payment_method",), ("items", 0, "quantity"), ("customer", "email")}


def test_a_repeated_sku_is_refused_and_named() -> None:
    with pytest.raises(ValidationError, match="CRUNCHY-ARMCHAIR"):
        request(items=line() + line())
    assert wrong_fields(items=line() + line() + line()) == {("items", 1, "sku"), ("items", 2, "sku")}


def test_a_repeated_sku_is_named_beside_what_else_is_wrong_with_the_lines() -> None:
    named = wrong_fields(items=[*line(quantity=0), *line(), {"sku": 7}], payment_method="visa")
    lines = {("items", 0, "quantity"), ("items", 1, "sku"), ("items", 2, "sku"), ("items", 2, "quantity")}
    assert named == {*lines, ("payment_method",)}


def test_an_unprintable_character_of_an_address_is_named() -> None:
    with pytest.raises(ValidationError, match=r"U\+5C71"):
        request(shipping_address__city="山")


def test_a_customers_name_may_have_any_letters() -> None:
    assert request(customer__name="山田 太郎").customer.name == "山田 太郎"


@pytest.mark.parametrize("city", ["Łódź", "Ελλάδα", "Київ", "São Paulo", "Þórshöfn", "L'Aquila"])
def test_an_address_may_be_latin_greek_or_cyrillic(city: str) -> None:
    assert request(shipping_address__city=city).shipping_address.city == city


@pytest.mark.parametrize(
    "name",
    [
        *("Ștefan Țepeș, Iași, Bistrița", "Nguyễn Thị Mỹ Phượng, Lạc Long Quân", "Ƶ", "Keʻeaumoku", "Dem\u02bcyan"),
        *("Ǒ Ǘ", "Ɔfɔri Ɛdwoa", "Ⱥ", "Ἀθῆναι"),
    ],
)
def test_an_address_is_spelled_as_its_country_spells_it(name: str) -> None:
    """Also as some keyboards send it, with each accent behind its letter."""
    for spelled in (name, unicodedata.normalize("NFD", name)):
        assert request(shipping_address__name=spelled).shipping_address.name == name


def test_an_accent_that_no_single_character_has_is_named() -> None:
    with pytest.raises(ValidationError, match=r"the accent U\+0300 cannot be printed on a label"):
        request(shipping_address__name="Ade\u0301bayo\u0323\u0300")


UNSEEN = [
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    0x200B,
    0x200E,
    0xAD,
    0x2060,
    0xFEFF,
    0x061C,
    0x85,
    0x1B,
    0xE0041,
]
TEXTS = [
    "customer__name",
    *(f"shipping_address__{field}" for field in ("name", "line1", "line2", "city", "postal_code")),
]


@pytest.mark.parametrize("field", TEXTS)
def test_a_character_that_is_not_seen_and_changes_what_is_read_is_refused(field: str) -> None:
    for code in UNSEEN:
        with pytest.raises(ValidationError, match=f"control or invisible character U\\+{code:04X}"):
            request(**{field: f"Ada{chr(code)}Lovelace"})


@pytest.mark.parametrize("model", [Reason, Evidence, Remark, Decision])
def test_what_an_operator_says_has_no_such_character_either(model: type[BaseModel]) -> None:
    said = {name: "a\u202eb\u200c" for name in model.model_fields if name != "approved"}
    with pytest.raises(ValidationError) as invalid:
        model.model_validate({**said, **({"approved": True} if model is Decision else {})})
    assert {error["loc"][0] for error in invalid.value.errors()} == set(said)


@pytest.mark.parametrize("name", ["علی\u200cرضا", "ශ්\u200dරී", "श्री क्\u200dष"])
def test_a_persian_or_indic_name_keeps_its_joiners(name: str) -> None:
    assert request(customer__name=name).customer.name == unicodedata.normalize("NFC", name)


def test_joiners_alone_are_no_name() -> None:
    assert wrong_fields(customer__name="\u200d \u200c") == {("customer", "name")}


def test_a_text_that_was_stored_under_an_older_rule_is_read() -> None:
    sent = running_order().sent.replace('"Ada"', '"Ada\\u202e"')
    assert running_order(sent=sent).contents.customer.name == "Ada\u202e"


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
