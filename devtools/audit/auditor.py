"""The auditor: decides from outside whether money, stock, labels, mail and the public API agree.

It reads the two ledgers of the sandbox, the stock table, the labels container and the public API, and nothing of the
app. Every finding is a sentence.

It audits in two ways:

- while orders run, `sample` reads the providers, then the API, then the providers again. The API's answer may be a
  moment old, so it is wrong only when it agrees with neither reading;
- at the end, `violations` checks every order, and the totals.

Stock is read row by row, and readers of Azurite see parts of a transaction. A fault of a single row counts at once
(below zero, more reserved than on hand); a sum over rows is wrong when it stays wrong over several readings.

Rejected: comparing with the driver's expectation for each order. Under faults and kills an order may rightly end in
several ways; all witnesses must then agree on the same one.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from devtools.audit.audit_reader import AuditReader
from devtools.audit.claims import broken, sentence_of
from devtools.audit.rules import never, wrong_end
from devtools.audit.witnesses import (
    ENDED,
    NOTHING,
    ApiOrder,
    Facts,
    Row,
    doubled,
    held_by_orders,
    impossible,
)
from models.states import FINAL_STATES

READINGS_OF_A_SUM = 8
ORDERS_A_SAMPLE = 6


@dataclass(eq=False)
class Arrival:
    """Units that a PUT adds to a SKU. `arrived` None: unknown."""

    units: int
    arrived: bool | None = None


class Auditor:
    """`urls`: the content of `urls.json`. Judges the orders that `accepted` named; with `everything`, also every order
    that the API lists or a provider knows, for a product without other users.
    """

    def __init__(self, urls: Mapping[str, Any], *, everything: bool = False) -> None:
        self._everything = everything
        self._reader = AuditReader(urls)
        self._accepted: dict[str, float] = {}
        self._promised: set[str] = set()
        self._ended: dict[str, str] = {}
        self._owned: dict[str, int] = {}
        self._arriving: dict[str, list[Arrival]] = defaultdict(list)
        self._books = threading.Lock()
        self._findings: dict[str, None] = {}
        self.samples = 0

    def close(self) -> None:
        self._reader.close()

    # Calls of the driver, which report the API's promises.

    def accepted(self, order_id: str) -> None:
        """Note that the POST of this order was answered with 202."""
        self._accepted.setdefault(order_id, time.monotonic())

    def cancel_accepted(self, order_id: str) -> None:
        """Note that the cancel was answered with 202: the order has to end cancelled."""
        self._promised.add(order_id)

    @contextmanager
    def restocking(self, sku: str, units: int) -> Iterator[Arrival]:
        """A block around a PUT that adds units. The caller sets `arrived` to the answer; unset means unknown."""
        arrival = Arrival(units)
        with self._books:
            self._arriving[sku].append(arrival)
        yield arrival
        if arrival.arrived is not None:
            with self._books:
                self._arriving[sku].remove(arrival)
                self._owned[sku] += units if arrival.arrived else 0

    def stocked(self, sku: str, units: int) -> None:
        """Note that the SKU began with so many units. Without this call the first reading counts as the beginning."""
        self._owned[sku] = units

    # While orders run.

    def sample(self) -> None:
        """Audit the stock, and a few orders that have not ended. Raises OSError or AzureError while one is down."""
        self._note(self._wrong_stock())
        waiting = [order_id for order_id in self._accepted if order_id not in self._ended]
        for order_id in random.sample(waiting, min(ORDERS_A_SAMPLE, len(waiting))):
            self._sample_order(order_id)
        self.samples += 1

    def _sample_order(self, order_id: str) -> None:
        before = self._reader.facts_of(order_id)
        order = self._reader.order(order_id)
        if order is None:
            return self._note([f"order {order_id} was accepted and is unknown"])
        after = self._reader.facts_of(order_id)
        lies = [claim for claim in broken(order, before) if claim in broken(order, after)]
        self._note(sentence_of(claim, order, after) + " (while it ran)" for claim in lies)
        self._note(never(order_id, after))
        if order.status in FINAL_STATES:
            self._note_end(order)
        return None

    def _note_end(self, order: ApiOrder) -> None:
        before = self._ended.setdefault(order.order_id, order.status)
        if before != order.status:
            self._note([f"order {order.order_id} had ended {before} and says {order.status} now"])

    # At the end.

    @property
    def known(self) -> frozenset[str]:
        """The accepted orders."""
        return frozenset(self._accepted)

    def waiting(self) -> list[str]:
        """Accepted orders that have not ended and are not parked."""
        return [order_id for order_id, order in self._open().items() if order is None or order.status not in ENDED]

    def unfinished(self) -> list[str]:
        """Accepted orders that have not ended, the parked ones included."""
        return [
            order_id for order_id, order in self._open().items() if order is None or order.status not in FINAL_STATES
        ]

    def _open(self) -> dict[str, ApiOrder | None]:
        """The API's view of the orders whose end was not seen before."""
        orders = {order_id: self._reader.order(order_id) for order_id in self._accepted if order_id not in self._ended}
        for each in orders.values():
            if each is not None and each.status in FINAL_STATES:
                self._note_end(each)
        return orders

    def outcomes(self) -> Counter[str]:
        """The number of orders for each final status."""
        orders = (self._reader.order(order_id) for order_id in self._accepted)
        return Counter("unknown" if each is None else each.status for each in orders)

    def violations(self) -> list[str]:
        """Every sentence, of the samples and of the end. Empty: all witnesses agree. Call it when no order runs."""
        self._note(self._wrong_stock())
        labels = self._reader.labels()
        self._note(doubled(labels))
        facts = self._reader.all_facts(dict(labels))
        for order_id in self._orders(facts):
            self._judge(order_id, facts.get(order_id, NOTHING))
        return list(self._findings)

    def _judge(self, order_id: str, facts: Facts) -> None:
        self._note(never(order_id, facts))
        order = self._reader.order(order_id)
        if order is None:
            return self._note([f"order {order_id} is unknown, and its providers know of it or it was accepted"])
        self._note(sentence_of(claim, order, facts) for claim in broken(order, facts))
        self._note(f"order {order_id} {sentence}" for sentence in wrong_end(order, facts))
        if order.status not in ENDED:
            age = time.monotonic() - self._accepted.get(order_id, time.monotonic())
            self._note([f"order {order_id} was accepted {age:.0f} s ago and is {order.status} still"])
        if order_id in self._promised and order.status not in {"cancelled", "needs_attention"}:
            self._note([f"order {order_id} was promised to end cancelled and is {order.status}"])
        if order.status in FINAL_STATES:
            self._note_end(order)
        return None

    def _orders(self, facts: Mapping[str, Facts]) -> list[str]:
        if not self._everything:
            return list(self._accepted)
        return sorted({*self._accepted, *facts, *self._reader.listed()})

    def _note(self, sentences: Iterable[str]) -> None:
        self._findings.update(dict.fromkeys(sentences))

    # Stock.

    def _wrong_stock(self) -> list[str]:
        rows = self._reader.stock_rows()
        wrong = [f"sku {key[4:]} {fault}" for key, row in rows.items() if (fault := impossible(key, row))]
        sums = self._wrong_sums(rows)
        for _ in range(READINGS_OF_A_SUM - 1):
            if not sums:
                break
            time.sleep(0.02)
            again = self._wrong_sums(self._reader.stock_rows())
            sums = {key: sentence for key, sentence in again.items() if key in sums}
        return wrong + list(sums.values())

    def _wrong_sums(self, rows: Mapping[str, Row]) -> dict[str, str]:
        """By SKU and sum: the sentences for sums that are wrong in this reading."""
        held, wrong = held_by_orders(rows), {}
        for key, row in rows.items():
            if not key.startswith("sku:"):
                continue
            sku, reserved, sold = key[4:], held["reserved", key[4:]], held["sold", key[4:]]
            if row["Reserved"] != reserved:
                wrong[f"{sku} reserved"] = f"sku {sku} counts {row['Reserved']} reserved, its orders hold {reserved}"
            here = row["OnHand"] + sold
            if here not in self._possible(sku, here):
                wrong[f"{sku} owned"] = (
                    f"sku {sku}: {row['OnHand']} on hand and {sold} sold make {here}, but there were {self._owned[sku]}"
                )
        return wrong

    def _possible(self, sku: str, here: int) -> set[int]:
        """The possible totals of units: with and without each unknown arrival."""
        with self._books:
            sums = {self._owned.setdefault(sku, here)}
            for arrival in self._arriving[sku]:
                sums |= {each + arrival.units for each in sums}
            return sums
