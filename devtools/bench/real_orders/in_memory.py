"""The sides of the second table: this tree on an Azurite in memory, empty and full, and the floors of its order."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from devtools.bench.real_orders.against import Side, side_of
from devtools.bench.real_orders.filling import fill
from devtools.bench.real_orders.loads import EMPTY, FLOOR, FULL, LEAST, ORDERS_IN_STORE, Kind
from devtools.bench.real_orders.shop import Shop
from devtools.bench.real_orders.surroundings import Surroundings, hosted, outside
from devtools.bench.stage import Load, cpu_s
from devtools.places import ROOT


@asynccontextmanager
async def started(say: Callable[[str], None]) -> AsyncIterator[dict[str, Side]]:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        empty, full = await _product(stack, session), await _product(stack, session)
        sides = {EMPTY: side_of(empty[1]), FULL: side_of(full[1])}
        for name, calls in ((FLOOR, "own"), (LEAST, "fewest")):
            around = await stack.enter_async_context(outside(webhooks=False))
            sides[name] = await stack.enter_async_context(floor(around, calls))
        say(f"{ORDERS_IN_STORE:,} orders, written straight into the tables")
        await fill(full[0].ports.storage_connection_string, await full[1].ended(), ORDERS_IN_STORE)
        yield sides


async def _product(stack: AsyncExitStack, session: aiohttp.ClientSession) -> tuple[Surroundings, Shop]:
    around = await stack.enter_async_context(outside())
    shop = Shop(await stack.enter_async_context(hosted(around)), session)
    await shop.fill_the_shelf()
    return around, shop


@asynccontextmanager
async def floor(around: Surroundings, calls: str) -> AsyncIterator[Side]:
    """The floor in one process, as one worker is one."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devtools.bench.real_orders.floor_process", calls),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=dict(around.environment),
        cwd=ROOT,
        limit=2**24,
    )
    pids = {"floor": process.pid, **around.pids}

    async def load(_kind: Kind, orders: int, at_once: int) -> Load:
        before, start = _used_s(pids), time.perf_counter()
        latencies = await _run_load(process, {"orders": orders, "at_once": at_once})
        took, after = time.perf_counter() - start, _used_s(pids)
        cpu_ms = {name: (after[name] - before[name]) / orders * 1000 for name in pids}
        return Load(at_once, orders / took, latencies, cpu_ms)

    try:
        await _answer(process)
        yield load
    finally:
        if process.stdin:
            process.stdin.close()
        await process.wait()


def _used_s(pids: Mapping[str, int]) -> dict[str, float]:
    return {name: cpu_s(pid) for name, pid in pids.items()}


async def _run_load(process: asyncio.subprocess.Process, load: Mapping[str, int]) -> list[float]:
    assert process.stdin is not None
    process.stdin.write(json.dumps(load).encode() + b"\n")
    await process.stdin.drain()
    latencies: list[float] = await _answer(process)
    return latencies


async def _answer(process: asyncio.subprocess.Process) -> list[float]:
    """The floor's answer. Raises RuntimeError when the floor has ended."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the floor ended: see above")
    answer: list[float] = json.loads(line)
    return answer
