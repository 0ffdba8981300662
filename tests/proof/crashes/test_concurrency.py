"""A hundred orders want fifty units, a few at a time, with refusals, restocks and a death in the middle.

Nothing is sold that is not there and nothing is lost: at every sample, and at the end to the unit. So that "exactly the
right number" means something, what refusals gave back late is asked for again at the end: then every unit is sold, and
the next order for one is refused. `--concurrent-orders 200`, as in `dev.py proof`, has so many orders.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from azure.core.exceptions import AzureError

from devtools.audit.auditor import Auditor
from devtools.processes.ports import PORTS_IN_A_ROW
from models.states import FINAL_STATES
from tests.proof.crashes import customers
from tests.support.outside_view import OutsideView, wait_for
from tests.support.product import Product
from tests.support.servers import FreePorts

ORDERS, AT_ONCE, PRICE, SEED = 100, 10, 1000, 3
UNITS = {"OAK-SHELF": 25, "BRASS-HOOK": 15, "WOOL-RUG": 10}
RESTOCKS = (("OAK-SHELF", 3), ("WOOL-RUG", 2), ("BRASS-HOOK", 4))
MIX = customers.Mix(declined=0.08, bouncing=0.05, po_box=0.04, unknown_sku=0.02, cancelled=0.04, repeated=0.05)
AWAY = (OSError, AzureError)


@pytest.fixture(scope="module")
def product(ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    settings = {"UNDO_RETRY_SECONDS": "60", "FUNCTIONS_WORKER_PROCESS_COUNT": "3"}
    mine = Product(tmp_path_factory.mktemp("concurrency"), ports(PORTS_IN_A_ROW), **settings)
    try:
        yield mine.start()
    finally:
        mine.end()


def test_many_more_orders_than_units_sell_each_unit_once(product: Product, request: pytest.FixtureRequest) -> None:
    count: int = request.config.getoption("--concurrent-orders") or ORDERS
    urls, rng = product.urls, random.Random(SEED)
    assert {"worker", "worker1", "worker2"} <= set(urls["pids"])
    with closing(OutsideView(urls)) as outside, closing(Auditor(urls)) as auditor:
        for sku, units in UNITS.items():
            outside.put_stock(sku, units, PRICE)
            auditor.stocked(sku, units)
        orders = customers.draw(rng, "many", count, list(UNITS), MIX)
        with _sampled(auditor):
            _place_all(urls, auditor, orders[: count // 2])
            product.kill_devhost()
            product.start_again()
            with ThreadPoolExecutor(1) as stockroom:
                restocked = [stockroom.submit(_restock, urls, auditor, sku, units) for sku, units in RESTOCKS]
                _place_all(urls, auditor, orders)  # those before the death once more: their answers may be lost
                assert all(each.result() for each in restocked)
            wait_for(lambda: not auditor.waiting(), 90, f"end of {auditor.waiting()}", every=0.5)
        _buy_the_rest(outside, auditor)
        assert auditor.violations() == []
        assert auditor.samples >= 2  # each takes seconds while three workers have both cores
        _assert_all_sold_once(outside, orders)


def _place_all(urls: dict[str, Any], auditor: Auditor, orders: Sequence[customers.Order]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(partial(_place, urls, auditor), orders))


def _place(urls: dict[str, Any], auditor: Auditor, order: customers.Order) -> None:
    for _ in range(2 if order.repeated else 1):
        _until_answered(customers.place, urls, auditor, order)
    if order.cancel_after is not None:
        _until_answered(customers.cancel, urls, auditor, order.order_id)


def _until_answered(ask: Callable[..., Any], *arguments: Any) -> Any:
    """Who is answered with 503 asks again: on a busy machine storage may take longer than the app waits."""
    for _ in range(60):
        with suppress(OSError):
            return ask(*arguments)
        time.sleep(0.5)
    return ask(*arguments)


def _restock(urls: dict[str, Any], auditor: Auditor, sku: str, units: int) -> bool:
    """Until nobody sold one in between."""
    return any(_until_answered(customers.restock, urls, auditor, sku, units) for _ in range(200))


def _buy_the_rest(outside: OutsideView, auditor: Auditor) -> None:
    """One unit an order, and one order more than there are units."""
    for sku in UNITS:
        left, reserved = outside.stock(sku)
        assert reserved == 0
        ended = []
        for number in range(left + 1):
            order_id = outside.order(f"rest-{sku.lower()}-{number}", items=[{"sku": sku, "quantity": 1}])
            auditor.accepted(order_id)
            ended.append(outside.ended(order_id)["status"])
        assert ended == ["completed"] * left + ["rejected"], sku


def _assert_all_sold_once(outside: OutsideView, orders: Sequence[customers.Order]) -> None:
    assert {sku: outside.stock(sku) for sku in UNITS} == dict.fromkeys(UNITS, (0, 0))
    owned = Counter(UNITS) + Counter(dict(RESTOCKS))
    ended = {order.order_id: outside.view(order.order_id)["status"] for order in orders}
    assert set(ended.values()) <= FINAL_STATES
    bought = sum((Counter(order.items) for order in orders if ended[order.order_id] == "completed"), Counter[str]())
    assert all(bought[sku] <= owned[sku] for sku in owned)
    paid = sum(net for order_id, net in outside.net_money().items() if order_id.startswith(("many-", "rest-")))
    assert paid == owned.total() * PRICE


@contextmanager
def _sampled(auditor: Auditor) -> Iterator[None]:
    """Look again and again for the length of a block, except while the product is away."""
    over, broken = threading.Event(), list[BaseException]()

    def look() -> None:
        while not over.wait(0.2):
            try:
                auditor.sample()
            except AWAY:
                continue
            except BaseException as fault:
                broken.append(fault)
                raise

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join(60)
    assert not watching.is_alive(), "the auditor's last look did not end"
    assert not broken, broken
