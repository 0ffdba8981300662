"""What the API answers about orders and stock, asked directly over the app's own adapters on a world in memory.

How bodies are read is in test_request_bodies.py; the same routes through a host are in tests/e2e.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus

from api import inventory, operators, orders, overview
from api.problems import respond
from models.messages import SAGA_VERSION, Limits
from models.money import Total
from models.order_parts import Line
from models.order_record import close, start
from models.view import CompensationView, fresh_view
from tests.support.shop_in_memory import TRACKING, ShopInMemory
from tests.unit.orders import body

ORDER, SKU = "order-1", "CRUNCHY-ARMCHAIR"
LINES, TOTAL = (Line(sku=SKU, quantity=2, price_minor=12900),), Total(amount_minor=25800, currency="gbp")
PROOF = {"by": "ada", "reason": "the bank says so", "reference": "7"}


class SagasInMemory:
    """What the routes use of the durable client."""

    def __init__(self) -> None:
        self.started: dict[str, Any] = {}
        self.woken: list[tuple[str, str]] = []
        self.is_down = False
        self.status_fault: Exception | DurableOrchestrationStatus | None = None

    async def start_new(self, name: str, instance_id: str, input_: Any) -> str:
        if self.is_down:
            raise ConnectionError("the host's extension is away")
        self.started[instance_id] = input_
        return instance_id

    async def get_status(self, instance_id: str, **parts: bool) -> Any:
        if isinstance(self.status_fault, Exception):
            raise self.status_fault
        if self.status_fault is not None:
            return self.status_fault
        running = SimpleNamespace(
            runtime_status=SimpleNamespace(name="Running"), custom_status=fresh_view(instance_id, "running").as_json()
        )
        return running if instance_id in self.started else DurableOrchestrationStatus.from_json("")

    async def raise_event(self, instance_id: str, name: str, content: Any) -> None:
        if instance_id not in self.started:
            raise ValueError("no such instance")
        self.woken.append((instance_id, name))

    def create_check_status_response(self, req: func.HttpRequest, instance_id: str) -> func.HttpResponse:
        return func.HttpResponse(json.dumps({"id": instance_id, "statusQueryGetUri": f"https://shop/{instance_id}"}))


class ApiInMemory(ShopInMemory):
    """The routes of one shop: each answers with its status, its headers and its JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.sagas = SagasInMemory()

    def answer(self, route: Callable[..., Awaitable[func.HttpResponse]], *needs: Any, **parts: Any) -> SimpleNamespace:
        content = parts.pop("body", None)
        request = func.HttpRequest(
            "GET" if content is None else "POST",
            "https://shop.example/api/orders",
            headers={"Content-Type": "application/json", **parts.pop("headers", {})},
            params=parts.pop("params", {}),
            route_params=parts,
            body=b"" if content is None else json.dumps(content).encode(),
        )
        response = asyncio.run(respond(lambda: None, lambda _: route(request, *needs)))
        text = response.get_body()
        return SimpleNamespace(
            status=response.status_code, headers=response.headers, json=json.loads(text) if text else None
        )

    def place(self, headers: dict[str, str] | None = None, **changes: Any) -> SimpleNamespace:
        sent = body(**{"order_id": ORDER, **changes})
        return self.answer(orders.place, self.sagas, self.orders, Limits(), TRACKING, body=sent, headers=headers or {})

    def show(self, order_id: str = ORDER) -> SimpleNamespace:
        return self.answer(orders.show, self.sagas, self.orders, order_id=order_id)

    def cancel(self, **parts: Any) -> SimpleNamespace:
        return self.answer(operators.cancel, self.sagas, self.orders, order_id=ORDER, **parts)

    def approve(self, approved: bool = True) -> SimpleNamespace:
        decision = {"approved": approved, "approver": "ada"}
        return self.answer(operators.approve, self.sagas, self.orders, order_id=ORDER, body=decision)

    def operate(self, verb: Any, compensation: str, **body: str) -> SimpleNamespace:
        needs = (self.sagas, self.orders, Limits())
        return self.answer(verb, *needs, order_id=ORDER, compensation=compensation, body=body)

    def stored(self, deadline: datetime | None = None, status: Any = None, *parked: str) -> ApiInMemory:
        """The order accepted, validated and, with a status, ended; its saga runs."""
        self.place()
        self.orders.change(ORDER, start, LINES, TOTAL, deadline)
        if status:
            view = fresh_view(ORDER, status)
            view.compensations = [CompensationView(name=name, status="failed") for name in parked]
            self.orders.change(ORDER, close, view.as_json(), len(parked))
        return self


