"""The chaos run: a product that its users start, and everything that can go wrong with it, drawn from a seed.

A run is a sequence of lives. In each, customers place and cancel orders, the shop restocks, operators look after what
waits for them, and the providers follow a plan of faults. Each life but the last ends by a death: SIGKILL of devhost at
a random moment, SIGKILL by a provider that has just committed, or Azurite stopped (SIGTERM) under the running host.
Meanwhile single workers are killed, and the host replaces them. The last life has no faults: it lasts until every order
has ended. Then the auditor judges.

What is drawn from the seed is what customers do, the faults and the manner of each death. The moments are the
machine's: two runs of one seed are alike, not equal.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from azure.core.exceptions import AzureError

from devtools import printing
from devtools.audit.auditor import Auditor
from devtools.audit.witnesses import ENDED
from devtools.processes.http import fetch
from tests.proof.crashes import customers
from tests.proof.report import Report
from tests.support.product import Product

AWAY = (OSError, AzureError)
ORDERS_A_LIFE = 8
SETTINGS = {
    # Several, so that what only the lock of one process protects would show.
    "FUNCTIONS_WORKER_PROCESS_COUNT": "3",
    "STEP_RETRY_SECONDS": "8",
    "UNDO_RETRY_SECONDS": "8",
    "SWEEP_SCHEDULE": "*/10 * * * * *",
    "APPROVAL_THRESHOLD_MINOR": "3500",
    "APPROVAL_DEADLINE": "15",
}
# SKU: units at first, price. Some are scarce, so that orders are refused; they are restocked.
STOCK = {
    "ELM-STOOL": (400, 1000),
    "TIN-LANTERN": (400, 700),
    "CORK-TRAY": (400, 1300),
    "RARE-CLOCK": (5, 2500),
    "RARE-VASE": (3, 900),
}
MIX = customers.Mix()
# What may fail, by process; what is named twice fails twice as often.
OPERATIONS = {
    "payments": (
        "payment_methods.retrieve",
        "payment_intents.create",
        "payment_intents.confirm",
        "payment_intents.confirm",
        "payment_intents.retrieve",
        "payment_intents.cancel",
        "refunds.create",
        "refunds.create",
        "refunds.list",
    ),
    "mail": ("email.send", "email.send", "push.send"),
}
# Who kills: only what most orders meet, for a killer whom nobody meets kills nobody.
KILLERS = (
    ("payments", "payment_methods.retrieve"),
    ("payments", "payment_intents.create"),
    ("payments", "payment_intents.confirm"),
    ("payments", "payment_intents.cancel"),
    ("payments", "refunds.create"),
    ("mail", "email.send"),
)
KINDS = (
    "error_before_commit",
    "drop_before_commit",
    "drop_after_commit",
    "error_after_commit",
    "hold",
    "hold_then_commit",
    "refuse",
)
RULES = {"payments": 5, "mail": 2}
# How lives end, in turn. The one that ends with Azurite is long enough for an effect that comes after a time-out.
MANNERS = ("provider", "random", "random", "azurite", "provider", "random", "random", "random")
LONG_LIFE_S = 20.0
SECONDS_A_WORKER = 3.0
RAISED = re.compile(r"The function '\w+' raised")
KILLED = re.compile(r"devhost ended by itself \(killed by SIGKILL\)")


class Life:
    """What is to happen in one life, by the moment: seconds after the product was ready."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._since = time.monotonic()

    def at(self, moment: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._due, (moment, next(self._numbers), act))

    def soon(self, seconds: float, act: Callable[[], object]) -> None:
        self.at(self.age + seconds, act)

    def every(self, seconds: float, act: Callable[[], object]) -> None:
        def act_and_again() -> None:
            self.soon(seconds, act_and_again)
            act()

        self.soon(seconds, act_and_again)

    @property
    def age(self) -> float:
        return time.monotonic() - self._since

    def due(self) -> Iterator[Callable[[], object]]:
        while self._due and self._due[0][0] <= self.age:
            yield heapq.heappop(self._due)[2]


def drawn_rule(rng: random.Random, target: str) -> dict[str, Any]:
    """One fault of a plan for "payments" or "mail"."""
    fault = rng.choice(KINDS)
    rule: dict[str, Any] = {"operation": rng.choice(OPERATIONS[target]), "fault": fault}
    rule["probability"] = round(rng.uniform(0.1, 0.4), 2)
    rule["times"] = rng.choice((1, 2, 3, 8))
    if fault.startswith("hold"):
        rule["delay_s"] = rng.choice((0.5, 2, 3, 12))
    return rule


