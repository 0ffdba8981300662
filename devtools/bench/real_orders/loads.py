"""The table of loads of `dev.py bench --against COMMIT`, and the two sides of each.

Each row puts the same load on two sides by turns, and the result is the ratio. The first table compares with the base
commit, or with one worker of this tree, as `dev.py start` runs them. The second table measures this tree alone, on an
Azurite in memory: there, 10,000 orders are not written to a disk over and over, so the figures are the product's cost.
"""

from __future__ import annotations

from typing import NamedTuple

HOT, SPREAD = "BENCH-CHAIR", [f"BENCH-{number}" for number in range(64)]


class Kind(NamedTuple):
    """A kind of order: its number of lines, whether its first line is of one hot article, and its planned end."""

    lines: int = 1
    spread: bool = False
    end: str = "completed"


ONE_LINE = Kind()
DECLINED, CANCELLED = Kind(end="compensated"), Kind(end="cancelled")
KINDS = {"one line": ONE_LINE, "ten lines": Kind(lines=10), "declined": DECLINED, "cancelled": CANCELLED}

# The sides of the first table, with their workers. Those of the second are named in `in_memory.py`.
THIS, BASE, TWO, THREE = "this", "base", "two", "three"
EMPTY, FULL, FLOOR, LEAST = "empty", "full", "floor", "least"
WORKERS = {THIS: 1, BASE: 1, TWO: 2, THREE: 3}
ORDERS_IN_STORE = 10_000


class Run(NamedTuple):
    """Orders of one kind on one side."""

    side: str
    kind: Kind = ONE_LINE


class Row(NamedTuple):
    """One row of a table: `orders` on the one side and on the other, `at_once` at a time."""

    name: str
    at_once: int
    orders: int
    one: Run
    other: Run


def _with_base(name: str, at_once: int, orders: int, kind: Kind) -> Row:
    return Row(name, at_once, orders, Run(THIS, kind), Run(BASE, kind))


AGAINST_BASE = (
    _with_base("one line", 1, 16, ONE_LINE),
    _with_base("one line", 16, 48, ONE_LINE),
    _with_base("one line", 64, 96, ONE_LINE),
    _with_base("one line, spread", 64, 96, Kind(spread=True)),
    _with_base("ten lines", 16, 32, Kind(lines=10)),
    _with_base("declined", 16, 48, DECLINED),
    _with_base("cancelled", 16, 48, CANCELLED),
    Row("2 workers / 1 of base", 16, 64, Run(TWO), Run(BASE)),
    Row("3 workers / 1 of base", 16, 64, Run(THREE), Run(BASE)),
    Row("2 workers / 1", 16, 64, Run(TWO), Run(THIS)),
    Row("3 workers / 1", 16, 64, Run(THREE), Run(THIS)),
    Row("hot / spread", 64, 96, Run(THIS), Run(THIS, Kind(spread=True))),
)
ALONE = (
    Row("order / its own calls", 16, 64, Run(EMPTY), Run(FLOOR)),
    Row("order / fewest calls", 16, 64, Run(EMPTY), Run(LEAST)),
    Row(f"{ORDERS_IN_STORE:,} stored / none", 16, 64, Run(FULL), Run(EMPTY)),
)
