"""`GET /api/inventory`, and `GET` and `PUT /api/inventory/{sku}`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import azure.functions as func

from api import paging
from api.problems import Fault, Problem, head_fault, json_response, read_body, read_query, refuse, unknown_parameters
from models.money import price_warnings
from models.operations.order_list import IndexEntry
from models.order_request import SKU_PATTERN
from models.sentences import PATTERNS
from models.stock import InventoryUpdate, StockEntry, StockPage

DEFAULT_PAGE = 20

MOST_HOLDERS = 20


class Stock(Protocol):
    def find(self, sku: str) -> StockEntry | None: ...

    def page(self, after: str | None, top: int) -> StockPage:
        """At most `top` SKUs in ascending order, those after `after`."""

    def reserved_for(self, order_id: str, sku: str) -> int:
        """Units of a SKU that are held for an order now."""

    def put(self, sku: str, update: InventoryUpdate, if_match: str | None) -> StockEntry:
        """Set count and price. Raises Conflict below what is reserved, and (stale) if `if_match` is not the ETag."""


class Index(Protocol):
    def newest_unfinished(self) -> tuple[tuple[IndexEntry, ...], bool]:
        """The entries of one read, newest first, and whether there are more."""


class StockQuery(paging.Query):
    """The parameters of the list."""

    top: paging.Top = DEFAULT_PAGE
    continuation: Annotated[str | None, paging.continuation_of(SKU_PATTERN)] = None


async def list_all(req: func.HttpRequest, stock: Stock) -> func.HttpResponse:
    """`?top=&continuation=`: SKUs in ascending order, a page at a time, each with the ETag for a `PUT`."""
    query = read_query(req, StockQuery)
    page = await asyncio.to_thread(stock.page, query.continuation, query.top)
    items = [{**_as_json(entry), "etag": entry.etag} for entry in page.entries]
    return json_response({"items": items, "continuation": page.continuation})


async def show(req: func.HttpRequest, stock: Stock) -> func.HttpResponse:
    return _answer(await _entry_or_404(req, stock))


async def put(req: func.HttpRequest, stock: Stock) -> func.HttpResponse:
    """200, or 201 for a new SKU; 409 below what is reserved; 412 if `If-Match` is not its ETag.

    A price of which no quantity can be charged is stored, and the answer says so in `warnings`.
    """
    update = read_body(req, InventoryUpdate, _faults_of(req.route_params["sku"]))
    entry = await asyncio.to_thread(stock.put, req.route_params["sku"], update, req.headers.get("If-Match"))
    return _answer(entry, price_warnings(update.price_minor, update.currency))


async def holders(req: func.HttpRequest, stock: Stock, index: Index) -> func.HttpResponse:
    """Which orders hold units of a SKU: of the newest 1,000 unfinished, at most `MOST_HOLDERS`.

    One read of the index, and one for each order that names the SKU. 404 for an unknown SKU.
    """
    sku = (await _entry_or_404(req, stock)).item.sku
    unfinished, more = await asyncio.to_thread(index.newest_unfinished)
    named = [entry for entry in reversed(unfinished) if sku in entry.skus]
    holding = []
    for entry in named[:MOST_HOLDERS]:
        quantity = await asyncio.to_thread(stock.reserved_for, entry.order_id, sku)
        if quantity:
            holding.append({"order_id": entry.order_id, "status": entry.status, "quantity": quantity})
    return json_response({"sku": sku, "holders": holding, "more": more or len(named) > MOST_HOLDERS})


async def _entry_or_404(req: func.HttpRequest, stock: Stock) -> StockEntry:
    """The sku in the path. Raises Problem 404, and 400 for a path that names no sku and for any parameter."""
    sku: str = req.route_params["sku"]
    refuse([*_faults_of(sku), *unknown_parameters(req)])
    entry = await asyncio.to_thread(stock.find, sku)
    if entry is None:
        raise Problem(404, "There is no such sku.")
    return entry


def _faults_of(sku: str) -> list[Fault]:
    return [] if re.fullmatch(SKU_PATTERN, sku) else [head_fault("sku", PATTERNS[SKU_PATTERN])]


def _answer(entry: StockEntry, warnings: Sequence[str] = ()) -> func.HttpResponse:
    body = _as_json(entry)
    if warnings:
        body["warnings"] = list(warnings)
    return json_response(body, 201 if entry.created else 200, {"ETag": entry.etag})


def _as_json(entry: StockEntry) -> dict[str, Any]:
    item = entry.item
    return {
        "sku": item.sku,
        "on_hand": item.on_hand,
        "reserved": item.reserved,
        "available": item.available,
        "price_minor": item.price_minor,
        "currency": item.currency,
    }
