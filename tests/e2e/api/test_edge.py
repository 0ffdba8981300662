"""The public edge over HTTP: duplicates, malformed bodies, inventory, health."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from devtools.example_order import example_order
from devtools.processes.http import HttpResponse, fetch
from tests.support.outside_view import NOTHING, OutsideView, new_id, wait_for
from tests.support.product import Product


@pytest.fixture(scope="module")
def outside(product: Product) -> Iterator[OutsideView]:
    with closing(OutsideView(product.urls)) as outside:
        yield outside


def sagas(outside: OutsideView, order_id: str) -> int:
    """How many times this order's saga was started: its history has one ExecutionStarted, and Generation counts on."""
    started = [row for row in outside.tables.history(order_id) if row["EventType"] == "ExecutionStarted"]
    return len(started) + int(outside.tables.instance(order_id).get("Generation", 0))


def test_the_same_order_fifty_times_at_once_is_one_saga_and_one_charge(outside: OutsideView) -> None:
    sku, order_id = outside.new_sku(), new_id()
    body = example_order(order_id=order_id, items=[{"sku": sku, "quantity": 1}])
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: outside.post("/api/orders", body), range(50)))
    assert [answer.body for answer in answers if answer.status != 202] == []
    assert {answer.json()["id"] for answer in answers} == {order_id}
    outside.ended(order_id)
    assert outside.effects(order_id) == NOTHING._replace(charged=1000, label="issued", mails=1, message_ids=1, pushes=1)
    assert outside.stock(sku) == (9, 0)
    assert sagas(outside, order_id) == 1


def test_the_same_order_after_its_end_is_the_same_202_and_no_second_saga(outside: OutsideView) -> None:
    order_id = new_id()
    outside.order(order_id)
    ended, history = outside.ended(order_id), outside.tables.history(order_id)
    outside.order(order_id)
    assert outside.view(order_id) == ended
    assert outside.tables.history(order_id) == history


def test_a_purged_order_still_answers_and_is_not_started_again(outside: OutsideView) -> None:
    order_id = new_id()
    answer = outside.post("/api/orders", example_order(order_id=order_id))
    ended = outside.ended(order_id)
    assert fetch(answer.json()["purgeHistoryDeleteUri"], "DELETE").status == 200
    assert outside.view(order_id) == ended
    outside.order(order_id)
    assert outside.tables.history(order_id) == []
    assert outside.effects(order_id).charged == outside.effects(order_id).net == 12900


def test_a_finished_instance_that_is_started_again_touches_nothing(outside: OutsideView) -> None:
    order_id = new_id()
    outside.order(order_id)
    ended, effects = outside.ended(order_id), outside.effects(order_id)
    body = {"order_id": order_id}
    started = fetch(
        f"{outside.urls['host']}/runtime/webhooks/durabletask/orchestrators/order_saga/{order_id}", "POST", body
    )
    assert started.status == 202
    wait_for(lambda: outside.tables.instance(order_id).get("Generation") == 1, 60, "second generation")
    wait_for(lambda: outside.tables.instance(order_id)["RuntimeStatus"] == "Completed", 60, "its end")
    assert json.loads(outside.tables.instance(order_id)["Output"]).items() <= ended.items()
    assert outside.view(order_id) == ended
    assert outside.tables.scheduled(order_id) == ["validate_order"]
    assert outside.effects(order_id) == effects


def test_the_same_id_with_another_body_is_a_conflict(outside: OutsideView) -> None:
    order_id = outside.order(new_id())
    answer = outside.post("/api/orders", example_order(order_id=order_id, payment_method="pm_card_mastercard"))
    assert_problem(answer, 409)
    outside.ended(order_id)


@pytest.mark.parametrize("quoted", [False, True])
def test_an_idempotency_key_stands_in_for_the_order_id(outside: OutsideView, quoted: bool) -> None:
    order_id = new_id()
    headers = {"Idempotency-Key": f'"{order_id}"' if quoted else order_id}
    for _ in range(2):
        answer = outside.post("/api/orders", example_order(), headers)
        assert answer.status == 202
        assert answer.json()["id"] == order_id
    assert outside.ended(order_id)["status"] == "completed"


@pytest.mark.parametrize("key", ["", "no spaces", "a" * 65, "käse"])
def test_an_idempotency_key_that_is_no_order_id_is_refused(outside: OutsideView, key: str) -> None:
    answer = outside.post("/api/orders", example_order(), {"Idempotency-Key": key.encode().decode("latin-1")})
    assert_problem(answer, 400, "Idempotency-Key")


