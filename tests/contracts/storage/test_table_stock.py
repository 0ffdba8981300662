"""`TableStock` against a real table: all lines or none, no oversell, nothing given back that was not taken."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from azure.data.tables import EdmType, EntityProperty

from models.errors import Conflict, Refused, Unavailable
from models.order_parts import Line
from models.stock import InventoryUpdate, StockEntry, StockItem
from services import storage
from services.seed import WrongRow, seed
from services.tables import bounded_reads
from services.tables.table_stock import TableStock
from tests.support.servers import Azurite


def table(azurite: Azurite, name: str) -> TableStock:
    account = storage.connect({storage.SETTING: azurite.connection_string})
    return TableStock(storage.open_table(account, name))


@pytest.fixture(scope="module")
def stock(azurite: Azurite) -> TableStock:
    return table(azurite, "stockcontract")


@pytest.fixture
def sku(stock: TableStock) -> Iterator[str]:
    """A SKU of the test's own, ten on the shelf."""
    name = f"SKU-{uuid.uuid4().hex[:8].upper()}"
    stock.put(name, units(10))
    yield name


def units(on_hand: int, price: int = 100) -> InventoryUpdate:
    return InventoryUpdate(on_hand=on_hand, price_minor=price, currency="gbp")


def lines(*pairs: tuple[str, int]) -> tuple[Line, ...]:
    return tuple(Line(sku=sku, quantity=quantity, price_minor=100) for sku, quantity in pairs)


def counts(stock: TableStock, sku: str) -> tuple[int, int]:
    shelf = stock.find(sku)
    assert shelf is not None
    return shelf.item.on_hand, shelf.item.reserved


def new_order() -> str:
    return str(uuid.uuid4())


def test_fifty_writers_never_oversell(azurite: Azurite, stock: TableStock, sku: str) -> None:
    """Each writer has a client of its own, as processes would: the ETags alone keep them apart."""
    others = [table(azurite, "stockcontract") for _ in range(10)]

    def reserve(number: int) -> bool:
        try:
            others[number % 10].reserve(new_order(), lines((sku, 1)))
        except Refused as refusal:
            assert refusal.reason == "out_of_stock"
            return False
        return True

    with ThreadPoolExecutor(50) as pool:
        won = list(pool.map(reserve, range(50)))
    assert won.count(True) == 10
    assert counts(stock, sku) == (10, 10)


def test_all_lines_are_reserved_or_none(stock: TableStock, sku: str) -> None:
    scarce = f"{sku}-SCARCE"
    stock.put(scarce, units(1))
    with pytest.raises(Refused, match="out_of_stock"):
        stock.reserve(new_order(), lines((sku, 2), (scarce, 2)))
    assert counts(stock, sku) == (10, 0)
    assert counts(stock, scarce) == (1, 0)


def test_fifty_lines_fit_in_one_transaction(stock: TableStock) -> None:
    skus = [f"LINE-{uuid.uuid4().hex[:6].upper()}-{n}" for n in range(50)]
    for name in skus:
        stock.put(name, units(3))
    order = new_order()
    stock.reserve(order, lines(*((name, 2) for name in skus)))
    assert {counts(stock, name) for name in skus} == {(3, 2)}
    stock.sell(order)
    assert {counts(stock, name) for name in skus} == {(1, 0)}


def test_reserving_again_finds_the_reservation(stock: TableStock, sku: str) -> None:
    order = new_order()
    for _ in range(3):
        stock.reserve(order, lines((sku, 4)))
    assert counts(stock, sku) == (10, 4)


def test_releasing_twice_gives_back_once(stock: TableStock, sku: str) -> None:
    order = new_order()
    stock.reserve(order, lines((sku, 4)))
    stock.release(order)
    stock.release(order)
    assert counts(stock, sku) == (10, 0)


def test_releasing_what_was_never_reserved_creates_nothing_and_refuses_a_late_reserve(
    stock: TableStock, sku: str
) -> None:
    order = new_order()
    stock.release(order)
    assert counts(stock, sku) == (10, 0)
    with pytest.raises(Refused, match="already_released"):
        stock.reserve(order, lines((sku, 1)))
    assert counts(stock, sku) == (10, 0)


def test_a_reserve_that_comes_after_its_release_is_refused(stock: TableStock, sku: str) -> None:
    order = new_order()
    stock.reserve(order, lines((sku, 1)))
    stock.release(order)
    with pytest.raises(Refused, match="already_released"):
        stock.reserve(order, lines((sku, 1)))
    assert counts(stock, sku) == (10, 0)


