"""Places orders, so many at once, and follows each to its end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

from devtools.api_client import Refused, order_path
from devtools.load.book import Book
from devtools.load.deployment import Deployment
from devtools.load.orders import PRICE_MINOR, Order, sku_of
from devtools.printing import say
from models.states import FINAL_STATES

TELL_EVERY_S = 5.0
FIRST_LOOK_S, LONGEST_LOOK_S = 0.1, 1.0
# The time in which a customer decides to cancel.
CANCELS_WITHIN_S = 1.0
APPROVER = "load"


class Load:
    """One run. `name` begins the id of each of its orders, and names its article."""

    def __init__(self, deployment: Deployment, name: str, orders: Sequence[Order]) -> None:
        self.deployment, self.name = deployment, name
        self.orders = {order.order_id: order for order in orders}
        self.units = sum(order.units for order in orders)
        self.book = Book()
        self.is_stopped = False
        self._waiting = iter(orders)
        self._customers: list[asyncio.Task[None]] = []

    def stop(self) -> None:
        """Place no more orders; open requests are still answered. The second call ends them too."""
        if self.is_stopped:
            for customer in self._customers:
                customer.cancel()
        self.is_stopped = True

    async def put_article(self) -> None:
        """Put an article with as many units as the orders can buy."""
        body = {"on_hand": self.units, "price_minor": PRICE_MINOR, "currency": "gbp"}
        await self.deployment.ask("PUT", f"/api/inventory/{sku_of(self.name)}", body)

    async def run(self, at_once: int) -> None:
        """Run until every order has ended or is parked, or until a stop. Raises Trouble, as without any answer."""
        progress = asyncio.create_task(self._report_progress())
        self._customers = [asyncio.create_task(self._customer()) for _ in range(at_once)]
        try:
            await asyncio.wait(self._customers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            tasks = (progress, *self._customers)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            say(self.book.line())
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            away = self.deployment.away_s
            say(self.book.line() + (f"  (waiting for the host, {away:.0f} s)" if away > 1 else ""))

    async def _customer(self) -> None:
        for order in self._next_orders():
            try:
                await self._live_through(order)
            except Refused as refusal:
                self.book.wrong[order.order_id] = f"order {order.order_id}: {refusal}"

    def _next_orders(self) -> Iterator[Order]:
        """The next orders, shared by all customers: one customer places each order."""
        while not self.is_stopped and (order := next(self._waiting, None)) is not None:
            yield order

    async def _live_through(self, order: Order) -> None:
        since = time.monotonic()
        self.book.sending.add(order.order_id)
        await self.deployment.ask("POST", "/api/orders", order.body)
        self.book.sending.discard(order.order_id)
        self.book.accepted.add(order.order_id)
        if order.kind == "cancelled":
            await self._cancel(order)
        await self._follow(order, since)

    async def _cancel(self, order: Order) -> None:
        await asyncio.sleep(random.uniform(0, CANCELS_WITHIN_S))  # noqa: S311 - any moment will do
        try:
            await self.deployment.ask("POST", order_path(order.order_id, "cancel"))
            self.book.cancelled.add(order.order_id)
        except Refused as refusal:
            if refusal.status != 409:  # the cancel was too late, which is an answer
                raise

    async def _follow(self, order: Order, since: float) -> None:
        """Follow an order until it is final or parked; after a stop, read it once."""
        wait = FIRST_LOOK_S
        while not self.is_stopped:
            view = await self.deployment.ask("GET", order_path(order.order_id))
            if view["status"] in FINAL_STATES:
                return self.book.note_end(order.order_id, view["status"], time.monotonic() - since)
            if view["status"] == "needs_attention":
                self.book.parked.add(order.order_id)
                return None
            if view["status"] == "awaiting_approval" and order.kind == "approved":
                await self._approve(order)
            await asyncio.sleep(wait)
            wait = min(1.5 * wait, LONGEST_LOOK_S)
        return None

    async def _approve(self, order: Order) -> None:
        body: dict[str, Any] = {"approved": True, "approver": APPROVER}
        try:
            await self.deployment.ask("POST", order_path(order.order_id, "approval"), body)
        except Refused as refusal:
            if refusal.status != 409:  # the cancel is decided, and not visible yet
                raise
