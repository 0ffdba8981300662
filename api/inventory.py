"""`GET /api/inventory`, and `GET` and `PUT /api/inventory/{sku}`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Protocol

import azure.functions as func

from api import paging
from api.problems import Problem, head_problem, json_response, read_body, refuse_unknown_parameters
from models.money import price_warnings
from models.operations.order_list import IndexEntry
from models.order_request import SKU_PATTERN
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


async def list_all(req: func.HttpRequest, stock: Stock) -> func.HttpResponse:
    """`?top=&continuation=`: SKUs in ascending order, a page at a time, each with the ETag for a `PUT`."""
    refuse_unknown_parameters(req, *paging.PARAMETERS)
    top, after = paging.top(req, DEFAULT_PAGE), paging.continuation(req, SKU_PATTERN)
    page = await asyncio.to_thread(stock.page, after, top)
    items = [{**_as_json(entry), "etag": entry.etag} for entry in page.entries]
    return json_response({"items": items, "continuation": page.continuation})


async def show(req: func.HttpRequest, stock: Stock) -> func.HttpResponse:
    entry = await asyncio.to_thread(stock.find, _sku(req))
    if entry is None:
        raise Problem(404, "There is no such sku.")
    return _answer(entry)


async def put(req: func.HttpRequest, stock: Stock) -> func.HttpResponse:
    """200, or 201 for a new SKU; 409 below what is reserved; 412 if `If-Match` is not its ETag.

    A price of which no quantity can be charged is stored, and the answer says so in `warnings`.
    """
    sku, update = _sku(req), read_body(req, InventoryUpdate)
    entry = await asyncio.to_thread(stock.put, sku, update, req.headers.get("If-Match"))
    return _answer(entry, price_warnings(update.price_minor, update.currency))


async def holders(req: func.HttpRequest, stock: Stock, index: Index) -> func.HttpResponse:
    """Which orders hold units of a SKU: of the newest 1,000 unfinished, at most `MOST_HOLDERS`.

    One read of the index, and one for each order that names the SKU.
    """
    sku = _sku(req)
    unfinished, more = await asyncio.to_thread(index.newest_unfinished)
    named = [entry for entry in reversed(unfinished) if sku in entry.skus]
    holding = []
    for entry in named[:MOST_HOLDERS]:
        quantity = await asyncio.to_thread(stock.reserved_for, entry.order_id, sku)
        if quantity:
            holding.append({"order_id": entry.order_id, "status": entry.status, "quantity": quantity})
    return json_response({"sku": sku, "holders": holding, "more": more or len(named) > MOST_HOLDERS})


def _sku(req: func.HttpRequest) -> str:
    sku: str = req.route_params["sku"]
    if not re.fullmatch(SKU_PATTERN, sku):
        raise head_problem("sku", "must be 1 to 64 capital letters, digits or hyphens")
    return sku


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