def test_an_order_is_accepted_and_its_saga_started_with_the_version_of_today() -> None:
    api = ApiInMemory()
    answer = api.place()
    assert answer.status == 202
    assert answer.json["id"] == ORDER
    assert answer.json["orderUrl"] == f"https://shop.example/api/orders/{ORDER}"
    assert answer.json["trackingUrl"].startswith(f"https://shop.example/api/track/{ORDER}?token=")
    assert (answer.headers["Location"], answer.headers["Retry-After"]) == (f"https://shop/{ORDER}", "1")
    assert api.sagas.started[ORDER]["version"] == SAGA_VERSION
    assert api.sagas.started[ORDER]["etag"] == api.orders.read(ORDER).etag


def test_the_same_order_again_is_accepted_and_starts_nothing() -> None:
    api = ApiInMemory()
    first = api.place()
    started = dict(api.sagas.started)
    api.sagas.is_down = True
    assert api.place().json == first.json
    assert api.sagas.started == started


def test_another_order_under_a_used_id_is_a_conflict() -> None:
    api = ApiInMemory()
    api.place()
    answer = api.place(customer__name="Grace")
    assert answer.status == 409
    assert answer.json["detail"] == f"Order {ORDER} exists with another body. Use a new id for a new order."


def test_an_order_whose_saga_cannot_be_started_is_kept_and_503_says_to_send_it_again() -> None:
    api = ApiInMemory()
    api.sagas.is_down = True
    answer = api.place()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    api.sagas.is_down = False
    assert api.place().status == 202
    assert list(api.sagas.started) == [ORDER]


# What the SDK makes of a host that does not answer, and of a 500 of the extension.
FAULTS = [
    ConnectionError("http://127.0.0.1/runtime?code=secret"),
    DurableOrchestrationStatus.from_json({"Message": "Something went wrong", "ExceptionMessage": "code=secret"}),
    DurableOrchestrationStatus.from_json({"ExceptionMessage": "code=secret"}),
]
each_fault = pytest.mark.parametrize("fault", FAULTS, ids=["no answer", "a 500", "a 500 without a message"])


@each_fault
def test_a_host_that_does_not_say_how_the_saga_is_makes_a_503(fault: Any) -> None:
    api = ApiInMemory().stored()
    api.sagas.status_fault = fault
    answers = [api.show(), api.place(), api.answer(overview.order_timeline, api.sagas, api.orders, order_id=ORDER)]
    for answer in answers:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "secret" not in json.dumps(answer.json)


@each_fault
def test_an_order_whose_saga_can_neither_be_started_nor_found_is_kept(fault: Any) -> None:
    api = ApiInMemory()
    api.sagas.is_down, api.sagas.status_fault = True, fault
    answer = api.place()
    assert (answer.status, api.orders.read(ORDER).state) == (503, "accepted")
    assert answer.json["detail"] == f"Order {ORDER} is accepted but not started. Send it again with this id."


def test_a_parked_order_that_is_sent_again_waits_for_its_operator_though_its_saga_is_gone() -> None:
    api = ApiInMemory().stored(None, "needs_attention", "refund_payment")
    api.sagas.started.clear()
    assert api.place().status == 202
    assert api.sagas.started == {}