def test_a_key_and_an_id_that_differ_are_refused(outside: OutsideView) -> None:
    answer = outside.post("/api/orders", example_order(order_id=new_id()), {"Idempotency-Key": new_id()})
    assert_problem(answer, 400, "Idempotency-Key")


def assert_problem(answer: HttpResponse, status: int, *named: str) -> dict[str, Any]:
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert {error["pointer"] for error in problem.get("errors", [])} == set(named)
    return problem


def with_items(*items: dict[str, Any]) -> bytes:
    return json.dumps(example_order(items=list(items))).encode()


LINE = {"sku": "CRUNCHY-ARMCHAIR", "quantity": 1}
MALFORMED: dict[str, tuple[Callable[[], bytes], int, list[str]]] = {
    "nothing": (lambda: b"", 400, ["#"]),
    "no JSON": (lambda: b"order me a chair", 400, ["#"]),
    "no UTF-8": (lambda: b'{"order_id": "\xff"}', 400, ["#"]),
    "half a body": (lambda: json.dumps(example_order()).encode()[:-9], 400, ["#"]),
    "an array": (lambda: b"[]", 400, ["#"]),
    "a name twice, and most of an order missing": (
        lambda: b'{"payment_method": "a", "payment_method": "b"}',
        400,
        ["#/payment_method", "#/customer", "#/items", "#/shipping_address"],
    ),
    "an unknown field": (lambda: json.dumps(example_order(coupon="FREE")).encode(), 400, ["#/coupon"]),
    "a price from the client": (lambda: with_items({**LINE, "price_minor": 1}), 400, ["#/items/0/price_minor"]),
    "a quantity of nothing": (lambda: with_items({**LINE, "quantity": 0}), 400, ["#/items/0/quantity"]),
    "a negative quantity": (lambda: with_items({**LINE, "quantity": -1}), 400, ["#/items/0/quantity"]),
    "a quantity as text": (lambda: with_items({**LINE, "quantity": "1"}), 400, ["#/items/0/quantity"]),
    "a sku twice": (lambda: with_items(LINE, LINE), 400, ["#/items/1/sku"]),
    "two faults at once": (
        lambda: json.dumps(example_order(payment_method=7, customer={"id": "c", "name": "n"})).encode(),
        400,
        ["#/customer/email", "#/payment_method"],
    ),
    "a NUL in a name": (
        lambda: json.dumps(example_order(customer={"id": "c", "name": "a\0b", "email": "a@example.com"})).encode(),
        400,
        ["#/customer/name"],
    ),
    "nesting a hundred thousand deep": (lambda: b"[" * 100_000 + b"]" * 100_000, 400, ["#"]),
    "a megabyte of items": (lambda: with_items(*([LINE] * 25_000)), 413, []),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_body_is_refused_by_name_and_starts_nothing(outside: OutsideView, case: str) -> None:
    body, status, named = MALFORMED[case]
    before = orders_on_record(outside)
    answer = fetch(f"{outside.urls['host']}/api/orders", "POST", body())
    assert_problem(answer, status, *named)
    assert orders_on_record(outside) == before


def orders_on_record(outside: OutsideView) -> set[str]:
    """Their ids. Rows are no measure: a webhook of an order that has ended adds one at any time."""
    return {row["PartitionKey"] for row in outside.tables.rows("orders")}


def test_what_the_host_does_to_a_body_is_answered_with_a_reason(outside: OutsideView) -> None:
    """A chunked upload reaches the app empty, and a compressed one as it came: both as on Azure's host."""
    body = json.dumps(example_order(order_id=new_id())).encode()
    connection = http.client.HTTPConnection(outside.urls["host"].removeprefix("http://"), timeout=30)
    cases: list[tuple[Any, dict[str, str], str]] = [
        (iter([body]), {"Transfer-Encoding": "chunked"}, "The body is empty: a chunked upload is not read here."),
        (gzip.compress(body), {"Content-Encoding": "gzip"}, "The body is compressed"),
    ]
    for sent, headers, sentence in cases:
        kind = {"Content-Type": "application/json", **headers}
        connection.request("POST", "/api/orders", sent, kind, encode_chunked="Transfer-Encoding" in headers)
        answer = connection.getresponse()
        problem = json.loads(answer.read())
        assert (answer.status, [error["pointer"] for error in problem["errors"]]) == (400, ["#"])
        assert problem["detail"].startswith(sentence)
    connection.close()


def test_a_body_that_is_not_declared_as_json_is_refused_and_starts_nothing(outside: OutsideView) -> None:
    order_id = new_id()
    body = json.dumps(example_order(order_id=order_id)).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        assert_problem(fetch(f"{outside.urls['host']}/api/orders", "POST", body, {"Content-Type": kind}), 415)
    assert outside.get(f"/api/orders/{order_id}").status == 404


def test_a_problem_does_not_repeat_what_was_sent(outside: OutsideView) -> None:
    answer = outside.post("/api/orders", example_order(customer={"id": "c", "name": "n", "email": "my secret"}))
    assert "my secret" not in answer.body.decode()


def test_inventory_is_set_and_read_under_its_etag(outside: OutsideView) -> None:
    sku = outside.new_sku(on_hand=5)
    url = f"{outside.urls['host']}/api/inventory/{sku}"
    etag = fetch(url).headers["ETag"]
    body = {"on_hand": 6, "price_minor": 1000, "currency": "gbp"}
    assert fetch(url, "PUT", body, {"If-Match": etag}).json()["on_hand"] == 6
    assert_problem(fetch(url, "PUT", body, {"If-Match": etag}), 412)
    assert outside.stock(sku) == (6, 0)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"on_hand": -1, "price_minor": 1, "currency": "gbp"}, ["#/on_hand"]),
        ({"on_hand": 1, "price_minor": 0, "currency": "GBP"}, ["#/price_minor", "#/currency"]),
        ({"on_hand": 1.5, "price_minor": 1, "currency": "gbp", "reserved": 0}, ["#/on_hand", "#/reserved"]),
        ({"on_hand": 1, "price_minor": 1000, "currency": "xyz"}, ["#/currency"]),
        ({"on_hand": 1, "price_minor": 100_000_000, "currency": "gbp"}, ["#/price_minor"]),
    ],
)
def test_a_malformed_inventory_is_refused_by_name(outside: OutsideView, body: dict[str, Any], named: list[str]) -> None:
    answer = fetch(f"{outside.urls['host']}/api/inventory/CRUNCHY-ARMCHAIR", "PUT", body)
    assert_problem(answer, 400, *named)