class Chaos:
    """One run on a product that was not started yet. `say` prints how it goes."""

    def __init__(
        self,
        data: Path,
        port: int,
        orders: int,
        seed: int,
        *,
        deaths: int | None = None,
        say: Callable[[str], None] = printing.say,
    ) -> None:
        self.report = Report(orders, seed)
        self._rng = random.Random(seed)
        self._product = Product(data, port, **SETTINGS)
        self._orders = customers.draw(self._rng, f"s{seed}", orders, list(STOCK), MIX)
        self._deaths = deaths if deaths is not None else max(3, -(-orders // ORDERS_A_LIFE))
        self._say = say
        self._auditor: Auditor | None = None
        self._unplaced: list[customers.Order] = []
        self._uncancelled: list[str] = []
        self._died_at: float | None = None
        self._views: dict[str, Any] = {}
        self._broken: list[str] = []

    def run(self) -> Report:
        since = time.monotonic()
        try:
            self._product.start()
            with closing(Auditor(self._product.urls, everything=True)) as self._auditor:
                self._stock()
                for number in range(self._deaths):
                    self._live(number)
                self._settle()
                self.report.violations = self._broken + self._raised() + self._auditor.violations()
                self.report.outcomes = self._auditor.outcomes()
                self.report.samples = self._auditor.samples
        finally:
            self._product.end()
        self.report.kills = self._kills()
        self.report.seconds = time.monotonic() - since
        return self.report

    @property
    def auditor(self) -> Auditor:
        assert self._auditor is not None, "the run has begun"
        return self._auditor

    @property
    def urls(self) -> dict[str, Any]:
        return self._product.urls

    def _stock(self) -> None:
        for sku, (units, price) in STOCK.items():
            body = {"on_hand": units, "price_minor": price, "currency": "gbp"}
            answer = fetch(f"{self.urls['host']}/api/inventory/{sku}", "PUT", body)
            assert answer.status == 201, answer.body
            self.auditor.stocked(sku, units)

    # One life.

    def _live(self, number: int) -> None:
        life, urls = Life(), self.urls
        share = -(-len(self._orders) // self._deaths)
        placing = self._unplaced + self._orders[number * share : (number + 1) * share]
        self._unplaced = []
        length = LONG_LIFE_S if MANNERS[number % len(MANNERS)] == "azurite" else self._rng.uniform(4, 9)
        for order in placing:
            life.at(self._rng.uniform(0, length * 0.9), partial(self._place, life, urls, order))
        for order_id in self._uncancelled:
            life.at(0, partial(self._cancel, urls, order_id))
        self._uncancelled = []
        self._look_around(life, urls)
        self._kill_workers(life, urls["pids"]["devhost"], length)
        executioner = self._die(number, urls, length)
        while self._is_up():
            self._do_what_is_due(life)
            time.sleep(0.02)
        died_at = time.monotonic()
        executioner.cancel()  # where somebody else was quicker: its process id may soon be another's
        self._product.ended(120)
        # What was due and did not happen any more is for the next life.
        self._unplaced += [order for order in placing if order.order_id not in self.auditor.known]
        self._rise(died_at)
        self._say(f"death {number + 1} of {self._deaths}: {len(self.auditor.known)} orders accepted")

    def _look_around(self, life: Life, urls: dict[str, Any]) -> None:
        life.every(1.0, self.auditor.sample)
        life.every(2.0, partial(self._operate, urls))
        life.every(1.5, partial(self._restock, urls))
        life.every(0.3, partial(self._watch_recovery, urls))

    def _do_what_is_due(self, life: Life) -> None:
        for act in life.due():
            try:
                act()
            except AWAY:  # the product is dying or away; who acted asks again in the next life
                time.sleep(0.05)
            except AssertionError as unexpected:
                self._broken.append(str(unexpected))

    def _is_up(self) -> bool:
        return (self._product.data / "urls.json").exists()

    def _die(self, number: int, urls: dict[str, Any], length: float) -> threading.Timer:
        """Arrange the faults of this life, and its end: by what is returned, unless a provider is quicker."""
        manner = MANNERS[number % len(MANNERS)]
        pid = urls["pids"]["devhost"]
        rules = {
            target: [drawn_rule(self._rng, target) for _ in range(number_of_rules)]
            for target, number_of_rules in RULES.items()
        }
        if manner == "provider":
            target, operation = self._rng.choice(KILLERS)
            killing = {"operation": operation, "fault": "kill_after_commit", "kill_pid": pid, "times": 1}
            rules[target].insert(0, killing | {"probability": 0.4})
        for target, each in rules.items():
            self._product.faults(target, *each, seed=self._rng.randrange(2**31))
        victim = urls["pids"]["azurite"] if manner == "azurite" else pid
        number_of_signal = signal.SIGTERM if manner == "azurite" else signal.SIGKILL
        late = length + (3 if manner == "provider" else 0)
        self.report.azurite_stops += manner == "azurite"
        executioner = threading.Timer(late, self._kill, (victim, number_of_signal))
        executioner.daemon = True
        executioner.start()
        return executioner

    def _kill_workers(self, life: Life, host: int, length: float) -> None:
        """One worker in the first second of this life, and one for each few seconds of it."""
        later = (self._rng.uniform(0, length) for _ in range(round(length / SECONDS_A_WORKER)))
        for moment in (self._rng.uniform(0, 1), *later):
            life.at(moment, partial(self._kill_a_worker, host))

    def _kill_a_worker(self, host: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # the host, or this worker, was quicker
            if workers := psutil.Process(host).children():
                self._rng.choice(workers).kill()
                self.report.worker_kills += 1

    def _kill(self, pid: int, number: int) -> None:
        """By a thread of its own, so that it falls into the middle of requests."""
        with contextlib.suppress(ProcessLookupError):  # a provider was quicker
            os.kill(pid, number)

    def _rise(self, died_at: float) -> None:
        """Start again; the plan of faults is still there, and says what of it came to pass."""
        self._product.start()
        self.report.downtimes_s.append(time.monotonic() - died_at)
        self._count_faults()
        views = {order_id: self._view(self.urls, order_id) for order_id in self.auditor.unfinished()[:8]}
        self._views = {key: view for key, view in views.items() if view["status"] not in {*ENDED, "awaiting_approval"}}
        self._died_at = died_at if self._views else None

    def _count_faults(self) -> None:
        for target in RULES:
            plan = fetch(f"{self.urls[target]}/sandbox/faults").json()
            for rule, fired in zip(plan["rules"], plan["fired"], strict=True):
                self.report.faults[rule["fault"]] += fired

    # What people do.

    def _place(self, life: Life, urls: dict[str, Any], order: customers.Order) -> None:
        customers.place(urls, self.auditor, order)
        if order.repeated:
            life.soon(self._rng.uniform(0, 3), partial(customers.place, urls, self.auditor, order))
        if order.cancel_after is not None:
            life.soon(order.cancel_after, partial(self._cancel, urls, order.order_id))

    def _cancel(self, urls: dict[str, Any], order_id: str) -> None:
        try:
            self.report.cancels_promised += customers.cancel(urls, self.auditor, order_id)
        except AWAY:
            self._uncancelled.append(order_id)
            raise

    def _operate(self, urls: dict[str, Any]) -> None:
        self.report.operator_actions += customers.look_after(urls, self._rng)

    def _restock(self, urls: dict[str, Any]) -> None:
        sku = self._rng.choice([sku for sku in STOCK if sku.startswith("RARE")])
        customers.restock(urls, self.auditor, sku, self._rng.choice((1, 2)))

    def _watch_recovery(self, urls: dict[str, Any]) -> None:
        """After a death, until an order that was under way when the host was up again has moved."""
        if self._died_at is None:
            return
        if any(self._view(urls, order_id) != view for order_id, view in self._views.items()):
            self.report.recoveries_s.append(time.monotonic() - self._died_at)
            self._died_at = None

    def _view(self, urls: dict[str, Any], order_id: str) -> Any:
        return fetch(f"{urls['host']}/api/orders/{order_id}").json()

    # The end.

    def _settle(self, patience: float = 240) -> None:
        """No faults, no deaths: until every order has ended, operators helping."""
        urls = self.urls
        for target in RULES:
            self._product.faults(target)
        life = Life()
        for order in self._unplaced:
            life.at(0, partial(self._place, life, urls, order))
        for order_id in self._uncancelled:
            life.at(0, partial(self._cancel, urls, order_id))
        self._look_around(life, urls)
        while life.age < 3 or (self.auditor.unfinished() and life.age < patience):
            self._do_what_is_due(life)
            time.sleep(0.2)

    def _raised(self) -> list[str]:
        """No function of the app may raise over HTTP, whatever fails around it."""
        return sorted(set(RAISED.findall(self._product.output())))

    def _kills(self) -> Counter[str]:
        """As `dev.py start` told them."""
        killed = len(KILLED.findall(self._product.output()))
        by_providers = self.report.faults["kill_after_commit"]
        return Counter({"by a provider": by_providers, "at random": killed - by_providers})
