"""The edge at its own writes, on the real thing: a `POST` that dies at one of them, and two operators who meet at one.

devhost is killed by SIGKILL while requests stand at storage: before they are written, and after, before their answer.
Nobody sends the order again. Then the sweep looks, as it does once a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from devtools.example_order import example_order
from models.messages import SAGA_VERSION
from reconciliation.sweep import Reconciler, Sagas, _look_after
from tests.support.harness import Harness
from tests.support.orders_on_record import index_of, orders_of, payments_of, stock_of
from tests.support.outside_view import NOTHING, OutsideView, new_id, wait_for
from tests.support.storage_proxy import Fault

PRICE = 1000
COMPLETED = NOTHING._replace(charged=PRICE, label="issued", mails=1, message_ids=1, pushes=1)
BOUNCING = {**example_order()["customer"], "email": "ada@bounce.invalid"}
ADA = {"by": "ada", "reason": "the bank is up again"}
PROOF = {**ADA, "reference": "SEPA-4711"}
EVENTS = {"retry": "compensation_retry_requested", "resolve": "compensation_resolved"}
WRITES = {
    "index entry": r"^POST \S*orderindex.*{id}",
    "record": r"batch.*orders\(PartitionKey.*{id}|batch.*{id}.*accepted",
    "instance": r"Instances.*{id}",
}
MOMENTS: dict[str, Fault] = {"before": "hold", "after": "hold_answer"}
CELLS = [(write, moment) for write in WRITES for moment in MOMENTS]


@pytest.fixture(scope="module")
def app(new_harness: Callable[..., Harness]) -> Iterator[Harness]:
    with new_harness(UNDO_RETRY_SECONDS="1") as app:
        yield app


def test_a_post_that_dies_at_any_of_its_writes_is_accepted_and_ends_or_was_never_accepted(
    app: Harness,
) -> None:
    orders = {cell: new_id() for cell in CELLS}
    with closing(app.start()) as outside, ThreadPoolExecutor(len(CELLS)) as pool, ExitStack() as held:
        sku = outside.new_sku(on_hand=20, price_minor=PRICE)
        stands = []
        for (write, moment), order_id in orders.items():
            pattern = WRITES[write].replace("{id}", order_id)
            rule = held.enter_context(app.tables.failing(pattern, MOMENTS[moment], times=1))
            stands.append(rule.seen.is_set if moment == "before" else rule.done.is_set)
            pool.submit(post_into_the_void, outside, order_id, sku)
        wait_for(lambda: all(stand() for stand in stands), 60, "a request at each write")
        app.kill()
    with closing(app.start()) as outside:
        on_record = {cell: bool(orders_of(outside).find(order_id)) for cell, order_id in orders.items()}
        swept(outside, list(orders.values()))
        for cell, order_id in orders.items():
            if on_record[cell]:
                assert outside.ended(order_id)["status"] == "completed", cell
                assert outside.effects(order_id) == COMPLETED, cell
            else:
                assert outside.get(f"/api/orders/{order_id}").status == 404, cell
                assert outside.effects(order_id) == NOTHING, cell
        assert [cell for cell, there in on_record.items() if not there] == [
            ("index entry", "before"),
            ("index entry", "after"),
            ("record", "before"),
        ]
        assert outside.stock(sku) == (20 - sum(on_record.values()), 0)


def post_into_the_void(outside: OutsideView, order_id: str, sku: str) -> None:
    with contextlib.suppress(OSError):  # the server dies before it answers
        outside.order(order_id, items=[{"sku": sku, "quantity": 1}])


def swept(outside: OutsideView, orders: list[str]) -> None:
    """What the sweep does a minute later about these orders alone: the storage account has those of other tests too."""
    adapters = orders_of(outside), index_of(outside), payments_of(outside), stock_of(outside)
    reconciler = Reconciler(*adapters)
    sagas = Sagas(partial(status_of, outside), partial(start, outside), never_woken)
    later = datetime.now(UTC) + timedelta(minutes=1)
    for entry in index_of(outside).unfinished(None, 100_000):
        if entry.order_id in orders:
            asyncio.run(_look_after(reconciler, sagas, entry, later))


async def status_of(outside: OutsideView, order_id: str) -> Any:
    answer = outside.get(f"/runtime/webhooks/durabletask/instances/{order_id}")
    if answer.status == 404:
        return None
    view = answer.json()
    return SimpleNamespace(
        runtime_status=SimpleNamespace(name=view["runtimeStatus"]), custom_status=view["customStatus"]
    )


async def start(outside: OutsideView, order_id: str) -> None:
    limits = {"step_retry_s": 5.0, "undo_retry_s": 1.0}
    input_ = {"order_id": order_id, "limits": limits, "version": SAGA_VERSION}
    started = outside.post(f"/runtime/webhooks/durabletask/orchestrators/order_saga/{order_id}", input_)
    assert started.status == 202, started.body


async def never_woken(order_id: str, event: str) -> bool:
    raise AssertionError(f"{order_id} was to be woken by {event}")


# Two operators. The second one's write is held up after it was decided, until the first one's is done.


@pytest.fixture(scope="module")
def outside(app: Harness) -> Iterator[OutsideView]:
    app.stop()
    with closing(app.start()) as outside:
        yield outside


@pytest.mark.parametrize(
    ("late", "first", "given_back"), [("resolve", "retry", PRICE), ("retry", "resolve", 0), ("resolve", "resolve", 0)]
)
def test_of_two_operators_at_one_parked_order_the_later_is_refused_and_the_money_goes_back_once(
    app: Harness, outside: OutsideView, late: str, first: str, given_back: int
) -> None:
    order_id = parked(outside)
    with ThreadPoolExecutor(1) as pool:
        with app.tables.failing(f"batch.*{order_id}.*{EVENTS[late]}", "hold_then_commit", times=1) as held:
            second = pool.submit(operate, outside, order_id, late)
            assert held.seen.wait(30)
            assert operate(outside, order_id, first) == 202
        assert second.result() == 409
    assert outside.ended(order_id)["status"] == "compensated"
    assert outside.effects(order_id).given_back == given_back
    events = [audit["Event"] for audit in outside.tables.audits(order_id)]
    assert sum(events.count(name) for name in EVENTS.values()) == 1


def test_many_operators_at_once_are_heard_once(outside: OutsideView) -> None:
    for _ in range(3):
        order_id = parked(outside)
        asks: list[Callable[[], int]] = [partial(operate, outside, order_id, verb) for verb in ("retry", "resolve") * 4]
        with ThreadPoolExecutor(len(asks)) as pool:
            answers = list(pool.map(lambda ask: ask(), asks))
        assert sorted(answers) == [202] + [409] * 7
        assert outside.ended(order_id)["status"] == "compensated"
        resolved = "compensation_resolved" in json.dumps(outside.tables.audits(order_id), default=str)
        assert outside.effects(order_id).given_back == (0 if resolved else PRICE)


def parked(outside: OutsideView) -> str:
    order_id = new_id()
    rule = {"operation": "refunds.create", "fault": "error_before_commit", "order_id": order_id}
    with outside.faults("payments", rule):
        outside.order(order_id, items=[{"sku": outside.new_sku(), "quantity": 1}], customer=BOUNCING)
        outside.becomes(order_id, "needs_attention")
    return order_id


def operate(outside: OutsideView, order_id: str, verb: str) -> int:
    body = ADA if verb == "retry" else PROOF
    return outside.operate(order_id, "refund_payment", verb, **body).status
