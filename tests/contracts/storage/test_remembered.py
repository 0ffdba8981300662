"""What a process remembers of records and stock: one request where it is right, nothing but a try where it is not."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from azure.data.tables import TableClient

from activities.order_notes import with_notes
from models.errors import OrderSagaError, Refused
from models.messages import Note
from models.money import Total
from models.order_parts import Line
from models.order_record import (
    OrderRecord,
    begin_undo,
    claim_confirmation,
    close,
    note_charged,
    note_payment_intent,
    request_cancel,
    start,
)
from models.stock import InventoryUpdate
from models.view import fresh_view
from services import storage
from services.tables.order_index import OrderIndex
from services.tables.recent_orders import RecentOrders
from services.tables.recent_rows import RecentRows
from services.tables.table_orders import TableOrders
from services.tables.table_stock import TableStock
from tests.support.servers import Azurite
from tests.unit.orders import request

LINES = (Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=12900),)
TOTAL = Total(amount_minor=25800, currency="gbp")


def another_process(azurite: Azurite) -> TableOrders:
    """With a memory of its own."""
    account = storage.connect({storage.SETTING: azurite.connection_string})
    index = OrderIndex(storage.open_table(account, "orderindexremembered"))
    return TableOrders(storage.open_table(account, "ordersremembered"), index)


@pytest.fixture(scope="module")
def orders(azurite: Azurite) -> TableOrders:
    return another_process(azurite)


@pytest.fixture
def order_id() -> str:
    return str(uuid.uuid4())


def placed(orders: TableOrders, order_id: str) -> OrderRecord:
    return orders.accept(order_id, request()).record


def running(orders: TableOrders, order_id: str) -> OrderRecord:
    return orders.change(placed(orders, order_id), start, LINES, TOTAL, None)


def test_a_record_is_remembered_in_exactly_one_state(orders: TableOrders, order_id: str) -> None:
    first = placed(orders, order_id)
    second = orders.change(first, start, LINES, TOTAL, None)
    assert orders.recall(order_id, str(first.etag)) is None
    remembered = orders.recall(order_id, str(second.etag))
    assert remembered is not None
    assert remembered.is_guess
    assert remembered.model_copy(update={"is_guess": False}) == second == orders.read(order_id)


def test_an_order_that_has_ended_is_not_remembered(orders: TableOrders, order_id: str) -> None:
    order = orders.change(placed(orders, order_id), close, fresh_view(order_id, "rejected").as_json(), 0)
    assert orders.recall(order_id, str(order.etag)) is None


def test_a_change_of_a_remembered_record_is_one_request(orders: TableOrders, order_id: str) -> None:
    order = running(orders, order_id)
    guess = orders.recall(order_id, str(order.etag))
    assert guess is not None
    with patch.object(TableClient, "get_entity", side_effect=AssertionError("it was read")):
        assert orders.change(guess, note_payment_intent, "pi_1").payment_intent_id == "pi_1"


def test_what_somebody_else_has_changed_since_is_read_and_decided_anew(
    orders: TableOrders, order_id: str, azurite: Azurite
) -> None:
    guess = orders.recall(order_id, str(running(orders, order_id).etag))
    assert guess is not None
    another_process(azurite).change(order_id, request_cancel)
    assert orders.change(guess, claim_confirmation).confirmation is None


def test_nothing_to_write_is_believed_only_of_a_record_that_was_read(
    orders: TableOrders, order_id: str, azurite: Azurite
) -> None:
    """A claim that is remembered may be of an order that is undone since."""
    claimed = orders.change(running(orders, order_id), claim_confirmation)
    guess = orders.recall(order_id, str(claimed.etag))
    assert guess is not None
    another_process(azurite).change(order_id, begin_undo, None)
    assert orders.change(guess, claim_confirmation).undoing is not None


def test_notes_are_written_along_each_with_its_own_audit_row_and_time(orders: TableOrders, order_id: str) -> None:
    order = running(orders, order_id)
    earlier = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    notes = (Note(event="goods_reserved", at=earlier), Note(event="label_issued", at=earlier, value="TRACK"))
    order = orders.change(order, with_notes, notes, claim_confirmation)
    assert (order.goods, order.tracking_number, order.confirmation) == ("reserved", "TRACK", "sending")
    assert order == orders.read(order_id)
    *_, reserved, labelled, claimed = orders.trail(order_id, 0, 100).events
    assert [reserved.event, labelled.event, claimed.event] == ["goods_reserved", "label_issued", "confirmation_claimed"]
    assert (reserved.at, labelled.at) == (earlier, earlier)
    assert claimed.at > earlier
    assert [reserved.number, labelled.number, claimed.number] == [3, 4, 5]


def test_each_event_is_returned_to_the_one_whose_write_it_was(orders: TableOrders, order_id: str) -> None:
    order = running(orders, order_id)
    notes = (Note(event="goods_reserved", at=datetime.now(UTC)),)
    with ThreadPoolExecutor(8) as pool:
        applied = list(pool.map(lambda _: orders.apply(order, with_notes, notes, note_charged), range(8)))
    assert sorted(each.events for each in applied) == [*[()] * 7, ("goods_reserved", "payment_charged")]


# Stock


@pytest.fixture
def stock(azurite: Azurite) -> TableStock:
    return stock_of(azurite)


def stock_of(azurite: Azurite) -> TableStock:
    account = storage.connect({storage.SETTING: azurite.connection_string})
    return TableStock(storage.open_table(account, "stockremembered"))


def stocked(stock: TableStock, on_hand: int) -> Line:
    sku = f"SKU-{uuid.uuid4().hex[:10].upper()}"
    restocked(stock, sku, on_hand)
    return Line(sku=sku, quantity=1, price_minor=100)


def restocked(stock: TableStock, sku: str, on_hand: int) -> None:
    stock.put(sku, InventoryUpdate(on_hand=on_hand, price_minor=100, currency="gbp"))


def counts(stock: TableStock, line: Line) -> tuple[int, int]:
    entry = stock.find(line.sku)
    assert entry is not None
    return entry.item.on_hand, entry.item.reserved


def test_a_reservation_and_its_sale_on_remembered_rows_are_one_request_each(stock: TableStock) -> None:
    line = stocked(stock, 2)
    with patch.object(TableClient, "get_entity", side_effect=AssertionError("it was read")):
        for order_id in ("one", "other"):
            stock.reserve(f"{order_id}-{line.sku}", (line,), remembered=True)
            stock.sell(f"{order_id}-{line.sku}", remembered=True)
    assert counts(stock, line) == (0, 0)


def test_nothing_is_refused_on_remembered_counts(stock: TableStock, azurite: Azurite) -> None:
    line = stocked(stock, 0)
    restocked(stock_of(azurite), line.sku, 1)
    stock.reserve(line.sku, (line,), remembered=True)
    assert counts(stock, line) == (1, 1)


def test_nothing_is_sold_out_twice_on_remembered_counts(stock: TableStock, azurite: Azurite) -> None:
    line = stocked(stock, 1)
    stock_of(azurite).reserve(f"quicker-{line.sku}", (line,))
    with pytest.raises(Refused, match="out_of_stock"):
        stock.reserve(f"slower-{line.sku}", (line,), remembered=True)
    assert counts(stock, line) == (1, 1)


def test_a_tombstone_that_nobody_remembers_refuses_all_the_same(stock: TableStock, azurite: Azurite) -> None:
    line = stocked(stock, 1)
    stock_of(azurite).release(line.sku)
    with pytest.raises(Refused, match="already_released"):
        stock.reserve(line.sku, (line,), remembered=True)
    assert counts(stock, line) == (1, 0)


def test_a_reservation_that_is_remembered_and_was_released_is_not_sold(stock: TableStock, azurite: Azurite) -> None:
    line = stocked(stock, 1)
    stock.reserve(line.sku, (line,))
    stock_of(azurite).release(line.sku)
    with pytest.raises(OrderSagaError, match="no reservation to sell"):
        stock.sell(line.sku, remembered=True)
    assert counts(stock, line) == (1, 0)


def test_what_is_read_while_it_is_written_is_not_remembered_over_what_was_written() -> None:
    rows = RecentRows()
    rows.read("sku:1", {"Reserved": 0, "etag": "1"}, rows.moment())
    before = rows.moment()
    rows.written("sku:1", {"Reserved": 1}, "2", on="1")
    rows.read("sku:1", {"Reserved": 0, "etag": "1"}, before)
    assert rows.get("sku:1") == {"Reserved": 1, "etag": "2"}


def test_what_is_read_between_a_write_and_its_answer_is_kept() -> None:
    rows = RecentRows()
    rows.read("sku:1", {"OnHand": 5, "Reserved": 0, "etag": "1"}, rows.moment())
    rows.read("sku:1", {"OnHand": 5, "Reserved": 1, "etag": "2"}, rows.moment())
    rows.written("sku:1", {"Reserved": 1}, "2", on="1")
    assert rows.get("sku:1") == {"OnHand": 5, "Reserved": 1, "etag": "2"}


def test_what_was_written_on_another_state_than_is_remembered_is_forgotten() -> None:
    rows = RecentRows()
    rows.read("sku:1", {"OnHand": 5, "Reserved": 0, "etag": "1"}, rows.moment())
    rows.written("sku:1", {"Reserved": 1}, "3", on="2")
    assert rows.get("sku:1") is None


def test_no_more_is_remembered_than_fits() -> None:
    rows, records = RecentRows(limit=2), RecentOrders(limit=2)
    for number in range(5):
        rows.read(f"sku:{number}", {"etag": "1"}, rows.moment())
        records.remember(record_of_many(number))
    assert [rows.get(f"sku:{number}") is not None for number in range(5)] == [False, False, False, True, True]
    assert [records.recall(str(number), "1") is not None for number in range(5)] == [False, False, False, True, True]


def record_of_many(number: int) -> OrderRecord:
    stored = {"etag": "1"}
    return OrderRecord(
        order_id=str(number), state="running", body_hash="0", accepted_at=datetime.now(UTC), stored=stored
    )