def test_a_price_of_which_no_quantity_can_be_charged_is_taken_with_a_warning(outside: OutsideView) -> None:
    url = f"{outside.urls['host']}/api/inventory/{outside.new_sku()}"
    body = {"on_hand": 1, "price_minor": 1, "currency": "huf"}
    answer = fetch(url, "PUT", body)
    assert answer.status == 200
    (warning,) = answer.json()["warnings"]
    assert "0.01 HUF" in warning and "175.00 HUF" in warning
    assert "warnings" not in fetch(url).json()
    assert "warnings" not in fetch(url, "PUT", {**body, "price_minor": 17_500}).json()


def test_a_count_below_what_is_reserved_is_a_conflict(outside: OutsideView) -> None:
    sku = outside.new_sku(on_hand=3)
    with outside.faults("payments", {"operation": "payment_intents.create", "fault": "hold", "delay_s": 8, "times": 1}):
        order_id = outside.order(items=[{"sku": sku, "quantity": 2}])
        wait_for(lambda: outside.stock(sku) == (3, 2), 60, "reservation")
        body = {"on_hand": 1, "price_minor": 1000, "currency": "gbp"}
        assert_problem(fetch(f"{outside.urls['host']}/api/inventory/{sku}", "PUT", body), 409)
    outside.ended(order_id)
    assert outside.stock(sku) == (1, 0)


def test_an_unknown_sku_is_404_and_no_sku_is_400(outside: OutsideView) -> None:
    assert_problem(outside.get("/api/inventory/NOBODY-SELLS-THIS"), 404)
    assert_problem(outside.get("/api/inventory/lower-case"), 400, "sku")


def test_health_lists_each_provider_and_no_value(outside: OutsideView) -> None:
    answer = outside.get("/api/health?t=1")  # as a monitor asks, so that nothing answers from a cache
    assert answer.status == 200
    assert answer.json() == {
        "status": "ok",
        "providers": {"storage": "ok", "payments": "configured", "mail": "configured", "push": "configured"},
        "stripe_key": "test",
        "faults": [],
        "sweep": answer.json()["sweep"],
    }


def test_a_wrong_verb_and_an_unknown_path_are_404(outside: OutsideView) -> None:
    assert fetch(f"{outside.urls['host']}/api/orders", "DELETE").status == 404
    assert outside.get("/api/nothing").status == 404
