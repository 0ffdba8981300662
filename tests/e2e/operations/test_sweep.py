"""The sweep finds what should not be, heals or parks it, and says so in health and log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient

from devtools.example_order import example_order
from devtools.processes.http import fetch
from models.order_parts import Line
from services.tables.order_index import OPEN, index_key
from tests.support.orders_on_record import (
    accept,
    close,
    note_healed,
    note_payment_intent,
    out_of_sight,
    payments_of,
    start,
    stock_of,
)
from tests.support.outside_view import NOTHING, OutsideView, compensations, new_id, wait_for
from tests.support.product import Product
from tests.support.steps import ALL_UNDOS

BOUNCING = {**example_order()["customer"], "email": "ada@bounce.invalid"}
COMPLETED = NOTHING._replace(charged=1000, label="issued", mails=1, message_ids=1, pushes=1)
# Older than the time that the sweep leaves to the writer of the record.
OLD_S = 60


def line(sku: str) -> dict[str, Any]:
    return {"items": [{"sku": sku, "quantity": 1}]}


def reported(outside: OutsideView, finding: str) -> None:
    """Wait until the health answer tells of the finding: each run replaces the report of the one before."""
    wait_for(lambda: (outside.get("/api/health").json()["sweep"] or {}).get(finding), 60, f"{finding} in health")


def two_more_sweeps(outside: OutsideView) -> None:
    for _ in range(2):
        wait_for(partial(has_swept_since, outside, last_sweep(outside)), 60, "sweep")


def has_swept_since(outside: OutsideView, moment: str) -> bool:
    return last_sweep(outside) != moment


def last_sweep(outside: OutsideView) -> str:
    return str(outside.get("/api/health").json()["sweep"]["at"])


def table(outside: OutsideView, name: str) -> TableClient:
    return TableClient.from_connection_string(outside.urls["storage_connection_string"], name)


def test_what_was_accepted_and_not_started_is_started(shop: OutsideView, shop_product: Product) -> None:
    sku, order_id = shop.new_sku(), new_id()
    accept(shop, order_id, age_s=OLD_S, **line(sku))
    reported(shop, "sagas_started")
    assert shop.ended(order_id)["status"] == "completed"
    assert shop.effects(order_id) == COMPLETED
    assert shop.stock(sku) == (9, 0)
    assert [audit["Event"] for audit in shop.tables.audits(order_id)][:2] == ["accepted", "saga_started_again"]
    log = (shop_product.data / "logs" / "devhost.log").read_text()
    assert "sweep: " in log
    assert "sagas_started" in log


class EndedBehindOurBack(NamedTuple):
    """What the provider holds while somebody ends the saga, the order, and how it ends all the same."""

    held: str
    changes: dict[str, Any]
    status: str
    cancelled: bool = False
    purged: bool = False


CASES = {
    "terminated while it was paid": EndedBehindOurBack("payment_intents.confirm", {}, "completed"),
    "purged while it was paid": EndedBehindOurBack("payment_intents.confirm", {}, "completed", purged=True),
    "terminated while it was undone": EndedBehindOurBack("refunds.create", {"customer": BOUNCING}, "compensated"),
    "purged after a cancel was promised": EndedBehindOurBack(
        "payment_intents.confirm", {}, "cancelled", cancelled=True, purged=True
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_saga_that_somebody_ended_is_started_again_and_goes_its_way(shop: OutsideView, case: str) -> None:
    held, changes, status, cancelled, purged = CASES[case]
    sku, order_id = shop.new_sku(), new_id()
    body = {**changes, **line(sku)}
    with shop.faults("payments", {"operation": held, "fault": "hold", "delay_s": 8, "order_id": order_id}):
        accept(shop, order_id, age_s=OLD_S, **body)
        shop.order(order_id, **body)
        wait_for(lambda: shop.fired("payments"), 60, held)
        if cancelled:
            assert shop.cancel(order_id).status == 202
        first = shop.tables.instance(order_id)["ExecutionId"]
        hub = f"{shop.urls['host']}/runtime/webhooks/durabletask/instances/{order_id}"
        assert fetch(f"{hub}/terminate?reason=a%20test", "POST").status == 202
        if purged:
            wait_for(lambda: fetch(hub, "DELETE").status == 200, 60, "purge")
        wait_for(lambda: execution(shop, order_id) not in {None, first}, 60, "second saga")
    view = shop.ended(order_id)
    assert view["status"] == status, view
    effects = shop.effects(order_id)
    if status == "completed":
        assert effects == COMPLETED
        assert shop.stock(sku) == (9, 0)
        return
    assert effects._replace(label=None) == NOTHING._replace(charged=1000, given_back=1000)
    assert effects.label in {None, "void"}
    assert {done for _, done in compensations(view)} == {"done"}
    assert shop.stock(sku) == (10, 0)


def execution(outside: OutsideView, order_id: str) -> str | None:
    try:
        return str(outside.tables.instance(order_id)["ExecutionId"])
    except ResourceNotFoundError:
        return None


def test_a_saga_that_ends_again_and_again_is_parked_and_only_goes_backwards_from_there(shop: OutsideView) -> None:
    sku, order_id = shop.new_sku(), new_id()
    with out_of_sight(shop, order_id):
        start(shop, accept(shop, order_id, age_s=OLD_S, **line(sku)))
        for healed in range(5):
            assert note_healed(shop, order_id).healed == healed + 1
    reported(shop, "orders_parked")
    view = shop.becomes(order_id, "needs_attention")
    assert compensations(view) == [(undo, "failed") for undo in ALL_UNDOS]
    body = {"by": "ada", "reason": "the host is up again"}
    assert shop.operate(order_id, "refund_payment", "retry", **body).status == 202
    assert shop.becomes(order_id, "compensated")["total"] == {"amount_minor": 1000, "currency": "gbp"}
    assert shop.effects(order_id)._replace(label=None) == NOTHING
    assert shop.stock(sku) == (10, 0)


def ended_without_its_payment(outside: OutsideView) -> str:
    """An order that is compensated by its record, and charged by the provider's."""
    order_id = new_id()
    order = start(outside, accept(outside, order_id, **line(outside.new_sku())))
    intent = payments_of(outside).open_intent(order, f"{order_id}:pay")
    note_payment_intent(outside, order, intent)
    payments_of(outside).confirm(order_id, intent)
    # The provider's own webhook has come and gone while the order was still running.
    wait_for(lambda: outside.tables.webhooks(order_id), 60, "webhook")
    assert outside.effects(order_id).net == 1000
    close(outside, order_id, "compensated")
    return order_id


