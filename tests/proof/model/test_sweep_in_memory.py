"""The sweep over the app's own records, index and stock, in memory: no accepted order is lost, one bad record is one.

The edge's `POST` is killed before and after each of its writes, without a second `POST`; then the sweep runs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus

from api.sagas import status_of
from models import order_record
from models.errors import Conflict, Unavailable
from models.money import Total
from models.order_parts import Approval, Line
from models.order_record import OrderRecord
from models.order_request import Decision, Evidence, Reason
from models.view import CompensationView, fresh_view
from reconciliation.sweep import LIMIT, Place, Reconciler, Sagas, sweep
from services.tables import bounded_reads, table_orders
from services.tables.order_index import OPEN, OrderIndex, index_key
from services.tables.sweep_reports import SweepReports
from services.tables.table_orders import TableOrders
from services.tables.table_stock import TableStock
from tests.proof.model.schedule import Died
from tests.support.pure_world import PureTable
from tests.support.steps import ALL_UNDOS
from tests.unit.orders import request

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
LINES = (Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=12900),)
TOTAL = Total(amount_minor=25800, currency="gbp")
PROOF = Evidence(by="ada", reason="the goods are gone", reference="count of today")


class SweptShop:
    """Fulfils the tables' wire: at request `dies_at` the process dies, before it or after it."""

    table: type[PureTable] = PureTable

    def __init__(self) -> None:
        self.dies_at, self.requests, self.after = -1, 0, False
        self.tables: dict[str, Any] = {name: self.table(name, self) for name in ("orders", "orderindex", "stock")}
        tables = self.tables
        self.order_rows, self.index_rows, self.stock_rows = (table.rows for table in tables.values())
        self.index = OrderIndex(tables["orderindex"])
        self.orders = TableOrders(tables["orders"], self.index)
        self.stock = TableStock(tables["stock"])
        self.reports = SweepReports(tables["orderindex"])
        self.sagas: dict[str, Any] = {}
        self.woken: list[tuple[str, str]] = []
        self.paid: list[tuple[str, str]] = []
        self.given_back: list[str] = []

    def call(self, name: str, perform: Callable[[], Any], lost: Any, *, writes: bool, **_: Any) -> Any:
        self.requests += 1
        if self.requests != self.dies_at:
            return perform()
        if self.after:
            perform()
        raise Died

    # What the sweep is given.

    async def get_status(self, order_id: str) -> Any:
        return self.sagas.get(order_id)

    async def start(self, order_id: str) -> None:
        self.sagas[order_id] = saga("running")

    async def wake(self, order_id: str, event: str) -> bool:
        self.woken.append((order_id, event))
        return True

    def recent(self, since: datetime, limit: int) -> list[tuple[str, str]]:
        return self.paid

    def give_back(self, order_id: str, intent_id: str) -> str | None:
        self.given_back.append(order_id)
        return "re_1"

    def sweep(self) -> dict[str, int]:
        reconciler = Reconciler(self.orders, self.index, self, self.stock)
        return asyncio.run(sweep(reconciler, Sagas(self.get_status, self.start, self.wake), self.reports))

    # What happened before.

    def accept(self, order_id: str, age: timedelta = MINUTE) -> OrderRecord:
        with patch.object(table_orders, "_now", lambda: datetime.now(UTC) - age):
            return self.orders.accept(order_id, request()).record

    def running(self, order_id: str, age: timedelta = MINUTE) -> OrderRecord:
        return self.orders.change(self.accept(order_id, age), order_record.start, LINES, TOTAL, None)

    def ended(self, order: OrderRecord, status: Any, *parked: str, attention: int = 0) -> OrderRecord:
        view = fresh_view(order.order_id, status)
        view.compensations = [CompensationView(name=name, status="failed") for name in parked]
        return self.orders.change(order, order_record.close, view.as_json(), attention)

    def aged(self, order_id: str) -> None:
        """Nobody has written the record for a minute."""
        self.order_rows[order_id, "order"]["ChangedAt"] = NOW - MINUTE

    def places(self, order_id: str) -> list[str]:
        return [partition for (partition, _), row in self.index_rows.items() if row.get("OrderId") == order_id]


