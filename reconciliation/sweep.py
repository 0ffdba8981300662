"""The sweep: finds what no live saga looks after, and heals or parks it. Runs on a timer; idempotent; bounded per run.

It finds:

- an order that was accepted and never started (the process died between record and start);
- an order whose saga is gone (terminated, purged or failed behind our back): its saga is started again, and finds in
  the record how far it was and in which direction; after `MAX_HEALINGS` times it is parked;
- a saga that still waits although the record has its answer (the process died before the event): it is woken;
- a captured payment whose order has ended without it: given back;
- reserved stock whose order has ended: released, or sold when the order was completed;
- an index entry that lags behind its record, lies where older code wrote it, or never got a record.

Each order is handled alone: one that cannot be mended is counted, is named in the log and in the report, and blocks no
other. A run looks at `LIMIT` unfinished orders and at a part of the reservations. The next run starts after them, so
none waits for ever behind others. Orders that have ended make no run longer. The sweep decides nothing that a live saga
decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol

from models.errors import OrderSagaError
from models.operations.alerts import alert_key, is_overdue, note_sent
from models.operations.order_list import EndedCounts, Entries, IndexEntry, Standing
from models.order_record import Change, OrderRecord, note_healed, note_refund, park
from models.states import COMPENSATION_NAMES, REFUND_PAYMENT, RELEASE_INVENTORY
from models.stock import Held
from models.view import CompensationView, OrderView, fresh_view

log = logging.getLogger(__name__)

LIMIT, DAYS, MAX_HEALINGS = 200, 14, 5
# An order younger than this may still be between its record and its start, or between its record and an event.
GRACE = timedelta(seconds=30)
# A `POST` that takes longer than this no longer writes its record.
ORPHANED_AFTER = timedelta(hours=24)
PAYMENTS_WINDOW = timedelta(hours=2)
RESERVED_FOR = timedelta(minutes=5)
ALIVE = frozenset({"Pending", "Running", "Suspended", "ContinuedAsNew"})

# Logged once a run, for the alerts: their queries in infra/app/alerts.bicep take these lines apart.
STANDING = "orders report: unfinished %d, parked %d, awaiting approval %d, oldest without a person %d s"
REPORT = "sweep report: payments without order %d, not mended %d, parts failed %d"

Rule = ParamSpec("Rule")
Look = Callable[[], str | None]


class Orders(Protocol):
    def find(self, order_id: str) -> OrderRecord | None: ...

    def change(
        self,
        order: OrderRecord,
        rule: Callable[Concatenate[OrderRecord, Rule], Change | None],
        *args: Rule.args,
        **kwargs: Rule.kwargs,
    ) -> OrderRecord: ...


class Index(Protocol):
    def unfinished(self, after: str | None, limit: int) -> tuple[IndexEntry, ...]:
        """Entries of unfinished orders in the order of their keys, beginning after the key `after`."""

    def unfinished_of_day(self, day: date, after: str | None, limit: int) -> Entries:
        """Entries of unfinished orders that older code wrote into the partition of their day: a part of the day."""

    def standing(self, now: datetime) -> Standing:
        """How the unfinished orders stand; bounded."""

    def ended_of_day(self, day: date) -> EndedCounts:
        """The ended orders of a day, counted by state; bounded."""

    def put_right(self, entry: IndexEntry, record: OrderRecord) -> None:
        """Write the index row from the record, and delete an entry at another place."""

    def drop(self, partition: str, key: str) -> None: ...


class Payments(Protocol):
    def recent(self, since: datetime, limit: int) -> list[tuple[str, str]]:
        """(order id, intent id) of captured payments."""

    def give_back(self, order_id: str, intent_id: str) -> str | None: ...


class Stock(Protocol):
    def reservations(self, before: datetime, after: str | None, limit: int) -> Held:
        """Orders that have held stock since before then: a part of them, beginning after the order `after`."""

    def release(self, order_id: str) -> None: ...

    def sell(self, order_id: str) -> None: ...


class Alerts(Protocol):
    def send(self, order: OrderRecord) -> None:
        """Alert the shop that the order waits for a person. Raises Unavailable unless the receiver accepted it."""


class Place(NamedTuple):
    """Where the next run starts: after the key `after` of the unfinished orders, after the key `day_after` of the older
    entries of `day`, and after the reservation of the order `held_after`."""

    after: str | None = None
    day: date | None = None
    day_after: str | None = None
    held_after: str | None = None


class Reports(Protocol):
    def place(self) -> Place: ...

    def note(
        self, counts: Mapping[str, int], not_mended: Sequence[str], place: Place, ended: EndedCounts | None
    ) -> None: ...


class Sagas(NamedTuple):
    """`status` raises Unavailable if the host does not say whether there is a saga: then none is started."""

    status: Callable[[str], Awaitable[Any]]
    start: Callable[[str], Awaitable[None]]
    wake: Callable[[str, str], Awaitable[bool]]


class Findings:
    """The findings of a run, by kind, and the orders that it could not mend."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.not_mended: list[str] = []

    async def take(self, order_id: str, look: Awaitable[str | None]) -> None:
        """Wait for one look. An exception concerns this order only."""
        try:
            finding = await look
        except Exception as fault:
            self.counts["not_mended"] += 1
            self.not_mended.append(order_id)
            log.warning("the sweep could not mend order %s: %s", order_id, _words(fault))
        else:
            self.counts.update([finding] if finding else [])

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part of a run that fails is logged, and the others still run."""
        try:
            yield
        except Exception as fault:
            self.counts["parts_failed"] += 1
            log.warning("the sweep could not look at everything: %s", _words(fault))


def _words(fault: Exception) -> str:
    """The text of our own errors; of any other exception the type only, because its text may quote personal data."""
    return str(fault) if isinstance(fault, OrderSagaError) else type(fault).__name__


class Reconciler:
    """Compares the order records with the providers and the index, one finding at a time. Blocking; safe to repeat."""

    def __init__(
        self, orders: Orders, index: Index, payments: Payments, stock: Stock, alerts: Alerts | None = None
    ) -> None:
        self._orders, self._index, self._payments, self._stock = orders, index, payments, stock
        self._alerts = alerts

    def settle_payment(self, order: OrderRecord) -> bool:
        """Give back the money of an order that ended without it. True when something was given back."""
        ended_without = order.is_final and order.state != "completed" and REFUND_PAYMENT not in order.resolved
        if not ended_without or order.payment_intent_id is None or order.refund_id is not None:
            return False
        refund_id = self._payments.give_back(order.order_id, order.payment_intent_id)
        if refund_id is None:
            return False
        self._orders.change(order, note_refund, refund_id)
        log.warning("order %s had ended %s and was charged all the same: refunded", order.order_id, order.state)
        return True

    def payments(self, now: datetime) -> list[tuple[str, Look]]:
        """A look at each captured payment, with the order that it names."""
        recent = self._payments.recent(now - PAYMENTS_WINDOW, LIMIT)
        return [(order_id, partial(self._payment, order_id, intent_id)) for order_id, intent_id in recent]

    def _payment(self, order_id: str, intent_id: str) -> str | None:
        order = self._orders.find(order_id)
        if order is None:
            log.warning("payment %s names order %s, which has no record", intent_id, order_id)
            return "payments_without_order"
        return "payments_given_back" if self.settle_payment(order) else None

    def reservations(self, now: datetime, place: Place) -> tuple[list[tuple[str, Look]], Place]:
        """A look at each order that has held stock for long, in a part of the stock; and where the next run starts."""
        held = self._stock.reservations(now - RESERVED_FOR, place.held_after, LIMIT)
        looks: list[tuple[str, Look]] = [(each, partial(self._reservation, each)) for each in held.order_ids]
        return looks, place._replace(held_after=held.after)

    def _reservation(self, order_id: str) -> str | None:
        order = self._orders.find(order_id)
        if order is not None and order.state == "completed":
            self._stock.sell(order_id)
            return "reservations_sold"
        if order is None or (order.is_final and RELEASE_INVENTORY not in order.resolved):
            self._stock.release(order_id)
            return "reservations_released"
        return None

    def unfinished(self, place: Place, today: date) -> tuple[list[IndexEntry], Place]:
        """The entries to look at in this run, and where the next one starts."""
        entries = self._index.unfinished(place.after, LIMIT)
        day = place.day or today
        older = self._index.unfinished_of_day(day, place.day_after, LIMIT)
        after = entries[-1].key if len(entries) == LIMIT else None
        following = Place(after, day if older.after else day - timedelta(days=1), older.after, place.held_after)
        if (today - (following.day or today)).days >= DAYS:
            following = Place(after, held_after=place.held_after)
        return [*entries, *older.entries], following

    def standing(self, now: datetime) -> Standing:
        """The counts that the alerts of infra/app/alerts.bicep read in the log."""
        return self._index.standing(now)

    def ended(self, today: date) -> EndedCounts:
        """Today's ended orders by state. The dashboard shows this count and does not count by itself."""
        return self._index.ended_of_day(today)

    def current(self, entry: IndexEntry, now: datetime) -> OrderRecord | None:
        """The record of an order that must have a saga, else None. Also mends the index row and sends a late alert."""
        record = self._orders.find(entry.order_id)
        if record is None:
            if entry.accepted_at < now - ORPHANED_AFTER:
                self._index.drop(entry.partition, entry.key)
            return None
        self._index.put_right(entry, record)
        if self._alerts is not None and is_overdue(record, now - GRACE):
            record = self._send_overdue_alert(record, self._alerts)
        return record if record.needs_saga and record.accepted_at < now - GRACE else None

    def _send_overdue_alert(self, record: OrderRecord, alerts: Alerts) -> OrderRecord:
        """Send an alert that was not sent in time. If sending fails, the next run tries again."""
        try:
            alerts.send(record)
        except OrderSagaError as fault:
            log.warning("the sweep could not send an alert: %s", fault)
            return record
        return self._orders.change(record, note_sent, alert_key(record) or "")

    def heal(self, order: OrderRecord) -> bool:
        """Count one more start of the order's saga. False: there were `MAX_HEALINGS`, and the order is parked now."""
        if order.healed < MAX_HEALINGS:
            self._orders.change(order, note_healed, order.healed + 1)
            return True
        self._orders.change(order, park, parked_view(order).as_json())
        log.error("order %s: its saga ended %d times without an outcome; it is parked", order.order_id, order.healed)
        return False


