"""The process dies, at any moment and at the worst ones; then it is started again on the same data.

A death is a SIGKILL: at random while orders run, by a provider that has just committed, and while a result is known but
not yet written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import pytest

from devtools.example_order import example_order
from devtools.processes.ports import PORTS_IN_A_ROW
from tests.replay.oracle.walk import walk
from tests.replay.scenarios import ORDER_SAGA
from tests.replay.task_hub import histories
from tests.support.harness import Harness
from tests.support.outside_view import NOTHING, OutsideView, compensations, new_id, wait_for
from tests.support.product import Product
from tests.support.servers import FreePorts

PRICE = 12900
COMPLETED = NOTHING._replace(charged=PRICE, label="issued", mails=1, message_ids=1, pushes=1)
UNDONE = NOTHING._replace(charged=PRICE, given_back=PRICE, label="void")
BOUNCING = {**example_order()["customer"], "email": "ada@bounce.invalid"}


@pytest.fixture(scope="module")
def product(ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product of this module's own, since tests kill it."""
    mine = Product(tmp_path_factory.mktemp("crashes"), ports(PORTS_IN_A_ROW))
    try:
        yield mine
    finally:
        mine.end()


def started(product: Product) -> OutsideView:
    if not (product.data / "urls.json").exists():
        product.start_again()
    return OutsideView(product.urls)


# The worst moments: what a provider has just done when the process dies, and how the order ends all the same.
MOMENTS: dict[str, tuple[str, str, dict[str, Any], Any]] = {
    "a payment intent": ("payments", "payment_intents.create", {}, COMPLETED),
    "a charge": ("payments", "payment_intents.confirm", {}, COMPLETED),
    "a decline": (
        "payments",
        "payment_intents.confirm",
        {"payment_method": "pm_card_visa_chargeDeclined"},
        NOTHING,
    ),
    "a refund": ("payments", "refunds.create", {"customer": BOUNCING}, UNDONE),
    "a cancelled intent": (
        "payments",
        "payment_intents.cancel",
        {"payment_method": "pm_card_visa_chargeDeclined"},
        NOTHING,
    ),
    "a push": ("mail", "push.send", {}, COMPLETED),
    "a mail": ("mail", "email.send", {}, COMPLETED),
}


@pytest.fixture(scope="module")
def app(new_harness: Callable[..., Harness]) -> Iterator[Harness]:
    """One that every test kills and starts again."""
    with new_harness(STEP_RETRY_SECONDS="60", UNDO_RETRY_SECONDS="60") as app:
        app.start().close()
        yield app


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_death_between_an_effect_and_its_checkpoint_repeats_nothing(app: Harness, moment: str) -> None:
    target, operation, changes, expected = MOMENTS[moment]
    order_id = new_id()
    rule = {"operation": operation, "fault": "kill_after_commit", "order_id": order_id, "times": 1, "kill_pid": app.pid}
    with closing(OutsideView(app.urls)) as outside:
        sku = outside.new_sku(on_hand=5, price_minor=PRICE)
        app.sandbox.faults(target, [rule])
        outside.order(order_id, items=[{"sku": sku, "quantity": 1}], **changes)
        app.wait_for_death()
    with closing(app.start()) as outside:
        outside.ended(order_id)
        effects = outside.effects(order_id)
        # A mail may have a copy exactly where the process died between acceptance and record: same Message-ID. A push
        # is sent at most once: a worker that lives a moment longer than its host may have claimed it, and not sent it.
        pushes = expected.pushes if moment == "a mail" and effects.pushes == 0 else effects.pushes
        assert effects._replace(mails=min(effects.mails, 1), pushes=pushes) == expected
        assert effects.mails <= (2 if moment == "a mail" else 1)
        assert outside.stock(sku) == (4 if expected == COMPLETED else 5, 0)


def test_orders_that_were_killed_at_random_all_end_right(product: Product) -> None:
    orders: dict[str, dict[str, Any]] = {}
    skus: list[str] = []
    for life in range(3):
        with closing(started(product)) as outside:
            skus = skus or [outside.new_sku(on_hand=100, price_minor=PRICE)]
            batch = {new_id(): _variety(number, skus[0]) for number in range(6)}
            for order_id, changes in batch.items():
                outside.order(order_id, **changes)
            orders |= batch
            if life < 2:
                wait_for(partial(_begun, outside, batch), 60, "an order in the middle")
                assert product.kill_devhost() == 1
    with closing(OutsideView(product.urls)) as outside:
        ended = {order_id: outside.ended(order_id) for order_id in orders}
        for order_id, changes in orders.items():
            expected, effects = _expected(changes), outside.effects(order_id)
            assert effects._replace(mails=min(effects.mails, 1), pushes=expected.pushes) == expected, ended[order_id]
            assert effects.pushes <= 1
        sold = sum(view["status"] == "completed" for view in ended.values())
        assert outside.stock(skus[0]) == (100 - sold, 0)
        stored = histories(outside.urls["storage_connection_string"], outside.urls["task_hub"])
        assert [disagreement for order_id in orders for disagreement in walk(stored[order_id], ORDER_SAGA)] == []