def saga(shown: str, runtime: str = "Running") -> Any:
    return SimpleNamespace(runtime_status=SimpleNamespace(name=runtime), custom_status={"status": shown})


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("request_number", [1, 2])
def test_a_post_that_dies_at_one_of_its_writes_is_never_accepted_and_lost(request_number: int, after: bool) -> None:
    shop = SweptShop()
    shop.dies_at, shop.after = request_number, after
    with pytest.raises(Died):
        shop.accept("order-1")
    accepted = ("order-1", "order") in shop.order_rows
    shop.sweep()
    assert ("order-1" in shop.sagas) == accepted
    assert accepted == (request_number == 2 and after)


def test_the_edge_writes_twice_before_it_answers() -> None:
    """Else there are more moments at which it can die than the test above has."""
    shop = SweptShop()
    shop.accept("order-1")
    assert shop.requests == 2


def test_an_entry_without_a_record_is_kept_for_a_slow_post_and_dropped_after_a_day() -> None:
    shop = SweptShop()
    for order_id, age in (("slow", timedelta(hours=23)), ("gone", timedelta(hours=25))):
        shop.index.open(order_id, NOW - age, ["CRUNCHY-ARMCHAIR"])
    assert shop.sweep() == {}
    assert (shop.places("slow"), shop.places("gone")) == ([OPEN], [])


def test_an_order_of_this_moment_is_left_to_its_post() -> None:
    shop = SweptShop()
    shop.accept("order-1", age=timedelta(seconds=5))
    assert shop.sweep() == {}
    assert shop.sagas == {}


def test_an_old_lost_order_does_not_starve_behind_newer_ones() -> None:
    """A run looks at so many orders, and the next goes on after them."""
    shop = SweptShop()
    shop.accept("oldest", age=timedelta(days=40))
    for number in range(2 * LIMIT + 10):
        order = shop.accept(f"order-{number:04}", age=MINUTE + timedelta(seconds=number))
        shop.sagas[order.order_id] = saga("running")
    runs = 0
    while "oldest" not in shop.sagas:
        shop.sweep()
        runs += 1
        assert runs <= 3
    assert shop.reports.place().after is None  # the next run begins anew


