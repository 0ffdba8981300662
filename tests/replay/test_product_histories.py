"""Every history that the running product wrote, for any order, is one that the real host would have written.

It places orders of its own, so that it means something when it runs alone, and then walks all that is in the hub: after
the end-to-end tests, theirs too.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from devtools.example_order import example_order
from tests.replay.oracle.history import Event, split
from tests.replay.oracle.walk import walk
from tests.replay.scenarios import ORDER_SAGA
from tests.replay.task_hub import histories
from tests.support.outside_view import OutsideView
from tests.support.product import Product

ADDRESS = example_order()["shipping_address"]
CUSTOMER = example_order()["customer"]
ORDERS: dict[str, dict[str, Any]] = {
    "completed": {},
    "a declined card": {"payment_method": "pm_card_visa_chargeDeclined"},
    "a PO box": {"shipping_address": {**ADDRESS, "line1": "PO Box 7"}},
    "a mailbox that is refused": {"customer": {**CUSTOMER, "email": "ada@bounce.invalid"}},
    "an unknown SKU": {"items": [{"sku": "NOBODY-SELLS-THIS", "quantity": 1}]},
}
FLAKY = {"operation": "payment_intents.confirm", "fault": "error_before_commit", "times": 2}


@pytest.fixture(scope="module")
def outside(product: Product) -> Iterator[OutsideView]:
    with closing(OutsideView(product.urls)) as outside:
        yield outside


@pytest.fixture(scope="module")
def ordered(outside: OutsideView) -> list[str]:
    """Ended orders of every outcome; the last was retried on durable timers."""
    sku = outside.new_sku(on_hand=20)
    ids = [outside.order(**{"items": [{"sku": sku, "quantity": 1}]} | changes) for changes in ORDERS.values()]
    for order_id in ids:
        outside.ended(order_id)
    with outside.faults("payments", FLAKY):
        retried = outside.order(items=[{"sku": sku, "quantity": 1}])
        outside.ended(retried)
    return [*ids, retried]


@pytest.fixture(scope="module")
def stored(outside: OutsideView, ordered: list[str]) -> dict[str, list[Event]]:
    return histories(outside.urls["storage_connection_string"], outside.urls["task_hub"])


def test_the_real_host_would_have_written_every_history_of_the_product(stored: dict[str, list[Event]]) -> None:
    disagreements = {
        f"{instance}: {disagreement}"
        for instance, history in stored.items()
        for disagreement in walk(history, ORDER_SAGA)
    }
    assert disagreements == set()


def test_the_walk_saw_retries_and_compensations(stored: dict[str, list[Event]], ordered: list[str]) -> None:
    decisions = [decided for id_ in ordered for execution in split(stored[id_]) for decided in execution.decisions]
    kinds, names = {decided.kind for decided in decisions}, {decided.name for decided in decisions}
    assert "TimerCreated" in kinds
    assert {"cancel_shipment", "refund_payment", "release_inventory", "close_order"} <= names