def test_a_payment_of_an_order_that_ended_without_it_is_given_back(shop: OutsideView) -> None:
    order_id = ended_without_its_payment(shop)
    reported(shop, "payments_given_back")
    wait_for(lambda: shop.effects(order_id).net == 0, 60, "refund")
    assert shop.tables.record(order_id)["RefundedMinor"] == 1000


def test_a_payment_that_cannot_be_given_back_stands_in_the_way_of_no_other(shop: OutsideView) -> None:
    """The newest payment is looked at first."""
    with shop.faults("payments", {"operation": "refunds.create", "fault": "error_before_commit"}):
        older, newer = ended_without_its_payment(shop), ended_without_its_payment(shop)
        rule = {"operation": "refunds.create", "fault": "error_before_commit", "order_id": newer}
        with shop.faults("payments", rule):
            wait_for(lambda: shop.effects(older).net == 0, 60, "refund")
            reported(shop, "not_mended")
            assert shop.effects(newer).net == 1000
    wait_for(lambda: shop.effects(newer).net == 0, 60, "refund")


class Settled(NamedTuple):
    """Orders that the sweep has seen twice, and is to leave as they are."""

    young: str
    refunded: str
    resolved: str


@pytest.fixture(scope="module")
def settled(shop: OutsideView) -> Settled:
    young, refunded, resolved = new_id(), ended_without_its_payment(shop), new_id()
    body = {"by": "ada", "reason": "the card is closed", "reference": "SEPA-4711"}
    rule = {"operation": "refunds.create", "fault": "error_before_commit", "order_id": resolved}
    with shop.faults("payments", rule):
        shop.order(resolved, customer=BOUNCING, **line(shop.new_sku()))
        shop.becomes(resolved, "needs_attention")
        assert shop.operate(resolved, "refund_payment", "resolve", **body).status == 202
        assert shop.ended(resolved)["status"] == "compensated"
    wait_for(lambda: shop.effects(refunded).net == 0, 60, "refund")
    accept(shop, young, **line("NOBODY-SELLS-THIS"))
    two_more_sweeps(shop)
    return Settled(young, refunded, resolved)