DAMAGES: dict[str, dict[str, Any]] = {
    "no state": {"State": None},
    "no time": {"AcceptedAt": None},
    "lines that are no JSON": {"Lines": "[{"},
    "lines of another kind": {"Lines": '"three"'},
    "an approval of another kind": {"Approval": "[]"},
    "an outcome that is no object": {"Outcome": "[1]"},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_record_that_cannot_be_read_is_named_and_stands_in_the_way_of_no_other(
    damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = SweptShop()
    for order_id, age in (("newer", MINUTE), ("damaged", 2 * MINUTE), ("older", 3 * MINUTE)):
        shop.accept(order_id, age)
    shop.order_rows["damaged", "order"].update(DAMAGES[damage])
    assert shop.sweep() == {"not_mended": 1, "sagas_started": 2}
    assert set(shop.sagas) == {"newer", "older"}
    assert "order damaged" in caplog.text
    assert shop.index_rows["sweep", "last"]["NotMended"] == "damaged"
    last = shop.reports.last()
    assert last is not None
    since = last["not_well_since"]
    shop.sweep()
    assert (shop.reports.last() or {})["not_well_since"] == since
    with pytest.raises(Unavailable, match="damaged cannot be read"):
        shop.orders.find("damaged")
    del shop.order_rows["damaged", "order"]
    shop.sweep()
    assert "not_well_since" not in (shop.reports.last() or {})


@pytest.mark.parametrize("broken", ["get_status", "start"])
def test_an_order_whose_saga_cannot_be_asked_or_started_stands_in_the_way_of_no_other(broken: str) -> None:
    shop = SweptShop()
    shop.accept("bad", MINUTE)
    shop.accept("good", 2 * MINUTE)
    works = getattr(shop, broken)

    async def sometimes(order_id: str) -> Any:
        if order_id == "bad":
            raise RuntimeError("the host answered nonsense")
        return await works(order_id)

    with patch.object(shop, broken, sometimes):
        assert shop.sweep() == {"not_mended": 1, "sagas_started": 1}
    assert "good" in shop.sagas


def test_a_saga_of_which_the_host_does_not_say_whether_it_is_there_is_not_started_and_its_order_not_parked() -> None:
    shop = SweptShop()
    order = shop.running("order-1")
    shop.sagas["order-1"] = DurableOrchestrationStatus.from_json({"Message": "the storage is throttled"})
    client: Any = shop
    with patch.object(shop, "get_status", partial(status_of, SimpleNamespace(get_status=client.get_status))):
        for _ in range(7):
            assert shop.sweep() == {"not_mended": 1}
    assert shop.orders.read("order-1") == order


@pytest.mark.parametrize("fault", [Unavailable("Stripe is away"), AttributeError("a payment without a status")])
def test_a_part_that_fails_keeps_none_of_the_others(fault: Exception) -> None:
    shop = SweptShop()
    shop.accept("order-1")
    with patch.object(shop, "recent", side_effect=fault):
        assert shop.sweep() == {"parts_failed": 1, "sagas_started": 1}


# A saga that waits for what has come already: the process died between the record and the event.


def test_a_saga_that_missed_the_retry_of_its_undo_is_woken() -> None:
    shop = SweptShop()
    order = shop.orders.change(shop.running("order-1"), order_record.begin_undo, None)
    order = shop.ended(order, "needs_attention", "refund_payment", attention=1)
    shop.sagas["order-1"] = saga("needs_attention")
    shop.aged("order-1")
    assert shop.sweep() == {}  # nobody has asked for anything
    reason = Reason(by="ada", reason="it is up again")
    shop.orders.change("order-1", order_record.request_retry, "refund_payment", reason)
    assert shop.sweep() == {}  # of this moment: the event may be on its way
    shop.aged("order-1")
    assert shop.sweep() == {"sagas_woken": 1}
    assert shop.woken == [("order-1", "attention:1")]
    shop.sagas["order-1"] = saga("compensating")
    assert shop.sweep() == {}


@pytest.mark.parametrize("answer", ["approved", "cancelled"])
def test_a_saga_that_missed_the_answer_to_its_approval_is_woken(answer: str) -> None:
    shop = SweptShop()
    deadline = NOW + timedelta(days=3)
    order = shop.orders.change(shop.accept("order-1"), order_record.start, LINES, TOTAL, deadline)
    shop.sagas["order-1"] = saga("awaiting_approval")
    shop.aged("order-1")
    assert shop.sweep() == {}
    assert isinstance(order.approval, Approval)
    if answer == "approved":
        yes = Decision(approved=True, approver="grace")
        shop.orders.change("order-1", order_record.decide_approval, yes, NOW)
    else:
        shop.orders.change("order-1", order_record.request_cancel)
    shop.aged("order-1")
    assert shop.sweep() == {"sagas_woken": 1}
    assert shop.woken == [("order-1", order.approval.wake)]


# Money and goods of orders that have ended.


def test_goods_are_released_however_many_orders_were_sold_before() -> None:
    """A run reads a part of the reservations, and the next one starts after it."""
    shop = SweptShop()
    stocked(shop, 2, "order-9")
    for number in range(8):
        sold = {"PartitionKey": "stock", "RowKey": f"order:order-{number}", "State": "sold", "ChangedAt": NOW - MINUTE}
        shop.tables["stock"]._put(sold)
    shop.ended(shop.running("order-9"), "compensated")
    with patch.object(bounded_reads, "MOST_ROWS", 3):
        assert [shop.sweep() for _ in range(4)] == [{}, {}, {"reservations_released": 1}, {}]


@pytest.mark.parametrize("resolved", [False, True], ids=["nobody resolved it", "an operator resolved it"])
def test_goods_that_an_ended_order_holds_are_released_unless_an_operator_said_otherwise(resolved: bool) -> None:
    """Resolved on evidence: the units are gone from the shelf, and must not be sold again."""
    shop = SweptShop()
    stocked(shop, reserved=2)
    order = shop.orders.change(shop.running("order-1"), order_record.begin_undo, None)
    if resolved:
        order = shop.ended(order, "needs_attention", "release_inventory", attention=1)
        order = shop.orders.change(order, order_record.resolve, "release_inventory", PROOF)
    shop.ended(order, "compensated", attention=1)
    assert shop.sweep() == ({} if resolved else {"reservations_released": 1})
    assert shop.stock_rows["stock", "sku:CRUNCHY-ARMCHAIR"]["Reserved"] == (2 if resolved else 0)


def stocked(shop: SweptShop, reserved: int, order_id: str = "order-1") -> None:
    sku = {"OnHand": 5, "Reserved": reserved, "PriceMinor": 12900, "Currency": "gbp"}
    lines = json.dumps([{"sku": "CRUNCHY-ARMCHAIR", "quantity": reserved}])
    held = {"State": "reserved", "Lines": lines, "ChangedAt": NOW - 10 * MINUTE}
    for key, row in {"sku:CRUNCHY-ARMCHAIR": sku, f"order:{order_id}": held}.items():
        shop.stock_rows["stock", key] = {"PartitionKey": "stock", "RowKey": key, "etag": "1", **row}


@pytest.mark.parametrize("resolved", [False, True], ids=["nobody resolved it", "an operator resolved it"])
def test_money_that_an_ended_order_holds_goes_back_unless_it_went_back_by_hand(resolved: bool) -> None:
    shop = SweptShop()
    order = shop.orders.change(shop.running("order-1"), order_record.note_payment_intent, "pi_1")
    order = shop.orders.change(order, order_record.begin_undo, None)
    if resolved:
        order = shop.ended(order, "needs_attention", "refund_payment", attention=1)
        order = shop.orders.change(order, order_record.resolve, "refund_payment", PROOF)
    shop.ended(order, "compensated", attention=1)
    shop.paid = [("order-1", "pi_1")]
    shop.sweep()
    shop.sweep()
    assert shop.given_back == ([] if resolved else ["order-1"])


def test_an_order_that_is_parked_for_good_waits_for_all_of_its_undos() -> None:
    shop = SweptShop()
    order = shop.running("order-1")
    for _ in range(5):
        order = shop.orders.change(order, order_record.note_healed, order.healed + 1)
    assert shop.sweep() == {"orders_parked": 1}
    record = shop.orders.read("order-1")
    assert (record.parked_compensations, record.attention) == (ALL_UNDOS, 1)
    with pytest.raises(Conflict):
        shop.orders.change(record, order_record.request_cancel)
    assert shop.sweep() == {}


# The index.


def test_an_entry_that_lags_or_lies_where_older_code_wrote_it_is_put_right() -> None:
    shop = SweptShop()
    ended = shop.ended(shop.running("ended"), "completed")
    older = shop.running("older", age=timedelta(days=2))
    key = index_key(ended.accepted_at, "ended")
    shop.index_rows[OPEN, key] = {**shop.index_rows[day(ended), key], "PartitionKey": OPEN, "Status": "running"}
    key = index_key(older.accepted_at, "older")
    entry = {**shop.index_rows.pop((OPEN, key)), "PartitionKey": day(older), "Status": "accepted"}
    shop.index_rows[day(older), key] = entry
    for _ in range(4):  # one day a run
        shop.sweep()
    assert (shop.places("ended"), shop.places("older")) == ([day(ended)], [OPEN])
    assert "older" in shop.sagas


def day(order: OrderRecord) -> str:
    return order.accepted_at.date().isoformat()


def test_the_days_of_older_code_are_looked_at_again_and_again() -> None:
    shop, days = SweptShop(), list[Any]()
    for _ in range(16):
        shop.sweep()
        days.append(shop.reports.place().day)
    today = datetime.now(UTC).date()
    assert days[:3] == [today - timedelta(days=back) for back in (1, 2, 3)]
    assert days[13] is None
    assert days[14] == today - timedelta(days=1)


def test_a_report_that_names_many_orders_is_bounded() -> None:
    shop = SweptShop()
    names: Sequence[str] = [f"order-{number}" for number in range(1000)]
    counts: Mapping[str, int] = {"not_mended": 1000}
    shop.reports.note(counts, names, Place())
    assert len(shop.index_rows["sweep", "last"]["NotMended"].split(",")) == 20
