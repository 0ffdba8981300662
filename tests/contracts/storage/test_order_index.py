"""`OrderIndex` against real tables: no accepted order is missing from it, and a list reads no more than it shows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from azure.data.tables import TableClient, TableServiceClient

from models.errors import Unavailable
from models.money import Total
from models.operations.order_list import EndedCounts, IndexEntry
from models.order_parts import Line
from models.order_record import (
    OrderRecord,
    begin_undo,
    close,
    note_charged,
    request_retry,
    resolve,
    resume_after_approval,
    start,
)
from models.order_request import Evidence
from models.states import OrderStatus
from models.view import CompensationView, fresh_view
from reconciliation.sweep import Place
from services import storage
from services.tables import bounded_reads, order_index, table_orders
from services.tables.order_index import OPEN, OrderIndex, index_key
from services.tables.sweep_reports import SweepReports
from services.tables.table_orders import TableOrders
from tests.support.servers import Azurite
from tests.unit.orders import request

LINES = (Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=12900),)
TOTAL = Total(amount_minor=25800, currency="gbp")
PROOF = Evidence(by="ada", reason="done by hand", reference="SEPA-4711")
# A day of the test's own, so that pages hold nothing else.
LONG_AGO = datetime(2020, 5, 17, 12, tzinfo=UTC)


class OrdersAndIndex:
    """The index and the orders over tables of their own."""

    def __init__(self, azurite: Azurite, name: str) -> None:
        account = storage.connect({storage.SETTING: azurite.connection_string})
        self.index_table = storage.open_table(account, f"index{name}")
        self.index = OrderIndex(self.index_table)
        self.orders = TableOrders(storage.open_table(account, f"orders{name}"), self.index)

    def accept(self, accepted_at: datetime = LONG_AGO, order_id: str = "") -> OrderRecord:
        with patch.object(table_orders, "_now", lambda: accepted_at):
            return self.orders.accept(order_id or str(uuid.uuid4()), request()).record

    def ended(self, order: OrderRecord, status: OrderStatus) -> OrderRecord:
        return self.orders.change(order, close, fresh_view(order.order_id, status).as_json(), 0)

    def entries(self, order_id: str) -> list[IndexEntry]:
        """Every entry of the order, wherever it lies."""
        rows = self.index_table.query_entities(f"OrderId eq '{order_id}'")
        places = [(row["PartitionKey"], row["RowKey"]) for row in rows]
        return [entry for place in places for entry in self._at(*place)]

    def _at(self, partition: str, key: str) -> Iterator[IndexEntry]:
        return self.index._query(f"PartitionKey eq '{partition}' and RowKey eq '{key}'", 1)


@pytest.fixture
def shop(azurite: Azurite) -> OrdersAndIndex:
    return OrdersAndIndex(azurite, uuid.uuid4().hex)


def test_an_entry_follows_its_order_from_the_open_partition_to_its_day(shop: OrdersAndIndex) -> None:
    order = shop.accept()
    (entry,) = shop.entries(order.order_id)
    assert (entry.partition, entry.status, entry.skus, entry.amount_minor) == (
        OPEN,
        "accepted",
        ("CRUNCHY-ARMCHAIR",),
        None,
    )
    order = shop.orders.change(order, start, LINES, TOTAL, None)
    assert shop.entries(order.order_id) == [entry], "the entry of an order that waits for nobody is left as it is"
    order = shop.ended(order, "completed")
    (entry,) = shop.entries(order.order_id)
    assert (entry.partition, entry.status, entry.accepted_at) == ("2020-05-17", "completed", LONG_AGO)


def test_an_entry_of_an_order_that_waits_says_for_what_since_when_and_what_is_held(shop: OrdersAndIndex) -> None:
    order = shop.orders.change(shop.accept(), start, LINES, TOTAL, None)
    order = shop.orders.change(order, note_charged)
    order = shop.orders.change(order, begin_undo, {"step": "send_confirmation", "reason": "recipient_rejected"})
    (entry,) = shop.entries(order.order_id)
    assert (entry.status, entry.failure, entry.held_minor) == ("compensating", "recipient_rejected", 25800)
    order = parked(shop, order, "refund_payment")
    (entry,) = shop.entries(order.order_id)
    assert (entry.status, entry.waits_for, entry.since) == ("needs_attention", "refund_payment", order.changed_at)
    assert entry.failure == "recipient_rejected", "the view of an order that the sweep parks has no failure"
    waiting = shop.orders.change(shop.accept(), start, LINES, TOTAL, datetime(2030, 1, 1, tzinfo=UTC))
    (entry,) = shop.entries(waiting.order_id)
    assert entry.waits_for == "approval until 2030-01-01T00:00:00Z"


def test_an_entry_of_an_order_that_no_longer_waits_does_not_say_for_what_it_waited(shop: OrdersAndIndex) -> None:
    order = shop.orders.change(shop.accept(), start, LINES, TOTAL, datetime(2030, 1, 1, tzinfo=UTC))
    order = shop.orders.change(order, resume_after_approval)
    assert [(entry.status, entry.waits_for) for entry in shop.entries(order.order_id)] == [("running", None)]
    order = shop.orders.change(parked(shop, order, "refund_payment"), request_retry, "refund_payment", PROOF)
    assert [(entry.status, entry.waits_for) for entry in shop.entries(order.order_id)] == [("compensating", None)]


def test_an_entry_that_names_an_undo_that_was_resolved_is_put_right(shop: OrdersAndIndex) -> None:
    order = shop.orders.change(shop.accept(), start, LINES, TOTAL, None)
    order = parked(shop, order, "cancel_shipment", "refund_payment")
    order = shop.orders.apply(order, resolve, "cancel_shipment", PROOF).record  # and the process dies
    (entry,) = shop.entries(order.order_id)
    shop.index.put_right(entry, order)
    assert [entry.waits_for for entry in shop.entries(order.order_id)] == ["refund_payment"]


def parked(shop: OrdersAndIndex, order: OrderRecord, *undos: str) -> OrderRecord:
    view = fresh_view(order.order_id, "needs_attention")
    view.compensations = [CompensationView(name=undo, status="failed") for undo in undos]
    return shop.orders.change(order, close, view.as_json(), order.attention + 1)


def test_the_entry_is_written_before_the_record_so_that_no_accepted_order_is_missing(shop: OrdersAndIndex) -> None:
    order_id = str(uuid.uuid4())
    away = patch.object(TableClient, "submit_transaction", side_effect=Unavailable("storage is away"))
    with away, pytest.raises(Unavailable):
        shop.accept(order_id=order_id)
    assert shop.orders.find(order_id) is None
    assert [entry.status for entry in shop.entries(order_id)] == ["accepted"]
    # The same order again, later: its record is written under an entry of its own, and the sweep drops the other.
    shop.accept(LONG_AGO + timedelta(minutes=1), order_id)
    assert len(shop.entries(order_id)) == 2
    record = shop.orders.read(order_id)
    for entry in shop.index.unfinished(None, 10):
        shop.index.put_right(entry, record)
    (entry,) = shop.entries(order_id)
    assert entry.key == index_key(record.accepted_at, order_id)


def test_a_repeated_post_leaves_no_second_entry(shop: OrdersAndIndex) -> None:
    order = shop.accept()
    shop.accept(LONG_AGO + timedelta(hours=1), order.order_id)
    assert len(shop.entries(order.order_id)) == 1
    shop.ended(shop.orders.change(order, start, LINES, TOTAL, None), "completed")
    shop.accept(LONG_AGO + timedelta(hours=2), order.order_id)
    (entry,) = shop.entries(order.order_id)
    assert (entry.partition, entry.status) == ("2020-05-17", "completed")


def test_closing_again_moves_an_entry_that_the_first_try_left_behind(shop: OrdersAndIndex) -> None:
    order = shop.orders.change(shop.accept(), start, LINES, TOTAL, None)
    with patch.object(OrderIndex, "follow", side_effect=Unavailable("storage is away")), pytest.raises(Unavailable):
        shop.ended(order, "completed")
    assert [entry.partition for entry in shop.entries(order.order_id)] == [OPEN]
    shop.ended(order, "completed")
    assert [entry.partition for entry in shop.entries(order.order_id)] == ["2020-05-17"]


def written_by_older_code(shop: OrdersAndIndex, order: OrderRecord) -> None:
    """As it was before there was an open partition: every order in the partition of its day."""
    row: dict[str, Any] = {
        "PartitionKey": "2020-05-17",
        "RowKey": index_key(order.accepted_at, order.order_id),
        "OrderId": order.order_id,
        "Status": "running",
        "Skus": "CRUNCHY-ARMCHAIR",
        "AcceptedAt": order.accepted_at,
    }
    shop.index_table.upsert_entity(row)
    shop.index_table.delete_entity(OPEN, row["RowKey"])


def test_an_unfinished_order_in_the_partition_of_its_day_is_found_and_moved(shop: OrdersAndIndex) -> None:
    order = shop.orders.change(shop.accept(), start, LINES, TOTAL, None)
    done = shop.ended(shop.orders.change(shop.accept(), start, LINES, TOTAL, None), "completed")
    written_by_older_code(shop, order)
    (entry,), after = shop.index.unfinished_of_day(LONG_AGO.date(), None, 10)
    assert (entry.order_id, after) == (order.order_id, None)
    shop.index.put_right(entry, order)
    assert [entry.partition for entry in shop.entries(order.order_id)] == [OPEN]
    assert shop.index.unfinished_of_day(LONG_AGO.date(), None, 10) == ((), None)
    assert [entry.partition for entry in shop.entries(done.order_id)] == ["2020-05-17"]


def test_a_list_is_newest_first_over_both_partitions_and_each_order_is_in_one_page(shop: OrdersAndIndex) -> None:
    orders = [shop.accept(LONG_AGO + timedelta(minutes=number)) for number in range(6)]
    for order in orders[::2]:
        shop.ended(shop.orders.change(order, start, LINES, TOTAL, None), "completed")
    today, listed, after = LONG_AGO.date(), list[str](), None
    while True:
        page = shop.index.page(None, today, today, 2, after)
        listed += [entry.order_id for entry in page.entries]
        after = page.continuation
        if after is None:
            break
    assert listed == [order.order_id for order in reversed(orders)]


def test_a_list_keeps_to_its_days_and_its_status(shop: OrdersAndIndex) -> None:
    day = timedelta(days=1)
    midnight = LONG_AGO.replace(hour=0)
    orders = {moment: shop.accept(moment).order_id for moment in (midnight, midnight + day, midnight - day)}
    for status in (None, "accepted"):
        page = shop.index.page(status, midnight.date(), midnight.date(), 10, None)
        assert [entry.order_id for entry in page.entries] == [orders[midnight]]
    assert shop.index.page("completed", midnight.date(), midnight.date(), 10, None).entries == ()
    page = shop.index.page(None, (midnight + day).date(), (midnight - day).date(), 10, None)
    assert len(page.entries) == 3


def test_a_list_of_one_state_reads_a_part_of_the_orders_and_the_next_page_the_rest(shop: OrdersAndIndex) -> None:
    """Storage would read all of them for a filter that few fit."""
    orders = [shop.accept(LONG_AGO + timedelta(minutes=number)) for number in range(7)]
    for number, order in enumerate(orders):
        started = shop.orders.change(order, start, LINES, TOTAL, None)
        shop.ended(started, "cancelled" if number in {0, 3} else "completed")
    today, pages, after = LONG_AGO.date(), list[list[str]](), None
    with patch.multiple(order_index, MOST_ROWS=2, MOST_ROWS_A_PAGE=3):
        while not pages or after is not None:
            page = shop.index.page("cancelled", today, today - timedelta(days=1), 10, after)
            pages.append([entry.order_id for entry in page.entries])
            after = page.continuation
    assert pages == [[], [orders[3].order_id], [orders[0].order_id]]


def test_the_sweep_reads_a_day_of_older_entries_in_parts(shop: OrdersAndIndex) -> None:
    orders = [shop.accept(LONG_AGO + timedelta(minutes=number)) for number in range(5)]
    for number, order in enumerate(orders):
        started = shop.orders.change(order, start, LINES, TOTAL, None)
        written_by_older_code(shop, started) if number in {0, 4} else shop.ended(started, "completed")
    listed, after, parts = list[str](), None, 0
    with patch.object(bounded_reads, "MOST_ROWS", 2):
        while not parts or after is not None:
            part = shop.index.unfinished_of_day(LONG_AGO.date(), after, 10)
            listed += [entry.order_id for entry in part.entries]
            after, parts = part.after, parts + 1
    assert (listed, parts) == ([orders[4].order_id, orders[0].order_id], 3)


@pytest.mark.parametrize("status", ["accepted", "running"])
def test_a_list_of_running_orders_has_those_whose_entry_was_written_before_they_started(
    shop: OrdersAndIndex, status: str
) -> None:
    running = shop.orders.change(shop.accept(), start, LINES, TOTAL, None)
    page = shop.index.page(status, LONG_AGO.date(), LONG_AGO.date(), 10, None)
    assert [entry.order_id for entry in page.entries] == [running.order_id]


def test_an_order_that_is_just_ending_is_listed_once_as_ended(shop: OrdersAndIndex) -> None:
    order = shop.orders.change(shop.accept(), start, LINES, TOTAL, None)
    with patch.object(TableClient, "delete_entity"):
        shop.ended(order, "completed")
    assert len(shop.entries(order.order_id)) == 2
    page = shop.index.page(None, LONG_AGO.date(), LONG_AGO.date(), 10, None)
    assert [(entry.order_id, entry.status) for entry in page.entries] == [(order.order_id, "completed")]


@pytest.mark.parametrize("orders", [10, 60])
def test_the_first_page_takes_two_reads_however_many_orders_there_are(shop: OrdersAndIndex, orders: int) -> None:
    for number in range(orders):
        order = shop.accept(LONG_AGO + timedelta(seconds=number))
        if number % 2:
            shop.ended(shop.orders.change(order, start, LINES, TOTAL, None), "completed")
    queries: list[str] = []
    send = shop.index_table._client.table.query_entities

    def counted(*args: Any, **options: Any) -> Any:
        queries.append(str(options.get("query_options") or args))
        return send(*args, **options)

    with patch.object(shop.index_table._client.table, "query_entities", counted):
        page = shop.index.page(None, LONG_AGO.date(), LONG_AGO.date() - timedelta(days=6), 5, None)
    assert len(page.entries) == 5
    assert len(queries) == 2


def test_a_row_that_another_version_wrote_is_listed_by_its_key(shop: OrdersAndIndex) -> None:
    key = index_key(LONG_AGO, "order-of-tomorrow")
    shop.index_table.upsert_entity({"PartitionKey": OPEN, "RowKey": key, "Status": "awaiting_customer", "New": 1})
    (entry,) = shop.index.page(None, LONG_AGO.date(), LONG_AGO.date(), 10, None).entries
    assert (entry.order_id, entry.status, entry.accepted_at) == ("order-of-tomorrow", "awaiting_customer", LONG_AGO)


def test_the_sweep_goes_on_after_a_key_and_so_comes_to_every_entry(shop: OrdersAndIndex) -> None:
    orders = {shop.accept(LONG_AGO + timedelta(minutes=number)).order_id for number in range(5)}
    first = shop.index.unfinished(None, 3)
    second = shop.index.unfinished(first[-1].key, 3)
    assert {entry.order_id for entry in first + second} == orders
    assert (len(first), len(second)) == (3, 2)


def test_the_sweeps_report_is_kept_until_the_next_and_says_since_when_it_does_not_end_well(
    shop: OrdersAndIndex,
) -> None:
    reports = SweepReports(shop.index_table)
    assert (reports.last(), reports.place()) == (None, Place())
    place = Place("0123", LONG_AGO.date(), "0456", "order-7")
    reports.note({"sagas_started": 2}, [], place)
    last = reports.last()
    assert last is not None
    assert last == {"at": last["at"], "sagas_started": 2}
    assert reports.place() == place
    reports.note({"not_mended": 1}, ["order-1"], Place())
    since = (reports.last() or {})["not_well_since"]
    with patch("services.tables.sweep_reports.datetime") as clock:
        clock.now.return_value = datetime.now(UTC) + timedelta(minutes=3)
        reports.note({"parts_failed": 1}, [], Place())
    last = reports.last()
    assert last is not None
    assert (last["not_well_since"], last["parts_failed"]) == (since, 1)
    reports.note({}, [], Place())
    assert set(reports.last() or {}) == {"at"}


# What the dashboard reads.


class Reads:
    """Counts what storage answers."""

    def __init__(self) -> None:
        self.number = 0

    def one_more(self, _response: object) -> None:
        self.number += 1


def filled(azurite: Azurite, orders: int) -> tuple[OrderIndex, Reads]:
    """An index with so many unfinished orders, and as many that were accepted today and have ended."""
    reads = Reads()
    account = TableServiceClient.from_connection_string(azurite.connection_string, raw_response_hook=reads.one_more)
    table = account.create_table_if_not_exists(f"filled{uuid.uuid4().hex[:12]}")
    now = datetime.now(UTC)
    for partition, status in ((OPEN, "running"), (now.date().isoformat(), "completed")):
        for first in range(0, orders, 100):
            rows = [
                {
                    "PartitionKey": partition,
                    "RowKey": index_key(now - timedelta(milliseconds=number), f"{status}-{number}"),
                    "Status": status,
                }
                for number in range(first, first + 100)
            ]
            table.submit_transaction([("create", row) for row in rows])
    reads.number = 0
    return OrderIndex(table), reads


def test_a_first_look_costs_two_reads_with_a_hundred_orders_and_with_ten_thousand(azurite: Azurite) -> None:
    for orders in (100, 5000):  # as many unfinished, and as many that have ended
        index, reads = filled(azurite, orders)
        front = index.front(datetime.now(UTC).date(), 50)
        assert reads.number == 2
        assert len(front.unfinished) == min(orders, 1000) and front.more_unfinished == (orders > 1000)
        newest = front.newest(50)
        assert len(newest) == 50 and {entry.order_id for entry in newest} >= {"running-0", "completed-0"}


def test_the_ended_of_a_day_are_counted_up_to_a_bound(azurite: Azurite) -> None:
    index, reads = filled(azurite, 200)
    today = datetime.now(UTC).date()
    with patch.multiple(order_index, MOST_UNFINISHED=50, COUNT_READS=3):
        counted = index.ended_of_day(today)
    assert (counted.states, counted.more, reads.number) == ({"completed": 150}, True, 3)
    assert index.ended_of_day(today).states == {"completed": 200}


def test_how_the_unfinished_stand_is_counted_from_their_rows(shop: OrdersAndIndex) -> None:
    now = datetime.now(UTC)
    shop.accept(now - timedelta(seconds=90))
    parked = shop.accept(now - timedelta(days=2))
    shop.orders.change(parked, close, fresh_view(parked.order_id, "needs_attention").as_json(), 1)
    shop.ended(shop.accept(now), "completed")
    assert shop.index.standing(now) == (2, 1, 0, 90)


def test_the_report_of_the_sweep_keeps_what_was_counted(shop: OrdersAndIndex) -> None:
    reports = SweepReports(shop.index_table)
    assert reports.ended() is None
    day = LONG_AGO.date()
    reports.note({}, [], Place(), EndedCounts(day, {"completed": 3}, False))
    reports.note({"parts_failed": 1}, [], Place())  # a run that could not count leaves the last count
    report = reports.ended()
    assert report is not None and report.pop("at")
    assert report == {"day": "2020-05-17", "states": {"completed": 3}, "more": False}


def test_the_index_follows_when_one_of_two_undos_is_resolved(shop: OrdersAndIndex) -> None:
    order = parked(shop, shop.accept(), "refund_payment", "cancel_shipment")
    shop.orders.change(order, resolve, "refund_payment", PROOF)
    assert [entry.waits_for for entry in shop.entries(order.order_id)] == ["cancel_shipment"]