@pytest.mark.parametrize(
    ("headers", "order_id", "placed"),
    [({"Idempotency-Key": "key-1"}, None, "key-1"), ({"Idempotency-Key": '"key-1"'}, "key-1", "key-1"), ({}, "x", "x")],
)
def test_the_id_is_the_client_s(headers: dict[str, str], order_id: str | None, placed: str) -> None:
    assert ApiInMemory().place(headers, order_id=order_id).json["id"] == placed


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, "another-id"])
def test_a_key_that_is_no_id_or_not_the_body_s_is_refused(key: str) -> None:
    answer = ApiInMemory().place({"Idempotency-Key": key})
    assert answer.status == 400
    assert "Idempotency-Key" in json.dumps(answer.json)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"items": []}, "#/items"),
        ({"customer__email": "nobody"}, "#/customer/email"),
        ({"shipping_address__country": "XX"}, "#/shipping_address/country"),
        ({"loyalty": 7}, "#/loyalty"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(changes: dict[str, Any], pointer: str) -> None:
    api = ApiInMemory()
    answer = api.place(**changes)
    assert answer.status == 400
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert api.tables["orders"].rows == {}


def test_an_order_is_shown_without_personal_data() -> None:
    answer = ApiInMemory().stored().show()
    assert (answer.status, answer.json["order_id"], answer.json["status"]) == (200, ORDER, "running")
    assert "ada@example.com" not in json.dumps(answer.json) and "St James" not in json.dumps(answer.json)


@pytest.mark.parametrize("order_id", ["nobody", "a/b", "x" * 300])
def test_an_order_that_is_none_is_not_found(order_id: str) -> None:
    assert ApiInMemory().show(order_id).status == 404


def test_a_running_order_can_be_cancelled_and_again() -> None:
    api = ApiInMemory().stored()
    for _ in range(2):
        answer = api.cancel(body={"by": "ada", "reason": "changed her mind"})
        assert answer.status == 202
        assert answer.json == {"order_id": ORDER, "status": "running", "cancel_requested": True}


def test_a_completed_order_cannot_be_cancelled() -> None:
    answer = ApiInMemory().stored(None, "completed").cancel()
    assert answer.status == 409
    assert "completed" in answer.json["detail"]


def test_a_decision_is_taken_once_and_wakes_the_saga() -> None:
    api = ApiInMemory().stored(datetime.now(UTC) + timedelta(days=1))
    answer = api.approve()
    assert (answer.status, answer.json["decision"], answer.json["total"]["amount_minor"]) == (202, "approved", 25800)
    assert api.sagas.woken == [(ORDER, "decision:1")]
    assert api.approve(approved=False).status == 409


def test_a_decision_that_comes_too_late_is_a_conflict() -> None:
    assert ApiInMemory().stored(datetime.now(UTC) - timedelta(seconds=1)).approve().status == 409


def test_an_undo_that_waits_for_an_operator_is_retried_or_resolved() -> None:
    retried, resolved = (ApiInMemory().stored(None, "needs_attention", "refund_payment") for _ in range(2))
    answer = retried.operate(operators.retry, "refund_payment", by="ada", reason="Stripe is back")
    assert (answer.status, answer.json["status"]) == (202, "compensating")
    answer = resolved.operate(operators.resolve, "refund_payment", **PROOF)
    assert (answer.status, answer.json["status"]) == (202, "compensating")
    assert retried.sagas.woken == resolved.sagas.woken == [(ORDER, "attention:1")]


def test_an_undo_that_does_not_wait_is_a_conflict_and_an_unknown_one_not_found() -> None:
    api = ApiInMemory().stored()
    assert api.operate(operators.retry, "refund_payment", by="ada", reason="why not").status == 409
    assert api.operate(operators.retry, "refund_everything", by="ada", reason="why not").status == 404


def test_an_order_is_erased_only_when_it_has_ended() -> None:
    running, ended = ApiInMemory().stored(), ApiInMemory().stored(None, "completed")
    assert running.answer(operators.erase, running.orders, running.labels, order_id=ORDER).status == 409
    assert ended.answer(operators.erase, ended.orders, ended.labels, order_id=ORDER).status == 204
    assert ended.place().status == 409


def test_a_list_has_the_orders_of_the_asked_status() -> None:
    api = ApiInMemory().stored()
    for status, ids in {"running": [ORDER], "completed": []}.items():
        answer = api.answer(orders.list_orders, api.index, params={"status": status})
        assert [order["order_id"] for order in answer.json["orders"]] == ids
    assert api.answer(orders.list_orders, api.index, params={"status": "lost"}).status == 400
    assert api.answer(orders.list_orders, api.index, params={"from": "2026-13-01"}).status == 400


def test_stock_is_put_shown_and_guarded_by_its_etag() -> None:
    api = ApiInMemory()
    update = {"on_hand": 3, "price_minor": 1900, "currency": "gbp"}
    assert api.answer(inventory.show, api.stock, sku=SKU).status == 404
    put = api.answer(inventory.put, api.stock, sku=SKU, body=update)
    assert (put.status, put.json["available"]) == (201, 3)
    assert api.answer(inventory.show, api.stock, sku=SKU).headers["ETag"] == put.headers["ETag"]
    again = api.answer(inventory.put, api.stock, sku=SKU, body=update, headers={"If-Match": put.headers["ETag"]})
    assert again.status == 200
    stale = api.answer(inventory.put, api.stock, sku=SKU, body=update, headers={"If-Match": put.headers["ETag"]})
    assert stale.status == 412