def test_an_order_of_this_moment_is_left_to_the_request_that_starts_it(shop: OutsideView, settled: Settled) -> None:
    with pytest.raises(ResourceNotFoundError):
        shop.tables.instance(settled.young)
    assert shop.view(settled.young)["status"] == "accepted"


def test_a_payment_is_given_back_once(shop: OutsideView, settled: Settled) -> None:
    assert [entry["event"] for entry in shop.ledger(settled.refunded)].count("refund.succeeded") == 1
    assert [audit["Event"] for audit in shop.tables.audits(settled.refunded)].count("payment_refunded") == 1


def test_a_payment_that_an_operator_has_settled_otherwise_is_left_alone(shop: OutsideView, settled: Settled) -> None:
    """Resolved on evidence: the money went back by other means, and must not go back twice."""
    assert shop.effects(settled.resolved).given_back == 0


def test_units_that_no_order_holds_go_back_to_the_shelf(shop: OutsideView) -> None:
    sku, nobody, sold = shop.new_sku(), new_id(), new_id()
    reserve_long_ago(shop, nobody, sku)
    start(shop, accept(shop, sold, **line(sku)))
    close(shop, sold, "completed")
    reserve_long_ago(shop, sold, sku)
    wait_for(lambda: shop.stock(sku) == (9, 0), 60, "release of the one and sale of the other")
    reservations = table(shop, "stock")
    assert reservations.get_entity("stock", f"order:{nobody}")["State"] == "released"
    assert reservations.get_entity("stock", f"order:{sold}")["State"] == "sold"


def reserve_long_ago(outside: OutsideView, order_id: str, sku: str) -> None:
    stock_of(outside).reserve(order_id, (Line(sku=sku, quantity=1, price_minor=1000),))
    long_ago = datetime.now(UTC) - timedelta(minutes=6)
    table(outside, "stock").update_entity(
        {"PartitionKey": "stock", "RowKey": f"order:{order_id}", "ChangedAt": long_ago}
    )


def test_an_index_entry_that_fell_behind_its_record_follows_it(shop: OutsideView) -> None:
    """The process died after the record was written and before the index was."""
    order_id = shop.order(**line(shop.new_sku()))
    shop.ended(order_id)
    accepted_at = shop.tables.record(order_id)["AcceptedAt"]
    day, key = accepted_at.date().isoformat(), index_key(accepted_at, order_id)
    index = table(shop, "orderindex")
    left_behind = {**index.get_entity(day, key), "PartitionKey": OPEN, "Status": "running"}
    index.delete_entity(day, key)
    index.upsert_entity(left_behind)
    wait_for(lambda: not entry(index, OPEN, key), 60, "end of the open entry")
    assert entry(index, day, key)["Status"] == "completed"


def entry(index: TableClient, partition: str, key: str) -> dict[str, Any]:
    try:
        return dict(index.get_entity(partition, key))
    except ResourceNotFoundError:
        return {}
