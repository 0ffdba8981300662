"""`python3 dev.py bench --long-run [N]`: N real orders, and whether the processes have grown since the first 500.

Memory and file descriptors of devhost and of each of its workers are taken after the first 500 orders and after all,
each time when no order is under way. Eight orders of ten succeed, one is declined and one is cancelled. Azurite and the
sandbox are not judged: they keep all their data.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import aiohttp

from devtools.bench.real_orders.loads import CANCELLED, DECLINED, ONE_LINE, Kind
from devtools.bench.real_orders.shop import Shop
from devtools.bench.real_orders.surroundings import hosted, outside
from devtools.bench.stage import memory_mb

ORDERS, FIRST, AT_ONCE = 5000, 500, 16
MEMORY_FACTOR = 1.2
# Connections that more threads needed at once are kept open; the number of threads bounds them.
MORE_DESCRIPTORS = 4
SETTLE_S = 3.0
MIX = (*(ONE_LINE,) * 7, Kind(lines=10), DECLINED, CANCELLED)
LOUD = re.compile(r"\b(WARNING|ERROR|CRITICAL|Traceback)\b")


class Process(NamedTuple):
    """The memory and descriptors of a process."""

    mb: float
    descriptors: int


@dataclass
class LongRun:
    """`first` and `last`: each process by its name, after the first orders and after all. `loud`: log lines."""

    orders: int
    seconds: float
    first: dict[str, Process]
    last: dict[str, Process]
    loud: list[str]

    def __str__(self) -> str:
        held = (
            f"{name} {before.mb:.0f} -> {self.last[name].mb:.0f} MB ({self.last[name].mb / before.mb:.2f}), "
            f"{before.descriptors} -> {self.last[name].descriptors} descriptors"
            for name, before in self.first.items()
            if name in self.last
        )
        return "\n".join([f"{self.orders} orders in {self.seconds:.0f} s, {len(self.loud)} loud log lines", *held])

    def shortfalls(self) -> list[str]:
        """The broken promises, as sentences."""
        faults = [f"the log says: {line}" for line in self.loud[:3]]
        if self.first.keys() != self.last.keys():
            faults.append(f"other processes run: {sorted(self.first)} and then {sorted(self.last)}")
        for name in self.first.keys() & self.last.keys():
            before, after = self.first[name], self.last[name]
            if after.mb > MEMORY_FACTOR * before.mb:
                faults.append(f"{name} took {after.mb / before.mb:.2f} times the memory")
            if after.descriptors > before.descriptors + MORE_DESCRIPTORS:
                faults.append(f"{name} held {after.descriptors - before.descriptors} more descriptors")
        return faults


async def long_run(orders: int = ORDERS, first: int = FIRST) -> LongRun:
    """Raises RuntimeError for an order with another end than planned, and where no process can be measured."""
    kinds, start = itertools.cycle(MIX), time.monotonic()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, outside() as around, hosted(around) as urls:
        shop = Shop(urls, session)
        await shop.fill_the_shelf()
        await _place(shop, itertools.islice(kinds, first))
        before = await _settled(shop, around.pids)
        await _place(shop, itertools.islice(kinds, orders - first))
        after = await _settled(shop, around.pids)
        loud = [line for name in ("devhost", "payments", "mail") for line in loud_lines(around.folder / f"{name}.log")]
    return LongRun(orders, time.monotonic() - start, before, after, loud)


async def _place(shop: Shop, kinds: Iterator[Kind]) -> None:
    async def customer() -> None:
        for kind in kinds:
            await shop.order(kind)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(customer())


async def _settled(shop: Shop, others: Mapping[str, int]) -> dict[str, Process]:
    """devhost and its workers, once the last webhooks are handled."""
    await asyncio.sleep(SETTLE_S)
    judged = {name: pid for name, pid in shop.pids.items() if name not in others}
    return {name: Process(memory_mb(pid), descriptors(pid)) for name, pid in judged.items()}


def descriptors(pid: int) -> int:
    """Open file descriptors, by Linux's account; 0 elsewhere."""
    folder = Path(f"/proc/{pid}/fd")
    return sum(1 for _ in folder.iterdir()) if folder.exists() else 0


def loud_lines(log: Path) -> list[str]:
    """The log lines of WARNING and above."""
    with log.open(encoding="utf-8", errors="replace") as lines:
        return [line.strip() for line in lines if LOUD.search(line)]