def _variety(number: int, sku: str) -> dict[str, Any]:
    varieties: list[dict[str, Any]] = [
        {},
        {"customer": BOUNCING},
        {"payment_method": "pm_card_visa_chargeDeclined"},
    ]
    return {"items": [{"sku": sku, "quantity": 1}], **varieties[number % 3]}


def _expected(changes: dict[str, Any]) -> Any:
    if "payment_method" in changes:
        return NOTHING
    return UNDONE if "customer" in changes else COMPLETED


def _begun(outside: OutsideView, batch: dict[str, Any]) -> bool:
    return any(outside.ledger(order_id) for order_id in batch)


def test_what_was_accepted_survives_the_death_in_the_next_moment(product: Product) -> None:
    orders = [new_id() for _ in range(5)]
    with closing(started(product)) as outside:
        for order_id in orders:
            outside.order(order_id)
        assert product.kill_devhost() == 1
    product.start()
    with closing(OutsideView(product.urls)) as outside:
        assert [outside.ended(order_id)["status"] for order_id in orders] == ["completed"] * 5
        assert [outside.effects(order_id).charged for order_id in orders] == [PRICE] * 5


@pytest.fixture
def proxied(new_harness: Callable[..., Harness]) -> Iterator[Harness]:
    with new_harness() as app:
        yield app


def test_a_last_failure_that_was_not_yet_written_cannot_release_stock_that_is_then_shipped(
    proxied: Harness,
) -> None:
    """The last attempt to ship has failed, and devhost dies before that is written. Nothing may have been undone on the
    strength of it: the next life runs the attempt again, it succeeds, and the order completes with its stock."""
    app, tables, blobs = proxied, proxied.tables, proxied.blobs
    order_id = new_id()
    with closing(app.start()) as outside:
        sku = outside.new_sku(on_hand=5)
        last_failure = f"batch.*{order_id}.*TaskFailed.*release|batch.*{order_id}.*TaskFailed.*cancel_shipment"
        with (
            blobs.failing(f"^PUT .*labels/{order_id}", "lose_request"),
            tables.failing(last_failure, "hold") as held,
        ):
            outside.order(order_id, items=[{"sku": sku, "quantity": 1}])
            assert held.seen.wait(60), "the last failure was never to be written"
            assert outside.stock(sku) == (5, 1)
            assert outside.label(order_id) is None
            app.kill()
    with closing(app.start()) as outside:
        view = outside.ended(order_id)
        assert view["status"] == "completed", view
        assert outside.stock(sku) == (4, 0)
        assert outside.label(order_id) == "issued"
        assert compensations(view) == []


def test_storage_that_goes_away_for_a_while_delays_and_loses_nothing(proxied: Harness) -> None:
    app, tables = proxied, proxied.tables
    orders = [new_id() for _ in range(4)]
    with closing(app.start()) as outside:
        sku = outside.new_sku(on_hand=9)
        rule = {"operation": "payment_intents.confirm", "fault": "hold", "delay_s": 8}
        with ExitStack() as outage:
            with outside.faults("payments", rule):
                for order_id in orders:
                    outside.order(order_id, items=[{"sku": sku, "quantity": 1}])
                wait_for(lambda: all(outside.ledger(order_id) for order_id in orders), 60, "charges")
                away = outage.enter_context(tables.failing("devstoreaccount1", "lose_request"))
            assert away.seen.wait(60)
            wait_for(lambda: away.times < 1_000_000 - 10, 60, "ten lost requests")
        assert {outside.ended(order_id)["status"] for order_id in orders} <= {"completed", "compensated"}
        for order_id in orders:
            assert outside.effects(order_id).net in {0, 1000}
        sold = sum(outside.view(order_id)["status"] == "completed" for order_id in orders)
        assert sum(outside.effects(order_id).net for order_id in orders) == sold * 1000
        assert outside.stock(sku) == (9 - sold, 0)
