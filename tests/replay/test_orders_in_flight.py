"""The saga is changed while orders are in flight: what the first version began, today's code finishes.

The orders are started as the first version started them, with an input that names no version, and devhost is killed
while they are in the middle. Their histories hold what the first version would have written, and nothing of the second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from devtools.example_order import example_order
from devtools.processes.http import fetch
from models.order_request import OrderRequest
from services import storage
from services.tables.order_index import OrderIndex
from services.tables.table_orders import TableOrders
from tests.replay.oracle.history import Kind
from tests.replay.oracle.walk import walk
from tests.replay.scenarios import ORDER_SAGA
from tests.replay.task_hub import histories
from tests.support.harness import Harness
from tests.support.outside_view import NOTHING, OutsideView, compensations, new_id, wait_for

PRICE = 12900
LIMITS = {"step_retry_s": 5.0, "undo_retry_s": 2.0, "confirmation_failure": "compensate"}
BOUNCING = {**example_order()["customer"], "email": "ada@bounce.invalid"}
COMPLETED = NOTHING._replace(charged=PRICE, label="issued", mails=1, message_ids=1, pushes=1)
UNDONE = NOTHING._replace(charged=PRICE, given_back=PRICE, label="void")
REFUND_IS_DOWN: dict[str, Any] = {"operation": "refunds.create", "fault": "error_before_commit"}


@pytest.fixture
def app(new_harness: Callable[..., Harness]) -> Iterator[Harness]:
    with new_harness(UNDO_RETRY_SECONDS="2") as app:
        yield app


def begin(app: Harness, orders: TableOrders, **changes: Any) -> str:
    """Accept an order and start its saga as the first version did."""
    order_id = new_id()
    orders.accept(order_id, OrderRequest.model_validate_json(json.dumps(example_order(**changes))))
    body = json.dumps({"order_id": order_id, "limits": LIMITS})
    started = fetch(f"{app.host}/runtime/webhooks/durabletask/orchestrators/order_saga/{order_id}", "POST", body)
    assert started.status == 202, started.body
    return order_id


def test_orders_that_the_first_version_began_finish_on_todays_code(app: Harness) -> None:
    account = storage.connect({"AzureWebJobsStorage": app.storage})
    with closing(app.start()) as outside:
        sku = outside.new_sku(on_hand=10, price_minor=PRICE)
        table, index = (storage.open_table(account, name) for name in ("orders", "orderindex"))
        orders = TableOrders(table, OrderIndex(index))
        item = [{"sku": sku, "quantity": 1}]
        held = {"operation": "payment_intents.confirm", "fault": "hold", "delay_s": 8, "times": 4}
        with outside.faults("payments", held):
            completed = begin(app, orders, items=item)
            declined = begin(app, orders, items=item, payment_method="pm_card_visa_chargeDeclined")
            bounced = begin(app, orders, items=item, customer=BOUNCING)
            parked = begin(app, orders, items=item, customer=BOUNCING)
            wait_for(lambda: outside.ledger(completed) and outside.ledger(parked), 60, "orders in the middle")
            app.kill()
    with closing(app.start()) as outside:
        with outside.faults("payments", {**REFUND_IS_DOWN, "order_id": parked}):
            assert outside.ended(completed)["status"] == "completed"
            assert outside.ended(declined)["failure"]["reason"] == "card_declined"
            assert compensations(outside.ended(bounced)) == [
                ("cancel_shipment", "done"),
                ("refund_payment", "done"),
                ("release_inventory", "done"),
            ]
            assert outside.ended(parked)["status"] == "needs_attention"
        effects = {order_id: outside.effects(order_id) for order_id in (completed, declined, bounced)}
        assert effects == {completed: COMPLETED, declined: NOTHING, bounced: UNDONE}
        assert_written_as_the_first_version_would(outside, completed, declined, bounced, parked)

        assert outside.operate(parked, "refund_payment", "retry", by="Olu", reason="it is up again").status == 202
        outside.becomes(parked, "compensated")
        assert outside.effects(parked) == UNDONE
        assert outside.stock(sku) == (9, 0)


def assert_written_as_the_first_version_would(outside: OutsideView, *order_ids: str) -> None:
    """No deadlines: a timer stands only where a fault was waited out; and the real host agrees with every id."""
    stored = histories(outside.urls["storage_connection_string"], outside.urls["task_hub"])
    for order_id in order_ids:
        assert walk(stored[order_id], ORDER_SAGA) == []
        started = json.loads(json.loads(stored[order_id][1]["Input"]))
        assert "version" not in started
    timers = [event for event in stored[order_ids[0]] if event["EventType"] == Kind.TimerCreated]
    assert timers == []
