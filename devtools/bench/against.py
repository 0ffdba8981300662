"""`dev.py bench --against COMMIT`: the real order saga of this tree and of a commit, by turns in one run.

The commit is checked out into a folder of its own, which sets itself up as a fresh clone does and is kept for the next
time. Both products run at once, on ports and data of their own; each round puts the same load on the one and then on
the other. What counts is the median of the rounds' ratios: a machine that is busy with something else is so for both.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from devtools.bench.shop import Kind, Shop, opened
from devtools.bench.stage import Load, median, under_load
from devtools.places import ROOT

ROUNDS = 3


class Case(NamedTuple):
    """One row of the table."""

    name: str
    kind: Kind
    at_once: int
    orders: int


CASES = (
    Case("one line", Kind(), 1, 16),
    Case("one line", Kind(), 16, 48),
    Case("one line", Kind(), 64, 96),
    Case("one line, spread", Kind(spread=True), 64, 96),
    Case("ten lines", Kind(lines=10), 16, 32),
    Case("declined", Kind(declined=True), 16, 48),
)


class Pair(NamedTuple):
    """The same load on this tree and on the other."""

    this: Load
    other: Load

    def ratio(self, figure: Callable[[Load], float]) -> float:
        return figure(self.this) / figure(self.other)


def rate(load: Load) -> float:
    return load.per_second


def p50(load: Load) -> float:
    return load.percentile_ms(50)


def cpu(load: Load) -> float:
    return sum(load.cpu_ms.values())


def checked_out(commit: str) -> Path:
    """The folder of this commit, beside the other local data. Raises CalledProcessError for what is no commit."""
    told = subprocess.run(
        ["git", "rev-parse", "--verify", f"{commit}^{{commit}}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    folder = ROOT / ".local" / "against" / told.stdout.strip()[:12]
    if not folder.exists():
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
    return folder


async def measure(commit: str, say: Callable[[str], None], rounds: int = ROUNDS) -> dict[Case, list[Pair]]:
    found: dict[Case, list[Pair]] = {case: [] for case in CASES}
    say(f"against {commit}, which sets itself up the first time")
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        opened(session, checked_out(commit)) as other,
        opened(session) as this,
    ):
        for shop in (other, this):
            await under_load(shop.order, 8, 8, {})
        for number in range(rounds):
            for case in CASES:
                say(f"{case.name}, {case.at_once} at once, round {number + 1} of {rounds}")
                # The one that begins takes turns too.
                loads = [await _load(shop, case) for shop in ((this, other) if number % 2 else (other, this))]
                found[case].append(Pair(*(loads if number % 2 else loads[::-1])))
    return found


async def _load(shop: Shop, case: Case) -> Load:
    poll_s = 0.01 if case.at_once == 1 else 0.05
    return await under_load(lambda: shop.order(case.kind, poll_s), case.orders, case.at_once, shop.pids)


def table(commit: str, found: dict[Case, list[Pair]]) -> str:
    return "\n".join(_lines(commit, found))


def _lines(commit: str, found: dict[Case, list[Pair]]) -> Iterator[str]:
    yield f"this tree against {commit}: medians of {len(next(iter(found.values())))} rounds, by turns"
    heads = (("orders/s", 17), ("p50 ms", 15), ("CPU ms an order", 17))
    yield f"{'':20}{'at once':>8}" + "".join(f"{head:>{width}}{'ratio':>7}" for head, width in heads)
    for case, pairs in found.items():
        columns = "".join(_column(pairs, *column) for column in ((rate, 17, 1), (p50, 15, 0), (cpu, 17, 0)))
        yield f"{case.name:20}{case.at_once:8}{columns}"


def _column(pairs: list[Pair], figure: Callable[[Load], float], width: int, digits: int) -> str:
    this, other = (median([figure(load) for load in loads]) for loads in zip(*pairs, strict=True))
    both = f"{this:.{digits}f} / {other:.{digits}f}"
    return f"{both:>{width}}{median([pair.ratio(figure) for pair in pairs]):7.2f}"


def as_json(found: dict[Case, list[Pair]]) -> list[dict[str, Any]]:
    """One entry a case: its rounds, and the ratios."""
    return [
        {
            "case": case.name,
            "at_once": case.at_once,
            "ratios": {figure.__name__: median([pair.ratio(figure) for pair in pairs]) for figure in (rate, p50, cpu)},
            "cpu_ms": {"this": pairs[-1].this.cpu_ms, "other": pairs[-1].other.cpu_ms},
        }
        for case, pairs in found.items()
    ]
