"""`python3 dev.py bench --volume`: many orders, with kills and without, and the growth of memory.

Orders are the five trivial steps of the bench's app and the same undone, in turns, on a devhost and an Azurite of their
own. Under kills, SIGKILL ends devhost (three times of four) or its worker alone at moments that are drawn from a seed,
again and again until every order has ended. Each has to end with the output of an undisturbed order.
"""

import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from devhost.worker_host.supervisor import MAX_DEATHS
from devtools.bench.app.function_app import STEPS
from devtools.bench.stage import Host, Stage, memory_mb, staged

ORDERS, ORDERS_AMONG_KILLS = 5000, 2000
AT_ONCE = 16
OUTPUTS: dict[str, Any] = {"saga": list(STEPS), "twin": "compensated"}
MEMORY_FACTOR = 1.5
ASK_AGAIN_S = 0.1
KILL_AFTER_S = (0.2, 4.0)


@dataclass
class Steady:
    """Orders without kills: MB of each process after the first orders and at the end."""

    orders: int
    seconds: float
    first_mb: dict[str, float]
    last_mb: dict[str, float]

    @property
    def growth(self) -> float:
        """The memory at the end as a multiple of that after the first orders, of the process that grew most."""
        return max(self.last_mb[name] / self.first_mb[name] for name in self.first_mb)

    def __str__(self) -> str:
        memory = ", ".join(f"{name} {self.first_mb[name]:.0f} -> {mb:.0f} MB" for name, mb in self.last_mb.items())
        return f"{self.orders} orders without kills in {self.seconds:.0f} s, all ended; memory: {memory}"


@dataclass
class Killed:
    """Orders under kills. `wrong`: by id, the outputs that differ from an undisturbed order's."""

    orders: int
    ended: int = 0
    host_kills: int = 0
    worker_kills: int = 0
    seconds: float = 0.0
    wrong: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        kills = f"{self.host_kills} kills of devhost and {self.worker_kills} of its worker"
        return (
            f"{self.ended} of {self.orders} orders ended in {self.seconds:.0f} s among {kills}; {len(self.wrong)} wrong"
        )


async def volume(orders: int = ORDERS, among_kills: int = ORDERS_AMONG_KILLS, seed: int = 1) -> tuple[Steady, Killed]:
    """Both runs, each on an Azurite of its own, so that neither reads the other's data."""
    async with staged() as stage:
        steady = await without_kills(stage, orders)
    async with staged() as stage:
        return steady, await with_kills(stage, among_kills, seed)


def shortfalls(steady: Steady, killed: Killed) -> list[str]:
    """The broken promises, as sentences."""
    promises = {
        f"memory grew {steady.growth:.2f} times": steady.growth <= MEMORY_FACTOR,
        f"{killed.orders - killed.ended} orders did not end": killed.ended == killed.orders,
        f"orders ended otherwise than undisturbed ones: {dict(list(killed.wrong.items())[:3])}": not killed.wrong,
        "nothing was killed": killed.host_kills > 0,
    }
    return [shortfall for shortfall, kept in promises.items() if not kept]


async def without_kills(stage: Stage, orders: int, first: int = 100) -> Steady:
    """Memory is measured after the first orders and after all. Raises RuntimeError for an order that fails."""
    start = time.monotonic()
    names = order_names()
    async with stage.host() as host:
        await _at_once(host.orchestrate(next(names)) for _ in range(first))
        first_mb = {name: memory_mb(pid) for name, pid in host.pids.items()}
        await _at_once(host.orchestrate(next(names)) for _ in range(orders - first))
        last_mb = {name: memory_mb(pid) for name, pid in host.pids.items()}
    return Steady(orders, time.monotonic() - start, first_mb, last_mb)


async def with_kills(stage: Stage, orders: int, seed: int) -> Killed:
    """Run hosts of one hub, each until a kill ends it, until every order has ended."""
    report, rng, start = Killed(orders), random.Random(seed), time.monotonic()  # noqa: S311 - nothing secret is drawn
    names, hub = order_names(), f"Volume{secrets.token_hex(4)}"
    open_orders = {f"order-{number:05}": next(names) for number in range(orders)}
    while open_orders:
        async with stage.host(hub) as host, killing(host, rng, report):
            await _live(host, open_orders, report)
    report.seconds = time.monotonic() - start
    return report


def order_names() -> Iterator[str]:
    while True:
        yield from OUTPUTS


@contextlib.asynccontextmanager
async def killing(host: Host, rng: random.Random, report: Killed) -> AsyncIterator[None]:
    """Kill the worker now and then, and the host once. A call whose worker died three times rightly fails, so no more
    than two workers are killed in the life of a host.
    """

    async def kill() -> None:
        spared = MAX_DEATHS - 1
        while True:
            await asyncio.sleep(rng.uniform(*KILL_AFTER_S))
            victim = "worker" if spared and rng.random() < 0.25 else "host"
            spared -= victim == "worker"
            with contextlib.suppress(ProcessLookupError, KeyError, IndexError):  # the worker may be between two lives
                os.kill(host.pids[victim], signal.SIGKILL)
                report.worker_kills += victim == "worker"
                report.host_kills += victim == "host"

    killer = asyncio.create_task(kill())
    try:
        yield
    finally:
        killer.cancel()


async def _live(host: Host, open_orders: dict[str, str], report: Killed) -> None:
    """Place and follow the orders that have not ended, until all have or the host is gone."""

    async def follow(order_id: str, name: str) -> None:
        if host.process.poll() is not None:
            return
        with contextlib.suppress(OSError):
            output = await _output(host, order_id, name)
            del open_orders[order_id]
            report.ended += 1
            if output != OUTPUTS[name]:
                report.wrong[order_id] = output

    await _at_once(follow(*order) for order in list(open_orders.items()))


async def _output(host: Host, order_id: str, name: str) -> Any:
    """Start an order, or find it started by an earlier life, and wait for its end."""
    api = f"{host.url}/runtime/webhooks/durabletask"
    if await _status(host, order_id) is None:
        answer = await host.http.request("POST", f"{api}/orchestrators/{name}/{order_id}", {})
        if answer.status != 202:
            raise RuntimeError(f"{order_id} was not started: {answer.status} {answer.body[:300].decode()}")
    while (status := await _status(host, order_id)) and status["runtimeStatus"] in ("Pending", "Running"):  # noqa: ASYNC110
        await asyncio.sleep(ASK_AGAIN_S)
    return status and status["output"]


async def _status(host: Host, order_id: str) -> Any:
    url = f"{host.url}/runtime/webhooks/durabletask/instances/{order_id}"
    answer = await host.http.request("GET", url, {})
    return None if answer.status == 404 else json.loads(answer.body)


async def _at_once(works: Iterator[Any]) -> None:
    """Run so many jobs at a time: a job starts when an earlier one has ended."""

    async def worker() -> None:
        for work in works:
            await work

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
