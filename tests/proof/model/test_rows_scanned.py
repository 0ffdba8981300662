"""How many rows storage reads for a run of the sweep and for a list: orders that have ended add nothing to it.

A query names a range of keys, and storage reads each row of that range until its page is full, whether or not the row
fits the rest of the filter. So a count of requests is not enough: one request may read ten thousand rows and return
none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from services.tables.order_index import index_key
from tests.proof.model.test_sweep_in_memory import SweptShop, saga
from tests.support import pure_world
from tests.support.pure_world import PureTable, Row

UNFINISHED, TOP = 20, 50
FEW, MANY, MORE = 100, 10_000, 20_000
NOW = datetime.now(UTC)
TODAY, WEEK = NOW.date(), timedelta(days=7)


class Work(NamedTuple):
    """What storage has done."""

    requests: int = 0
    rows: int = 0


class CountedPages:
    """The pages of a query. Storage reads a page's rows when the page is asked for."""

    def __init__(self, table: CountingTable, rows: Iterator[Row], fits: Callable[[Row], bool], per_page: int) -> None:
        self._table, self._rows, self._fits, self._per_page = table, rows, fits, per_page
        self._next, self._begun = next(rows, None), False
        self.continuation_token: str | None = None

    def __iter__(self) -> CountedPages:
        return self

    def __next__(self) -> Iterator[Row]:
        if self._begun and self._next is None:
            raise StopIteration
        page, passed = list[Row](), 0
        while self._next is not None and len(page) < self._per_page:
            passed += 1
            page += [self._next] if self._fits(self._next) else []
            self._next = next(self._rows, None)
        self._begun = True
        self._table.worked(passed)
        self.continuation_token = None if self._next is None else self._next["RowKey"]
        return iter(page)


class CountedQuery:
    """As the table client hands it out: row by row, or in pages."""

    def __init__(self, pages: CountedPages) -> None:
        self._pages = pages

    def __iter__(self) -> Iterator[Row]:
        for page in self._pages:
            yield from page

    def by_page(self) -> CountedPages:
        return self._pages


class CountingTable(PureTable):
    """A table in memory that counts what storage reads."""

    work = Work()

    def worked(self, rows: int) -> None:
        self.work = Work(self.work.requests + 1, self.work.rows + rows)

    def get_entity(self, partition: str, row: str) -> Row:
        self.worked(1)
        return super().get_entity(partition, row)

    def query_entities(self, wanted: str, results_per_page: int = 1000, **_: Any) -> Any:
        by_key, rest = list[Any](), list[Any]()
        for text in re.split(r" and (?![^(]*\))", wanted):
            (by_key if text.startswith(("PartitionKey", "RowKey")) else rest).append(pure_world._condition(text))
        keys = sorted(key for key, row in self.rows.items() if all(holds(row) for holds in by_key))
        rows = (pure_world._row(self.rows[key]) for key in keys)
        return CountedQuery(CountedPages(self, rows, lambda row: all(holds(row) for holds in rest), results_per_page))


class LongRunningShop(SweptShop):
    """A shop with so many orders that have ended today, the newest of them compensated, and some unfinished ones."""

    table = CountingTable

    def __init__(self, ended: int) -> None:
        super().__init__()
        for number in range(UNFINISHED):
            self.running(f"unfinished-{number}")
            self.sagas[f"unfinished-{number}"] = saga("running")
        for number in range(ended):
            self._put_ended(f"ended-{number:06}", NOW - timedelta(milliseconds=number))

    def _put_ended(self, order_id: str, accepted_at: datetime) -> None:
        """Straight into the tables, as an order that completed leaves it."""
        keys = {"PartitionKey": TODAY.isoformat(), "RowKey": index_key(accepted_at, order_id)}
        self.tables["orderindex"]._put({**keys, "Status": "completed", "OrderId": order_id})
        sold = {"State": "sold", "Lines": "[]", "ChangedAt": accepted_at - timedelta(hours=1)}
        self.tables["stock"]._put({"PartitionKey": "stock", "RowKey": f"order:{order_id}", **sold})

    def work_of(self, read: Callable[[LongRunningShop], object]) -> Work:
        for table in self.tables.values():
            table.work = Work()
        read(self)
        return Work(*map(sum, zip(*(table.work for table in self.tables.values()), strict=True)))


# What reads, and how many rows at most: the sweep one read of reservations, one of a day and five that count, and the
# unfinished four times.
READS: dict[str, tuple[Callable[[LongRunningShop], object], int]] = {
    "a run of the sweep": (lambda shop: shop.sweep(), 1000 + 1000 + 5000 + 4 * UNFINISHED),
    "the first look": (lambda shop: shop.index.front(TODAY, TOP), UNFINISHED + TOP),
    "a list": (lambda shop: shop.index.page(None, TODAY, TODAY - WEEK, TOP, None), UNFINISHED + TOP + 1),
    "a list of what is frequent": (lambda shop: shop.index.page("completed", TODAY, TODAY - WEEK, TOP, None), 1000),
    "a list of what is rare": (lambda shop: shop.index.page("cancelled", TODAY, TODAY - WEEK, TOP, None), 5000),
    "a list of what waits": (lambda shop: shop.index.page("needs_attention", TODAY, TODAY, TOP, None), UNFINISHED),
    "the stock": (lambda shop: shop.stock.page(None, TOP), TOP),
}


@pytest.fixture(scope="module")
def shops() -> dict[int, LongRunningShop]:
    return {ended: LongRunningShop(ended) for ended in (FEW, MANY, MORE)}


@pytest.mark.parametrize("name", READS)
def test_orders_that_have_ended_add_nothing_to_what_is_read(shops: dict[int, LongRunningShop], name: str) -> None:
    read, most_rows = READS[name]
    work = {ended: shop.work_of(read) for ended, shop in shops.items()}
    assert work[MANY] == work[MORE], work
    assert work[MANY].rows <= most_rows
