"""The figures measured by turns, as a table for the screen and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from devtools.bench.real_orders.loads import Row
from devtools.bench.stage import Load, median

Figure = Callable[[Load], float]


class Pair(NamedTuple):
    """The same load on the one side and on the other, one right after the other."""

    one: Load
    other: Load

    def ratio(self, figure: Figure) -> float:
        return figure(self.one) / figure(self.other)


Rounds = dict[Row, list[Pair]]


def rate(load: Load) -> float:
    return load.per_second


def p50(load: Load) -> float:
    return load.percentile_ms(50)


def p95(load: Load) -> float:
    return load.percentile_ms(95)


def p99(load: Load) -> float:
    return load.percentile_ms(99)


def cpu(load: Load) -> float:
    """The CPU of all processes together."""
    return sum(load.cpu_ms.values())


class Column(NamedTuple):
    head: str
    figure: Figure
    width: int
    digits: int = 0


COLUMNS = (Column("orders/s", rate, 14, 1), Column("p50 ms", p50, 14), Column("CPU ms", cpu, 11))
TAILS = (Column("p95 ms", p95, 14), Column("p99 ms", p99, 14))
NAME, AT_ONCE, RATIO = 22, 4, 6


def table(title: str, results: Rounds) -> str:
    return "\n".join(_lines(title, results))


def _lines(title: str, results: Rounds) -> Iterator[str]:
    yield f"{title}: medians of {len(next(iter(results.values())))} rounds, by turns; CPU of all processes an order"
    heads = "".join(f"{column.head:>{column.width}}{'ratio':>{RATIO}}" for column in COLUMNS)
    yield f"{'':{NAME}}{'at':>{AT_ONCE}}{heads}" + "".join(f"{column.head:>{column.width}}" for column in TAILS)
    for row, pairs in results.items():
        compared = "".join(f"{_both(pairs, column)}{_ratio(pairs, column.figure):{RATIO}.2f}" for column in COLUMNS)
        yield f"{row.name:{NAME}}{row.at_once:{AT_ONCE}}{compared}" + "".join(_both(pairs, each) for each in TAILS)


def _both(pairs: list[Pair], column: Column) -> str:
    one, other = (median([column.figure(load) for load in loads]) for loads in zip(*pairs, strict=True))
    return f"{f'{one:.{column.digits}f} / {other:.{column.digits}f}':>{column.width}}"


def _ratio(pairs: list[Pair], figure: Figure) -> float:
    return median([pair.ratio(figure) for pair in pairs])


PROCESSES = {
    "workers": ("worker", "floor"),
    "azurite": ("azurite",),
    "devhost": ("devhost",),
    "sandbox": ("payments", "mail"),
}


def _of(process: str) -> Figure:
    """CPU of the processes of a column of the second part; a floor counts as the workers."""

    def cpu_of(load: Load) -> float:
        return sum(ms for name, ms in load.cpu_ms.items() if name.startswith(PROCESSES[process]))

    return cpu_of


BY_PROCESS = tuple(Column(process, _of(process), 15, 1) for process in PROCESSES)


def processes(results: Rounds) -> str:
    """CPU in ms an order of the same sides, by process."""
    return "\n".join(_processes(results))


def _processes(results: Rounds) -> Iterator[str]:
    yield f"{'CPU ms by process':{NAME}}{'at':>{AT_ONCE}}" + "".join(
        f"{each.head:>{each.width}}" for each in BY_PROCESS
    )
    for row, pairs in results.items():
        yield f"{row.name:{NAME}}{row.at_once:{AT_ONCE}}" + "".join(_both(pairs, each) for each in BY_PROCESS)


def as_json(results: Rounds) -> list[dict[str, Any]]:
    """One entry a row: its ratios, and the figures of each round."""
    figures = (rate, p50, p95, p99, cpu)
    return [
        {
            "row": row.name,
            "at_once": row.at_once,
            "ratios": {figure.__name__: _ratio(pairs, figure) for figure in figures},
            "rounds": [
                {side: _figures(load, figures) for side, load in zip(("one", "other"), pair, strict=True)}
                for pair in pairs
            ],
        }
        for row, pairs in results.items()
    ]


def _figures(load: Load, figures: tuple[Figure, ...]) -> dict[str, Any]:
    return {**{figure.__name__: figure(load) for figure in figures}, "cpu_ms": load.cpu_ms}
