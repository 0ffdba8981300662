"""`GET` and `PUT /api/inventory/{sku}`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Protocol

import azure.functions as func

from edge.problems import Problem, field_problem, json_response, read_body
from models.money import price_warnings
from models.order import SKU_PATTERN, InventoryUpdate, Shelf


class Stock(Protocol):
    def find(self, sku: str) -> Shelf | None: ...

    def put(self, sku: str, update: InventoryUpdate, if_match: str | None) -> Shelf:
        """Set count and price. Raises Conflict below what is reserved, and (stale) when `if_match` is no longer so."""


async def show(req: func.HttpRequest, stock: Stock) -> func.HttpResponse:
    shelf = await asyncio.to_thread(stock.find, _sku(req))
    if shelf is None:
        raise Problem(404, "There is no such sku.")
    return _answer(shelf)


async def put(req: func.HttpRequest, stock: Stock) -> func.HttpResponse:
    """200, or 201 for a SKU that was not there; 409 below what is reserved; 412 for an `If-Match` that is not so.

    A price of which no quantity can be charged is stored, and the answer says so in `warnings`.
    """
    sku, update = _sku(req), read_body(req, InventoryUpdate)
    shelf = await asyncio.to_thread(stock.put, sku, update, req.headers.get("If-Match"))
    return _answer(shelf, price_warnings(update.price_minor, update.currency))


def _sku(req: func.HttpRequest) -> str:
    sku: str = req.route_params["sku"]
    if not re.fullmatch(SKU_PATTERN, sku):
        raise field_problem("sku", "must be 1 to 64 capital letters, digits or hyphens")
    return sku


def _answer(shelf: Shelf, warnings: Sequence[str] = ()) -> func.HttpResponse:
    item = shelf.item
    body: dict[str, Any] = {
        "sku": item.sku,
        "on_hand": item.on_hand,
        "reserved": item.reserved,
        "available": item.available,
        "price_minor": item.price_minor,
        "currency": item.currency,
    }
    if warnings:
        body["warnings"] = list(warnings)
    return json_response(body, 201 if shelf.created else 200, {"ETag": shelf.etag})
