"""`dev.py bench --against COMMIT`: the rows of `loads.py`, by turns in one run.

The commit is checked out into a folder of its own, which sets itself up as a fresh clone does and is kept for the next
time. The products of a table run at once, on ports and data of their own; each round puts the load of a row on its one
side and then on its other. The result is the median of the rounds' ratios: other load of the machine slows both sides.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from devtools.bench.real_orders.loads import BASE, WORKERS, Kind, Row, Run
from devtools.bench.real_orders.shop import Shop, opened
from devtools.bench.real_orders.table import Pair, Rounds
from devtools.bench.stage import Load, under_load
from devtools.places import ROOT

# Runs orders of a kind, so many in all and so many at once.
Side = Callable[[Kind, int, int], Awaitable[Load]]
# The first hundred orders of an Azurite take twice the CPU of later ones: Node compiles what it runs often.
WARM_UP, WARM_UP_AT_ONCE = 128, 16


def checked_out(commit: str) -> Path:
    """The folder of this commit, beside the other local data. Raises CalledProcessError if it is no commit."""
    revision = subprocess.run(
        ["git", "rev-parse", "--verify", f"{commit}^{{commit}}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    folder = ROOT / ".local" / "against" / revision.stdout.strip()[:12]
    if not folder.exists():
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
    return folder


def side_of(shop: Shop) -> Side:
    async def load(kind: Kind, orders: int, at_once: int) -> Load:
        poll_s = 0.01 if at_once == 1 else 0.05
        return await under_load(lambda: shop.order(kind, poll_s), orders, at_once, shop.pids)

    return load


@asynccontextmanager
async def started(commit: str) -> AsyncIterator[dict[str, Side]]:
    """The sides of the first table, as `dev.py start` runs them."""
    base = checked_out(commit)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        shops = {
            name: await stack.enter_async_context(opened(session, base if name == BASE else ROOT, workers))
            for name, workers in WORKERS.items()
        }
        yield {name: side_of(shop) for name, shop in shops.items()}


async def by_turns(rows: tuple[Row, ...], sides: Mapping[str, Side], rounds: int, say: Callable[[str], None]) -> Rounds:
    results: Rounds = {row: [] for row in rows}
    for name, side in sides.items():
        say(f"{WARM_UP} orders of {name}, to warm up")
        await side(Kind(), WARM_UP, WARM_UP_AT_ONCE)
    for number in range(rounds):
        for row in rows:
            say(f"{row.name}, {row.at_once} at once, round {number + 1} of {rounds}")
            # The sides take turns at going first.
            turns = (row.one, row.other) if number % 2 else (row.other, row.one)
            loads = [await _load(sides, run, row) for run in turns]
            results[row].append(Pair(*(loads if number % 2 else loads[::-1])))
    return results


async def _load(sides: Mapping[str, Side], run: Run, row: Row) -> Load:
    return await sides[run.side](run.kind, row.orders, row.at_once)