def test_a_sale_takes_the_units_off_the_shelf_once(stock: TableStock, sku: str) -> None:
    order = new_order()
    stock.reserve(order, lines((sku, 3)))
    stock.sell(order)
    stock.sell(order)
    assert counts(stock, sku) == (7, 0)


def test_what_was_sold_cannot_be_released(stock: TableStock, sku: str) -> None:
    order = new_order()
    stock.reserve(order, lines((sku, 3)))
    stock.sell(order)
    with pytest.raises(Refused, match="already_sold"):
        stock.release(order)
    assert counts(stock, sku) == (7, 0)


def test_nothing_reserved_cannot_be_sold(stock: TableStock, sku: str) -> None:
    order = new_order()
    with pytest.raises(Unavailable, match="no reservation"):
        stock.sell(order)
    stock.release(order)
    with pytest.raises(Unavailable, match="no reservation"):
        stock.sell(order)


def test_an_unknown_sku_is_refused(stock: TableStock) -> None:
    with pytest.raises(Refused, match="unknown_sku") as refused:
        stock.reserve(new_order(), lines(("NOBODY-SELLS-THIS", 1)))
    assert refused.value.skus == ("NOBODY-SELLS-THIS",)
    assert stock.items(["NOBODY-SELLS-THIS"]) == {}


def test_units_are_conserved_while_many_reserve_release_and_sell(stock: TableStock, sku: str) -> None:
    def one_order(number: int) -> int:
        order = new_order()
        try:
            stock.reserve(order, lines((sku, 1)))
        except Refused:
            return 0
        if number % 3:
            stock.release(order)
            return 0
        stock.sell(order)
        return 1

    with ThreadPoolExecutor(8) as pool:
        sold = sum(pool.map(one_order, range(24)))
    assert counts(stock, sku) == (10 - sold, 0)
    assert sold >= 1


# Rows as older code, a person with Storage Explorer or a later version may have left them.
ROWS: dict[str, tuple[dict[str, Any], tuple[int, int, int, str]]] = {
    "with a column of a later version": ({"Colour": "red", "ReorderAt": 3}, (10, 2, 100, "gbp")),
    "with a currency that is none": ({"Currency": "xyz"}, (10, 2, 100, "xyz")),
    "with a currency in capitals": ({"Currency": "GBP"}, (10, 2, 100, "gbp")),
    "with a price of nothing": ({"PriceMinor": 0}, (10, 2, 0, "gbp")),
    "with a price above today's": ({"PriceMinor": 2_000_000_000}, (10, 2, 2_000_000_000, "gbp")),
    "with numbers of 64 bits": (
        {"OnHand": EntityProperty(10, EdmType.INT64), "PriceMinor": EntityProperty(10**12, EdmType.INT64)},
        (10, 2, 10**12, "gbp"),
    ),
    "with numbers as texts": ({"OnHand": "10", "PriceMinor": "100"}, (10, 2, 100, "gbp")),
    "with a text that is no number": ({"PriceMinor": "a pound"}, (10, 2, 0, "gbp")),
    "without a price": ({"PriceMinor": None, "Currency": None}, (10, 2, 0, "")),
    "without a count of what is reserved": ({"Reserved": None}, (10, 0, 100, "gbp")),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_that_todays_put_would_refuse_is_read_reserved_released_and_put_right(
    azurite: Azurite, stock: TableStock, kind: str
) -> None:
    columns, (on_hand, reserved, price, currency) = ROWS[kind]
    sku, order = f"OLD-{uuid.uuid4().hex[:8].upper()}", new_order()
    row = {"PartitionKey": "stock", "RowKey": f"sku:{sku}", "OnHand": 10, "Reserved": 2, "PriceMinor": 100}
    row |= {"Currency": "gbp", **columns}
    account = storage.connect({storage.SETTING: azurite.connection_string})
    storage.open_table(account, "stockcontract").create_entity({k: v for k, v in row.items() if v is not None})
    read = StockItem(sku=sku, on_hand=on_hand, reserved=reserved, price_minor=price, currency=currency)
    assert stock.items([sku]) == {sku: read}
    assert [entry.item for entry in stock.page(sku[:-1], 100).entries if entry.item.sku == sku] == [read]
    stock.reserve(order, lines((sku, 3)))
    assert counts(stock, sku) == (on_hand, reserved + 3)
    stock.release(order)
    assert counts(stock, sku) == (on_hand, reserved)
    stock.put(sku, units(20, price=300))
    assert stock.items([sku])[sku].price_minor == 300


def test_a_price_of_more_than_32_bits_is_kept(stock: TableStock, sku: str) -> None:
    dear = InventoryUpdate(on_hand=10, price_minor=999_999_999_999, currency="idr")
    assert stock.put(sku, dear).item.price_minor == 999_999_999_999
    stock.reserve(new_order(), lines((sku, 1)))
    assert stock.items([sku])[sku] == StockItem(
        sku=sku, on_hand=10, reserved=1, price_minor=999_999_999_999, currency="idr"
    )


def test_counting_below_what_is_reserved_is_a_conflict(stock: TableStock, sku: str) -> None:
    stock.reserve(new_order(), lines((sku, 4)))
    with pytest.raises(Conflict, match="4 units"):
        stock.put(sku, units(3))
    assert stock.put(sku, units(4, price=200)).item.available == 0


def test_a_stale_if_match_is_distinguished_from_a_forbidden_count(stock: TableStock, sku: str) -> None:
    seen = stock.find(sku)
    assert seen is not None
    stock.put(sku, units(11), seen.etag)
    with pytest.raises(Conflict) as stale:
        stock.put(sku, units(12), seen.etag)
    assert stale.value.stale
    assert counts(stock, sku) == (11, 0)


def test_the_catalogue_is_written_only_into_an_empty_stock(azurite: Azurite, tmp_path: Path) -> None:
    empty = table(azurite, "stockseed")
    catalogue = tmp_path / "catalogue.json"
    catalogue.write_text(json.dumps([{"sku": "A", "on_hand": 5, "price_minor": 100, "currency": "gbp"}]))
    assert seed(empty, catalogue) == 1
    empty.put("A", units(9))
    assert seed(empty, catalogue) == 0
    assert counts(empty, "A") == (9, 0)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"currency": "xyz"}, "currency must be a currency that Stripe charges"), ({"price_minor": 0}, "price_minor")],
)
def test_a_catalogue_with_a_wrong_row_is_refused_in_a_sentence_and_nothing_of_it_is_written(
    azurite: Azurite, tmp_path: Path, wrong: dict[str, Any], named: str
) -> None:
    empty = table(azurite, f"stockwrong{uuid.uuid4().hex[:8]}")
    row = {"on_hand": 5, "price_minor": 100, "currency": "gbp"}
    catalogue = tmp_path / "catalogue.json"
    catalogue.write_text(json.dumps([{"sku": "GOOD", **row}, {"sku": "BAD", **row, **wrong}]))
    with pytest.raises(WrongRow, match=f"row of BAD is wrong: {named}"):
        seed(empty, catalogue)
    assert empty.is_empty()


