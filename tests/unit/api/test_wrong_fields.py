"""What a 400 says: every fault of the request at once, each in a plain sentence that says what is allowed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import azure.functions as func
import pytest
from pydantic import BaseModel

from api import inventory, operators, orders, overview, tracking, trail
from api.problems import Problem, read_body, respond
from api.tracking import TrackingToken
from models.messages import Limits
from models.order_request import Decision, Evidence, OrderRequest, Reason, Remark
from models.sentences import NOT_ALLOWED, PATTERNS
from models.stock import InventoryUpdate
from tests.support.shop_in_memory import TRACKING, ShopInMemory
from tests.unit.orders import body

GOOD: dict[type[BaseModel], dict[str, Any]] = {
    OrderRequest: {**body(), "order_id": "order-1"},
    Decision: {"approved": True, "approver": "ada", "comment": "why"},
    Reason: {"by": "ada", "reason": "why"},
    Evidence: {"by": "ada", "reason": "why", "reference": "7"},
    Remark: {"by": "ada", "reason": "why"},
    InventoryUpdate: {"on_hand": 1, "price_minor": 1, "currency": "gbp"},
}
HUGE = "a whole number of 5,000 digits"
WRONG: list[Any] = [
    *(None, True, 7, -1, 0, 1.5, 10**12, HUGE, [], {}, [1] * 51, [{}], "", "  ", "x", "gb", "x" * 5000),
    *("ada@bücher.example", "no spaces", "a\u202eb", "\x00", "山", "ZZ", "£", "Ade\u0323\u0300"),
]
RAW = re.compile(r"pattern|regex|\^|\\|Input|input|Extra|_type|string|integer|boolean|instance|dictionary|valid|None")


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value stands, the whole first."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inside:
        yield from places(each, (*at, name))


def changed(value: Any, at: tuple[Any, ...], *wrong: Any) -> Any:
    """With another value there, or without one."""
    whole = json.loads(json.dumps([value]))
    parent = whole
    for name in (0, *at)[:-1]:
        parent = parent[name]
    if wrong:
        parent[(0, *at)[-1]] = wrong[0]
    else:
        parent.pop((0, *at)[-1])
    return whole[0]


def wrong_bodies(model: type[BaseModel]) -> Iterator[Any]:
    """The good body with each of its values left out, replaced by each wrong one, and joined by a stranger."""
    for at in places(GOOD[model]):
        yield from (changed(GOOD[model], at, wrong) for wrong in WRONG)
        if at:
            yield changed(GOOD[model], at)
    yield {**GOOD[model], "stranger": 1}


def request(content: bytes = b"", route: dict[str, str] | None = None, **asked: Any) -> func.HttpRequest:
    headers = {"Content-Type": "application/json", **asked.get("headers", {})}
    params, url = asked.get("params", {}), "http://127.0.0.1/api/x"
    return func.HttpRequest("POST", url, headers=headers, params=params, route_params=route or {}, body=content)


def faults_of(model: type[BaseModel], content: Any) -> list[dict[str, str]]:
    try:
        read_body(request(_json(content)), model)
    except Problem as problem:
        return problem.errors
    return []


def _json(content: Any) -> bytes:
    return json.dumps(content).replace(json.dumps(HUGE), "9" * 5000).encode()


@pytest.mark.parametrize("model", GOOD, ids=lambda model: model.__name__)
def test_no_answer_shows_a_regular_expression_or_a_name_of_pydantics(model: type[BaseModel]) -> None:
    assert faults_of(model, GOOD[model]) == []
    faults = [fault for wrong in wrong_bodies(model) for fault in faults_of(model, wrong)]
    assert len({fault["pointer"] for fault in faults}) > len(model.model_fields)
    assert {fault["detail"] for fault in faults if RAW.search(fault["detail"])} == set()
    assert NOT_ALLOWED not in {fault["detail"] for fault in faults}


def test_every_pattern_of_a_body_has_its_sentence() -> None:
    told = json.dumps([model.model_json_schema() for model in GOOD])
    assert {pattern for pattern in PATTERNS if json.dumps(pattern) in told} == set(PATTERNS)
    assert len(set(re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', told))) == len(PATTERNS)


def test_an_international_mail_address_is_told_how_to_be_sent() -> None:
    (fault,) = faults_of(OrderRequest, body(customer__email="ada@bücher.example"))
    assert fault["pointer"] == "#/customer/email"
    assert "xn--" in fault["detail"]
    assert faults_of(OrderRequest, body(customer__email="ada@xn--bcher-kva.example")) == []


def test_a_country_in_small_letters_is_told_the_capitals() -> None:
    (fault,) = faults_of(OrderRequest, body(shipping_address__country="gb"))
    assert fault["detail"] == "must be an ISO 3166 alpha-2 code in capital letters, such as GB"


# Every fault at once.


def answer(route: Callable[..., Awaitable[func.HttpResponse]], asked: func.HttpRequest, *needs: Any) -> Any:
    response = asyncio.run(respond(lambda: None, lambda _: route(asked, *needs)))
    document = json.loads(response.get_body())
    return response.status_code, [error["pointer"] for error in document.get("errors", [])]


SHOP = ShopInMemory()
CLIENT: Any = None
STRANGERS, ORDER = {"foo": "1"}, {"order_id": "order-1"}
UNDO = {**ORDER, "compensation": "refund_payment"}
LIST = {"top": "0", "from": "x", "to": "2026-13-01", "status": "foo", "continuation": "zz"}
CASES: dict[str, tuple[Any, func.HttpRequest, tuple[Any, ...], set[str]]] = {
    "the list of orders": (
        *(orders.list_orders, request(params={**LIST, **STRANGERS}), (SHOP.index,)),
        {"#/foo", "#/top", "#/from", "#/to", "#/status", "#/continuation"},
    ),
    "the list of orders, its range": (
        *(orders.list_orders, request(params={"from": "2026-02-01", "to": "2026-01-01", "top": "0"}), (SHOP.index,)),
        {"#/from", "#/top"},
    ),
    "the audit trail": (
        *(trail.show, request(route=ORDER, params={"top": "x", "continuation": "x", **STRANGERS}), (SHOP.orders,)),
        {"#/top", "#/continuation", "#/foo"},
    ),
    "the list of stock": (
        *(inventory.list_all, request(params={"top": "x", "continuation": "x y", **STRANGERS}), (SHOP.stock,)),
        {"#/top", "#/continuation", "#/foo"},
    ),
    "a sku": (inventory.show, request(route={"sku": "A B"}, params=STRANGERS), (SHOP.stock,), {"sku", "#/foo"}),
    "the holders of a sku": (
        *(inventory.holders, request(route={"sku": "A B"}, params=STRANGERS), (SHOP.stock, SHOP.index)),
        {"sku", "#/foo"},
    ),
    "a put of stock": (
        inventory.put,
        request(
            b'{"on_hand": -1, "price_minor": 0, "currency": "GBP", "gift": 1}',
            route={"sku": "A B"},
            params=STRANGERS,
        ),
        (SHOP.stock,),
        {"sku", "#/foo", "#/on_hand", "#/price_minor", "#/currency", "#/gift"},
    ),
    "a put of stock, its price": (
        inventory.put,
        request(b'{"on_hand": -1, "price_minor": 100000000, "currency": "gbp"}', route={"sku": "A"}),
        (SHOP.stock,),
        {"#/on_hand", "#/price_minor"},
    ),
    "a new order": (
        orders.place,
        request(
            _json({**body(), "payment_method": 7, "items": []}), headers={"Idempotency-Key": "a b"}, params=STRANGERS
        ),
        (CLIENT, SHOP.orders, Limits(), TRACKING),
        {"Idempotency-Key", "#/foo", "#/payment_method", "#/items"},
    ),
    "a new order without a body": (
        *(orders.place, request(params=STRANGERS), (CLIENT, SHOP.orders, Limits(), TRACKING)),
        {"#", "#/foo"},
    ),
    "an approval": (
        *(operators.approve, request(b'{"approved": 1}', ORDER, params=STRANGERS), (CLIENT, SHOP.orders)),
        {"#/approved", "#/approver", "#/foo"},
    ),
    "a cancel": (
        *(operators.cancel, request(b'{"by": 1, "reason": 2}', ORDER, params=STRANGERS), (CLIENT, SHOP.orders)),
        {"#/by", "#/reason", "#/foo"},
    ),
    "a retry": (
        *(operators.retry, request(b"{}", UNDO, params=STRANGERS), (CLIENT, SHOP.orders, Limits())),
        {"#/by", "#/reason", "#/foo"},
    ),
    "a resolve": (
        *(operators.resolve, request(b"{}", UNDO, params=STRANGERS), (CLIENT, SHOP.orders, Limits())),
        {"#/by", "#/reason", "#/reference", "#/foo"},
    ),
    "an erasure": (
        *(operators.erase, request(b'{"by": 1}', ORDER, params=STRANGERS), (SHOP.orders, SHOP.labels)),
        {"#/by", "#/foo"},
    ),
    "an order": (orders.show, request(route=ORDER, params=STRANGERS), (CLIENT, SHOP.orders), {"#/foo"}),
    "the timeline": (overview.order_timeline, request(route=ORDER, params=STRANGERS), (CLIENT, SHOP.orders), {"#/foo"}),
    "the overview": (overview.show, request(params=STRANGERS), (SHOP.index,), {"#/foo"}),
    "the counts": (overview.counts, request(params=STRANGERS), (lambda: None,), {"#/foo"}),
}


@pytest.mark.parametrize("case", CASES)
def test_one_answer_names_every_fault_of_path_headers_query_and_body(case: str) -> None:
    route, asked, needs, named = CASES[case]
    status, pointers = answer(route, asked, *needs)
    assert (status, sorted(pointers)) == (400, sorted(named))


def test_a_tracking_link_keeps_what_mail_programs_hang_on_it() -> None:
    link = request(route=ORDER, params={"token": "x", "utm_source": "mail"})
    response = asyncio.run(tracking.show(link, CLIENT, SHOP.orders, TRACKING))
    assert response.status_code == 404
    assert TrackingToken.model_validate({"token": "x", "more": 1}).token == "x"
