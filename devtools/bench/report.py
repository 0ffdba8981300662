"""The bench's figures as a table for the screen and as a plot."""

from collections.abc import Iterator
from html import escape
from typing import Any

NAMES = {
    "floor": "tables-only floor",
    "saga": "five trivial steps",
    "twin": "the same, undone",
    "real": "the real order saga",
}
COLOURS = {"floor": "#9aa5b1", "saga": "#2364aa", "twin": "#3da5d9", "real": "#73bfb8"}


def table(figures: dict[str, Any]) -> str:
    return "\n".join([*_loads(figures), "", *_single_figures(figures)])


def series(figures: dict[str, Any]) -> dict[str, dict[int, Any]]:
    real = {"real": figures["real"]} if "real" in figures else {}
    return {**figures["loads"], **real}


def _loads(figures: dict[str, Any]) -> Iterator[str]:
    yield f"{'':20}{'at once':>8}{'orders/s':>10}{'of floor':>10}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}  CPU, ms each"
    floor = figures["loads"]["floor"]
    for name, loads in series(figures).items():
        for at_once, load in loads.items():
            share = "" if name in {"floor", "real"} else f"{load['per_second'] / floor[at_once]['per_second']:.2f}"
            times = "".join(f"{load[f'p{percent}_ms']:9.0f}" for percent in (50, 95, 99))
            shown = {process: used for process, used in load["cpu_ms"].items() if used >= 0.05}
            cpu = ", ".join(f"{process} {used:.1f}" for process, used in shown.items())
            yield f"{NAMES[name]:20}{at_once:8}{load['per_second']:10.1f}{share:>10}{times}  {cpu}"


def _single_figures(figures: dict[str, Any]) -> Iterator[str]:
    yield f"requests to storage      {figures['requests_per_order']:.1f} an order of five trivial steps"
    yield f"the SDK's replays alone  {figures['replays_ms']:.1f} ms of CPU for six replays of such an order"
    yield f"ready                    {figures['start_up_s']:.2f} s after its start"
    yield "memory                   " + ", ".join(
        f"{process} {mb:.0f} MB" for process, mb in figures["memory_mb"].items()
    )
    for steps, ms in figures["chains_ms"].items():
        yield f"a chain of {steps:<13} {ms:.0f} ms, {ms / int(steps):.1f} ms a step"
    for steps, ms in figures["fan_ms"].items():
        yield f"a fan-out of {steps:<11} {ms:.0f} ms"
    (few, few_ms), (many, many_ms) = sorted((int(orders), ms) for orders, ms in figures["first_page_ms"].items())
    yield (
        f"the dashboard's list     {few_ms:.1f} ms with {few} orders, {many_ms:.1f} ms with {many}: "
        f"a ratio of {many_ms / few_ms:.2f}"
    )
    if "filled" in figures:
        yield _filled(figures["filled"])


def _filled(filled: dict[str, Any]) -> str:
    now, before, floor, floor_before = (
        filled[name]["per_second"] for name in ("saga", "empty_saga", "floor", "empty_floor")
    )
    return (
        f"with {filled['instances']} finished     {now:.1f} orders/s at 16, {now / before:.2f} of an empty hub's; "
        f"the floor in the same tables {floor:.1f}, {floor / floor_before:.2f}; ready in {filled['ready_s']:.2f} s"
    )


def plot(figures: dict[str, Any]) -> str:
    """Orders per second as bars, one group for each number of orders at once."""
    all_loads = series(figures)
    top = max(load["per_second"] for loads in all_loads.values() for load in loads.values())
    groups = list(figures["loads"]["floor"])
    parts = list(_bars(all_loads, groups, top))
    legend = [
        f'<rect x="{60 + 190 * place}" y="332" width="12" height="12" fill="{COLOURS[name]}"/>'
        f'<text x="{78 + 190 * place}" y="343">{escape(NAMES[name])}</text>'
        for place, name in enumerate(all_loads)
    ]
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 360" font-family="sans-serif" font-size="13">'
    title = '<text x="60" y="24" font-size="16">Orders per second, by how many at once</text>'
    return "\n".join([head, '<rect width="840" height="360" fill="white"/>', title, *parts, *legend, "</svg>", ""])


def _bars(all_loads: dict[str, dict[int, Any]], groups: list[int], top: float) -> Iterator[str]:
    for group, at_once in enumerate(groups):
        left = 60 + group * 260
        yield f'<text x="{left}" y="318">{at_once} at once</text>'
        for place, (name, loads) in enumerate(all_loads.items()):
            if at_once not in loads:
                continue
            rate = loads[at_once]["per_second"]
            height, x = rate / top * 240, left + place * 55
            yield f'<rect x="{x}" y="{300 - height:.1f}" width="48" height="{height:.1f}" fill="{COLOURS[name]}"/>'
            yield f'<text x="{x}" y="{294 - height:.1f}">{rate:.0f}</text>'