def test_the_sweep_reads_the_reservations_in_parts_and_finds_each_that_is_held_for_long(azurite: Azurite) -> None:
    stock = table(azurite, f"held{uuid.uuid4().hex[:8]}")
    stock.put("SKU-1", units(10))
    orders = sorted(new_order() for _ in range(7))
    for order in orders:
        stock.reserve(order, lines(("SKU-1", 1)))
    for order in orders[:6]:
        stock.sell(order) if order != orders[3] else None
    later, listed, after, parts = datetime.now(UTC) + timedelta(minutes=1), list[str](), None, 0
    with patch.object(bounded_reads, "MOST_ROWS", 3):
        while not parts or after is not None:
            held = stock.reservations(later, after, 10)
            listed, after, parts = [*listed, *held.order_ids], held.after, parts + 1
    assert (listed, parts) == ([orders[3], orders[6]], 3)
    assert stock.reservations(later, None, 1) == ((orders[3],), orders[3]), "no more than were asked for"
    assert stock.reservations(later - timedelta(hours=1), None, 10) == ((), None)


def test_every_sku_is_listed_once_and_no_order_is(azurite: Azurite) -> None:
    stock = table(azurite, "stocklist")
    skus = [f"SKU-{number:02d}" for number in range(7)]
    for sku in reversed(skus):
        stock.put(sku, units(10))
    stock.reserve("order-1", lines(("SKU-03", 2)))
    listed: list[StockEntry] = []
    after, sizes = None, []
    while True:
        page = stock.page(after, 3)
        listed += page.entries
        sizes.append(len(page.entries))
        after = page.continuation
        if after is None:
            break
    assert ([entry.item.sku for entry in listed], sizes) == (skus, [3, 3, 1])
    assert [entry.item.reserved for entry in listed] == [0, 0, 0, 2, 0, 0, 0]
    assert [entry.etag for entry in listed] == [entry_of_sku.etag for sku in skus if (entry_of_sku := stock.find(sku))]
    assert stock.page("SKU-03", 3).continuation is None, "a full page may be the last one"
    assert stock.page("SKU-06", 3) == ((), None)