def parked_view(order: OrderRecord) -> OrderView:
    """The view of an order whose progress is unknown: every undo waits for an operator."""
    view = fresh_view(order.order_id, "needs_attention")
    view.total = order.total
    view.compensations = [CompensationView(name=name, status="failed") for name in COMPENSATION_NAMES]
    return view


async def sweep(reconciler: Reconciler, sagas: Sagas, reports: Reports) -> dict[str, int]:
    """Do one run. Returns how much it found of each kind."""
    now, findings, place = datetime.now(UTC), Findings(), Place()
    ended: EndedCounts | None = None
    with findings.part():
        place = await asyncio.to_thread(reports.place)
    with findings.part():
        for order_id, look in await asyncio.to_thread(reconciler.payments, now):
            await findings.take(order_id, asyncio.to_thread(look))
    with findings.part():
        looks, place = await asyncio.to_thread(reconciler.reservations, now, place)
        for order_id, look in looks:
            await findings.take(order_id, asyncio.to_thread(look))
    with findings.part():
        entries, place = await asyncio.to_thread(reconciler.unfinished, place, now.date())
        for entry in entries:
            await findings.take(entry.order_id, _look_after(reconciler, sagas, entry, now))
        ended = await asyncio.to_thread(reconciler.ended, now.date())
    with findings.part():
        log.info(STANDING, *await asyncio.to_thread(reconciler.standing, now))
    counts = dict(sorted(findings.counts.items()))
    await asyncio.to_thread(reports.note, counts, findings.not_mended, place, ended)
    log.info(REPORT, *(counts.get(name, 0) for name in ("payments_without_order", "not_mended", "parts_failed")))
    if counts:
        log.info("sweep: %s", ", ".join(f"{name} {count}" for name, count in counts.items()))
    return counts


