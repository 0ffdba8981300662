"""Fills a store with finished orders: copies of the rows of one real order, under ids of their own.

The raw client writes them straight into the tables, because 10,000 real orders take twenty minutes. Labels are left
out, because no order reads another one's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import NamedTuple

from devhost.history.events import Row
from devhost.storage.account import parse_connection_string
from devhost.storage.http_client import StorageHttp
from devhost.storage.retry import StorageRetry
from devhost.storage.tables import INSERT, Tables
from devtools.product.surroundings import TASK_HUB

AT_ONCE, IN_A_TRANSACTION = 32, 100


class Place(NamedTuple):
    """A place of an order's rows. `shared`: all orders' rows are in one partition."""

    table: str
    condition: str
    shared: bool = False


def places(order_id: str) -> tuple[Place, ...]:
    own, named = f"PartitionKey eq '{order_id}'", f"OrderId eq '{order_id}'"
    return (
        Place(f"{TASK_HUB}History", own),
        Place(f"{TASK_HUB}Instances", own),
        Place("orders", own),
        Place("orderindex", named, shared=True),
        Place("stock", f"PartitionKey eq 'stock' and RowKey eq 'order:{order_id}'", shared=True),
    )


async def left_by(tables: Tables, order_id: str) -> dict[Place, list[Row]]:
    """Every row of an order."""
    return {place: [row async for row in tables.query(place.table, place.condition)] for place in places(order_id)}


async def fill(connection_string: str, order_id: str, orders: int) -> None:
    """Store copies of an order that has ended."""
    async with StorageHttp() as http:
        tables = Tables(parse_connection_string(connection_string), http, StorageRetry())
        rows_by_place = await left_by(tables, order_id)
        writes = (
            tables.transact(place.table, [(INSERT, row) for row in rows])
            for place, template in rows_by_place.items()
            for rows in _transactions(template, order_id, orders, place)
        )
        await _at_once(writes)


def _transactions(template: list[Row], order_id: str, orders: int, place: Place) -> Iterator[list[Row]]:
    step = IN_A_TRANSACTION // len(template) if place.shared else 1
    for first in range(0, orders, step):
        numbers = range(first, min(first + step, orders))
        yield [_copy(row, order_id, number) for number in numbers for row in template]


def copied_id(order_id: str, number: int) -> str:
    """An id of the same length, so that the rows have the same size."""
    return f"{number:0{len(order_id)}d}"


def _copy(row: Row, order_id: str, number: int) -> Row:
    new_id = copied_id(order_id, number)
    return {name: _renamed(value, order_id, new_id) for name, value in row.items() if name not in NOT_OURS}


NOT_OURS = frozenset({"odata.etag", "Timestamp"})


def _renamed(value: object, old: str, new: str) -> object:
    return value.replace(old, new) if isinstance(value, str) else value


async def _at_once(writes: Iterator[Awaitable[None]]) -> None:
    async def worker() -> None:
        for write in writes:
            await write

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
