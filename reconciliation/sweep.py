"""The sweep: finds what should not be, and heals or parks it. Runs on a timer; idempotent; bounded per run.

What can be found:

- an order that was accepted and never started (the process died between record and start);
- an order whose saga is gone (terminated, purged or failed behind our back): its saga is started again, and finds in
  the record how far it was and in which direction; after `MAX_HEALINGS` times it is parked;
- a captured payment whose order has ended without it: given back;
- reserved stock whose order has ended: released, or sold when the order was completed;
- an index entry that did not follow its record.

Each run looks at the newest `LIMIT` of each kind. Nothing here decides what a live saga decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from models.errors import OrderSagaError
from models.order import IndexEntry, OrderRecord
from models.status import CompensationView, OrderView, fresh_view

log = logging.getLogger(__name__)

LIMIT, DAYS, MAX_HEALINGS = 200, 14, 5
# An order younger than this may still be between its record and its start.
GRACE = timedelta(seconds=30)
PAYMENTS_WINDOW = timedelta(hours=2)
RESERVED_FOR = timedelta(minutes=5)
ALIVE = frozenset({"Pending", "Running", "Suspended", "ContinuedAsNew"})


class Orders(Protocol):
    def find(self, order_id: str) -> OrderRecord | None: ...

    def unfinished(self, newest: date, days: int, limit: int) -> tuple[IndexEntry, ...]: ...

    def follow(self, record: OrderRecord) -> None: ...

    def note_healed(self, order: OrderRecord) -> OrderRecord: ...

    def note_refund(self, order: OrderRecord, refund_id: str) -> OrderRecord: ...

    def note_goods(self, order: OrderRecord, goods: str) -> OrderRecord: ...

    def park(self, order: OrderRecord, outcome: OrderView) -> OrderRecord: ...

    def note_sweep(self, report: Mapping[str, int]) -> None: ...


class Payments(Protocol):
    def recent(self, since: datetime, limit: int) -> list[tuple[str, str]]:
        """(order id, intent id) of captured payments."""

    def give_back(self, order_id: str, intent_id: str) -> str | None: ...


class Stock(Protocol):
    def reservations(self, before: datetime, limit: int) -> list[str]: ...

    def release(self, order_id: str) -> None: ...

    def sell(self, order_id: str) -> None: ...


class Reconciler:
    """Compares the order records with the providers, one finding at a time. Blocking; safe to repeat."""

    def __init__(self, orders: Orders, payments: Payments, stock: Stock) -> None:
        self._orders, self._payments, self._stock = orders, payments, stock

    def settle_payment(self, order: OrderRecord) -> bool:
        """Give back the money of an order that ended without it. True when something was given back."""
        ended_without = order.is_final and order.state != "completed" and "refund_payment" not in order.resolved
        if not ended_without or order.payment_intent_id is None or order.refund_id is not None:
            return False
        refund_id = self._payments.give_back(order.order_id, order.payment_intent_id)
        if refund_id is None:
            return False
        self._orders.note_refund(order, refund_id)
        log.warning("order %s had ended %s and was charged all the same: refunded", order.order_id, order.state)
        return True

    def payments(self, now: datetime) -> Counter[str]:
        found: Counter[str] = Counter()
        for order_id, intent_id in self._payments.recent(now - PAYMENTS_WINDOW, LIMIT):
            found += _looked(partial(self._payment, order_id, intent_id))
        return found

    def _payment(self, order_id: str, intent_id: str) -> str | None:
        order = self._orders.find(order_id)
        if order is None:
            log.warning("payment %s names order %s, which has no record", intent_id, order_id)
            return "payments_without_order"
        return "payments_given_back" if self.settle_payment(order) else None

    def reservations(self, now: datetime) -> Counter[str]:
        found: Counter[str] = Counter()
        for order_id in self._stock.reservations(now - RESERVED_FOR, LIMIT):
            found += _looked(partial(self._reservation, order_id))
        return found

    def _reservation(self, order_id: str) -> str | None:
        order = self._orders.find(order_id)
        if order is not None and order.state == "completed":
            self._stock.sell(order_id)
            return "reservations_sold"
        if order is None or (order.is_final and "release_inventory" not in order.resolved):
            self._stock.release(order_id)
            return "reservations_released"
        return None

    def unfinished(self, now: datetime) -> list[OrderRecord]:
        """The orders that are to have a saga. Index entries that lag behind their record follow it now."""
        found = []
        for entry in self._orders.unfinished(now.date(), DAYS, LIMIT):
            record = self._orders.find(entry.order_id)
            if record is not None and record.state != entry.status:
                self._orders.follow(record)
            if record is not None and not record.is_final and record.accepted_at < now - GRACE:
                found.append(record)
        return found

    def heal(self, order: OrderRecord) -> bool:
        """Count a healing. False: it was healed often enough, and is parked now."""
        if order.healed < MAX_HEALINGS:
            self._orders.note_healed(order)
            return True
        self._orders.park(order, parked_view(order))
        log.error("order %s: its saga ended %d times without an outcome; it is parked", order.order_id, order.healed)
        return False

    def report(self, found: Mapping[str, int]) -> None:
        self._orders.note_sweep(found)


def _looked(look: Callable[[], str | None]) -> Counter[str]:
    """What one look found. One that fails is counted, and stands in the way of no other."""
    try:
        finding = look()
    except OrderSagaError as fault:
        log.warning("the sweep could not mend everything: %s", fault)
        return Counter(["not_mended"])
    return Counter([finding] if finding else [])


def parked_view(order: OrderRecord) -> OrderView:
    """An order of which nobody knows how far it is: every undo waits for its operator."""
    view = fresh_view(order.order_id, "needs_attention")
    view.total = order.total
    names = ("cancel_shipment", "refund_payment", "release_inventory")
    view.compensations = [CompensationView(name=name, status="failed") for name in names]
    return view


async def sweep(reconciler: Reconciler, client: Any, start: Callable[[str], Awaitable[None]]) -> dict[str, int]:
    """One run; what was found, by kind. A part that fails is logged, and the others still run."""
    now, found = datetime.now(UTC), Counter[str]()
    for part in (reconciler.payments, reconciler.reservations):
        try:
            found += await asyncio.to_thread(part, now)
        except OrderSagaError as fault:
            found["parts_failed"] += 1
            log.warning("the sweep could not look at everything: %s", fault)
    for order in await asyncio.to_thread(reconciler.unfinished, now):
        if not await _is_alive(client, order.order_id):
            found[await _revive(reconciler, order, start)] += 1
    report = dict(sorted(found.items()))
    await asyncio.to_thread(reconciler.report, report)
    if report:
        log.info("sweep: %s", ", ".join(f"{name} {count}" for name, count in report.items()))
    return report


async def _revive(reconciler: Reconciler, order: OrderRecord, start: Callable[[str], Awaitable[None]]) -> str:
    if not await asyncio.to_thread(reconciler.heal, order):
        return "orders_parked"
    await start(order.order_id)
    return "sagas_started"


async def _is_alive(client: Any, order_id: str) -> bool:
    status = await client.get_status(order_id)
    return bool(status) and status.runtime_status.name in ALIVE