async def _look_after(reconciler: Reconciler, sagas: Sagas, entry: IndexEntry, now: datetime) -> str | None:
    """Start the saga of an unfinished order if it has none; wake the saga if it missed its event."""
    order = await asyncio.to_thread(reconciler.current, entry, now)
    if order is None:
        return None
    status = await sagas.status(order.order_id)
    if status is not None and status.runtime_status.name in ALIVE:
        event = missed_event(order, status.custom_status, now)
        return "sagas_woken" if event and await sagas.wake(order.order_id, event) else None
    if not await asyncio.to_thread(reconciler.heal, order):
        return "orders_parked"
    await sagas.start(order.order_id)
    return "sagas_started"


def missed_event(order: OrderRecord, custom_status: object, now: datetime) -> str | None:
    """The event that the saga still waits for although the record has its cause. None: it missed none.

    The API first writes a retry or an approval to the record, and then raises the event. The process can die between
    the two. A needless event is harmless: each wait has an event name of its own.
    """
    if order.changed_at is None or order.changed_at > now - GRACE:
        return None
    if order.state == "awaiting_approval" and order.approval is not None:
        return order.approval.wake if order.approval.verdict or order.cancel_requested else None
    shown = custom_status.get("status") if isinstance(custom_status, dict) else None
    if order.state == "compensating" and shown == "needs_attention":
        return f"attention:{order.attention}"
    return None
