"""Judges the effects of a load: by the public API everywhere, and by the auditor where the providers can be read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from azure.core.exceptions import AzureError

from devtools.audit.auditor import Auditor
from devtools.load.book import Book
from devtools.load.orders import sku_of
from devtools.load.run import Load
from devtools.trouble import Trouble

SHOWN_AT_MOST = 20


async def judged(load: Load, urls: Mapping[str, Any] | None) -> list[str]:
    """A sentence for each fault; empty when all is right. `urls`: of a local start. Raises Trouble."""
    wrong = [*load.book.wrong.values(), *_wrong_ends(load.book), *await _wrong_stock(load)]
    if urls is not None:
        try:
            wrong += await asyncio.to_thread(_audited, load, urls)
        except (OSError, AzureError) as fault:
            raise Trouble(f"The providers could not be read, so nothing was judged ({type(fault).__name__}).") from None
    return list(dict.fromkeys(wrong))


def _wrong_ends(book: Book) -> Iterator[str]:
    for order_id in sorted(book.parked):
        yield f"order {order_id} is parked: it waits for an operator"
    for order_id in sorted(book.open - book.parked - book.wrong.keys()):
        yield f"order {order_id} has not ended"
    for order_id in sorted(book.cancelled & book.ended.keys()):
        if book.ended[order_id] != "cancelled":
            yield f"order {order_id} was promised to end cancelled and is {book.ended[order_id]}"


async def _wrong_stock(load: Load) -> list[str]:
    """Faults in the stock of the load's article: each completed order has taken its units, and no other has."""
    if load.book.open:
        return []  # unfinished orders may hold stock, and have sentences already
    sku = sku_of(load.name)
    shown = await load.deployment.ask("GET", f"/api/inventory/{sku}")
    sold = sum(load.orders[order_id].units for order_id, end in load.book.ended.items() if end == "completed")
    left, counts = load.units - sold, (shown["on_hand"], shown["reserved"])
    if counts == (left, 0):
        return []
    return [
        f"sku {sku} has {counts[0]} on hand and {counts[1]} reserved: {sold} of {load.units} were sold, none is held"
    ]


def _audited(load: Load, urls: Mapping[str, Any]) -> list[str]:
    with closing(Auditor(urls)) as auditor:
        auditor.stocked(sku_of(load.name), load.units)
        for order_id in load.book.accepted:
            auditor.accepted(order_id)
        for order_id in load.book.cancelled:
            auditor.cancel_accepted(order_id)
        return auditor.violations()


def sentences(wrong: list[str]) -> list[str]:
    """At most so many sentences, and the number of further ones."""
    more = len(wrong) - SHOWN_AT_MOST
    return [*wrong[:SHOWN_AT_MOST], *([f"and {more} more"] if more > 0 else [])]
