"""Counts one order's requests to other servers, by kind, and its stored rows, on a product of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from devhost.history.events import Row
from devhost.storage.account import parse_connection_string
from devhost.storage.http_client import StorageHttp
from devhost.storage.retry import StorageRetry
from devhost.storage.tables import Tables
from devtools.bench.real_orders.counting import DEVHOST, counted
from devtools.bench.real_orders.filling import left_by
from devtools.bench.real_orders.loads import KINDS, Kind
from devtools.bench.real_orders.shop import Shop
from devtools.bench.real_orders.surroundings import hosted, outside
from devtools.places import ROOT
from devtools.product.surroundings import TASK_HUB, environment_of_the_app

EACH, TRIES, WEBHOOK_WITHIN_S = 4, 20, 60
# The requests of a sweep would be counted as the order's.
ONLY_ON_29_FEBRUARY = "0 0 0 29 2 *"
HEADS = ("tables", "blobs", "stripe", "mail", "push", DEVHOST)


class Counted(NamedTuple):
    """A product whose requests are noted in `seen`. `environment`: settings that use the same proxies."""

    shop: Shop
    requests: list[str]
    environment: Mapping[str, str]
    storage: str


@asynccontextmanager
async def product(tree: Path = ROOT, webhooks: bool = False) -> AsyncIterator[Counted]:
    requests: list[str] = []
    async with (
        aiohttp.ClientSession() as session,
        outside(webhooks) as around,
        counted(around.ports, requests) as proxied,
    ):
        environment = {**environment_of_the_app(proxied), "SWEEP_SCHEDULE": ONLY_ON_29_FEBRUARY}
        async with hosted(around, environment, tree) as urls:
            shop = Shop(urls, session)
            await shop.fill_the_shelf()
            await shop.ended()  # the first label creates its container
            yield Counted(shop, requests, environment, around.ports.storage_connection_string)


async def calls_of(counted: Counted, kind: Kind) -> list[str]:
    """The requests of one order, from its POST to its end. An order whose cancel was too late is not counted."""
    for _ in range(TRIES):
        counted.requests.clear()
        order_id = await counted.shop.ended(kind)
        calls = list(counted.requests)
        if await counted.shop.status(order_id) == kind.end:
            return calls
    raise RuntimeError(f"none of {TRIES} orders ended {kind.end}")


def by_kind(calls: list[str]) -> Counter[str]:
    """The requests by the heads of the table. Requests to storage are for blobs or else for tables."""
    kinds = {"labels": "blobs", "stripe": "stripe"}
    places = (call.rpartition(" ")[2] for call in calls)
    return Counter(place if place in HEADS else kinds.get(place, "tables") for place in places)


async def counts(tree: Path = ROOT) -> dict[str, dict[str, float]]:
    """Requests an order, the mean of some, by kind of order and by kind of request."""
    async with product(tree) as of:
        means = {}
        for name, kind in KINDS.items():
            total: Counter[str] = Counter()
            for _ in range(EACH):
                total += by_kind(await calls_of(of, kind))
            means[name] = {head: total[head] / EACH for head in HEADS}
        return means


class Left(NamedTuple):
    """An order's rows and bytes in one table."""

    rows: int
    bytes: int


async def left_behind() -> dict[str, Left]:
    """By table, of one completed order with its webhook; in bytes as Azure counts them."""
    async with product(webhooks=True) as of:
        return await left_in(of.storage, await ended_with_its_webhook(of))


async def ended_with_its_webhook(of: Counted) -> str:
    """The id of an order, once Stripe's event about it is stored."""
    order_id = await of.shop.ended()
    async with asyncio.timeout(WEBHOOK_WITHIN_S), StorageHttp() as http:
        tables = Tables(parse_connection_string(of.storage), http, StorageRetry())
        condition = f"PartitionKey eq '{order_id}' and RowKey gt 'webhook:'"
        while not [row async for row in tables.query("orders", condition)]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return order_id


async def left_in(storage: str, order_id: str) -> dict[str, Left]:
    """By table; tables without rows of the order are left out."""
    async with StorageHttp() as http:
        rows_by_place = await left_by(Tables(parse_connection_string(storage), http, StorageRetry()), order_id)
    return {place.table: Left(len(rows), sum(map(row_bytes, rows))) for place, rows in rows_by_place.items()}


def row_bytes(row: Row) -> int:
    """4 bytes, the keys at 2 bytes a character, and 8 bytes with name and value for each other column:
    https://learn.microsoft.com/archive/blogs/avkashchauhan/how-the-size-of-an-entity-is-caclulated-in-windows-azure-table-storage
    """
    keys = 2 * (len(row["PartitionKey"]) + len(row["RowKey"]))
    columns = ((name, value) for name, value in row.items() if name not in {"PartitionKey", "RowKey", "odata.etag"})
    return 4 + keys + sum(8 + 2 * len(name) + _value_bytes(value) for name, value in columns)


def _value_bytes(value: Any) -> int:
    if isinstance(value, str):
        return 2 * len(value) + 4
    return {bool: 1, int: 4}.get(type(value), 8)


def table(counted: Mapping[str, Mapping[str, Mapping[str, float]]], left: Mapping[str, Left]) -> str:
    return "\n".join([*_counts(counted), *_left(left)])


def _counts(counted: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    yield f"{'requests an order':26}" + "".join(f"{head:>9}" for head in HEADS)
    for side, kinds in counted.items():
        for name, figures in kinds.items():
            yield f"{f'{name}, {side}':26}" + "".join(f"{figures[head]:9.4g}" for head in HEADS)


def _left(left: Mapping[str, Left]) -> Iterator[str]:
    yield f"\n{'left by an order of one line':30}{'rows':>6}{'bytes':>8}"
    for name, each in left.items():
        yield f"{name.removeprefix(TASK_HUB):30}{each.rows:6}{each.bytes:8}"
    yield f"{'in all':30}{sum(each.rows for each in left.values()):6}{sum(each.bytes for each in left.values()):8}"
