"""`python3 dev.py bench [--quick] [--json FILE] [--plot FILE]`: devhost's speed, and the floors of the same run.

`python3 dev.py bench --volume`: thousands of orders instead, with kills and without.
`python3 dev.py bench --against COMMIT`: the real order of this tree and of another commit, by turns.
`python3 dev.py bench --long-run`: thousands of real orders, and the memory and descriptors of the processes after them.

Figures of different moments of a busy machine cannot be compared. So floor and devhost take turns, and the result is
the ratio of their medians.
"""

import asyncio
import json
import secrets
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from devtools.bench import report
from devtools.bench.first_page import first_page_ms
from devtools.bench.floor import TablesFloor, replays_ms
from devtools.bench.options import parse
from devtools.bench.real_orders import against, calls, in_memory
from devtools.bench.real_orders import table as by_turns
from devtools.bench.real_orders.loads import AGAINST_BASE, ALONE
from devtools.bench.real_orders.long_run import FIRST, long_run
from devtools.bench.real_orders.shop import opened
from devtools.bench.stage import REQUESTS, Host, Load, Stage, median, median_load, memory_mb, staged, under_load
from devtools.bench.volume import ORDERS, ORDERS_AMONG_KILLS, shortfalls, volume

SAGAS = ("saga", "twin")
WARM_UP = 16


@dataclass(frozen=True)
class Plan:
    """The amounts: orders by how many at once, rounds, steps of chains, finished instances."""

    orders: dict[int, int]
    real_orders: dict[int, int]
    rounds: int
    chains: tuple[int, ...]
    fan: int
    finished: int
    listed: tuple[int, ...] = (100, 10_000)
    looks: int = 40


FULL = Plan({1: 100, 16: 160, 64: 256}, {1: 20, 16: 48, 64: 64}, 5, (10, 100, 1000), 150, 10_000)
QUICK = Plan({1: 3, 16: 16, 64: 64}, {}, 1, (10, 100), 20, 0, (100, 1000), 5)


def main() -> int:
    arguments = parse()
    if arguments.volume:
        return many_orders()
    if arguments.long_run:
        return many_real_orders(arguments.long_run)
    if arguments.against:
        figures = asyncio.run(compare(arguments.against, arguments.rounds))
        return kept(figures, arguments.json)
    figures = asyncio.run(measure(QUICK if arguments.quick else FULL))
    print(report.table(figures))
    if arguments.plot:
        arguments.plot.write_text(report.plot(figures), encoding="utf-8")
    return kept(figures, arguments.json)


async def compare(commit: str, rounds: int) -> dict[str, Any]:
    """Print each part when it is ready: the whole takes a quarter of an hour."""
    say(f"{commit}, which sets itself up the first time")
    async with against.started(commit) as sides:
        with_base = await against.by_turns(AGAINST_BASE, sides, rounds, say)
    print(f"{by_turns.table(f'this tree / {commit}', with_base)}\n\n{by_turns.processes(with_base)}", flush=True)
    async with in_memory.started(say) as sides:
        alone = await against.by_turns(ALONE, sides, rounds, say)
    print(f"\n{by_turns.table('this tree alone', alone)}\n\n{by_turns.processes(alone)}", flush=True)
    say("requests and rows of an order")
    counted = {"this": await calls.counts(), "base": await calls.counts(against.checked_out(commit))}
    left = await calls.left_behind()
    print(f"\n{calls.table(counted, left)}")
    return {
        "requests": counted,
        "left": {name: each._asdict() for name, each in left.items()},
        "rows": by_turns.as_json({**with_base, **alone}),
    }


def kept(figures: dict[str, Any], file: Path | None) -> int:
    if file:
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def many_orders() -> int:
    say(f"{ORDERS} orders, and {ORDERS_AMONG_KILLS} among kills")
    steady, killed = asyncio.run(volume())
    print(steady, killed, sep="\n")
    return conclude(shortfalls(steady, killed))


def many_real_orders(orders: int) -> int:
    say(f"{orders} real orders")
    run = asyncio.run(long_run(orders, min(FIRST, orders // 2)))
    print(run)
    return conclude(run.shortfalls())


def conclude(failed: list[str]) -> int:
    print(f"Not as promised: {'; '.join(failed)}." if failed else "As promised.")
    return 1 if failed else 0


async def measure(plan: Plan) -> dict[str, Any]:
    async with staged() as stage:
        figures: dict[str, Any] = {"start_up_s": await start_up(stage, plan.rounds)}
        figures["requests_per_order"] = await requests_per_order(stage, min(plan.orders[16], 100))
        figures["replays_ms"] = replays_ms(50)
        say("devhost and the floor in turns")
        figures["loads"] = await in_turns(plan, stage)
        async with stage.host() as host:
            say("chains and a fan-out")
            figures["chains_ms"] = {steps: await timed(host, "chain", steps) for steps in plan.chains}
            figures["fan_ms"] = {plan.fan: await timed(host, "fan", plan.fan)}
            figures["memory_mb"] = {name: memory_mb(pid) for name, pid in host.pids.items()}
        say("the first page of the dashboard")
        figures["first_page_ms"] = await asyncio.to_thread(
            first_page_ms, stage.connection_string, plan.listed, plan.looks
        )
        if plan.finished:
            figures["filled"] = await in_a_filled_hub(plan, stage)
    if plan.real_orders:
        figures["real"] = await real_orders(plan)
    return figures


async def start_up(stage: Stage, rounds: int) -> float:
    """Seconds from the start of the process to its first answer, on a hub that exists already."""
    times = []
    for _ in range(rounds + 1):
        async with stage.host("BenchStart") as host:
            times.append(host.ready_s)
    return median(times[1:])


async def requests_per_order(stage: Stage, orders: int) -> float:
    """Requests to storage of one trivial order, without those of a start and a stop."""
    counts = []
    for count in (0, orders):
        async with stage.host("BenchCount") as host:
            await under_load(partial(host.orchestrate, "saga"), count, 1, {})
            counts.append(int(REQUESTS.findall(host.stop())[-1]))
    return (counts[1] - counts[0]) / orders


async def in_turns(plan: Plan, stage: Stage) -> dict[str, dict[int, Any]]:
    """Each round in tables of its own, floor and devhost by turns, because the machine's speed changes."""
    results: dict[str, dict[int, Any]] = {name: {} for name in ("floor", *SAGAS)}
    for at_once, orders in plan.orders.items():
        loads: dict[str, list[Load]] = {name: [] for name in results}
        for _ in range(plan.rounds):
            loads["floor"].append(await load_of_floor(stage, orders, at_once))
            async with stage.host() as host:
                for saga in SAGAS:
                    loads[saga].append(await load_on(host, stage, saga, orders, at_once))
        for name, rounds in loads.items():
            results[name][at_once] = as_json(median_load(rounds))
    return results


async def load_of_floor(stage: Stage, orders: int, at_once: int) -> Load:
    floor = TablesFloor(stage.connection_string, stage.http, f"Floor{secrets.token_hex(4)}")
    await floor.create()
    await under_load(floor.order, WARM_UP, WARM_UP, {})
    return await under_load(floor.order, orders, at_once, {"azurite": stage.azurite})


async def load_on(host: Host, stage: Stage, saga: str, orders: int, at_once: int) -> Load:
    await under_load(partial(host.orchestrate, saga), WARM_UP, WARM_UP, {})
    pids = {**host.pids, "azurite": stage.azurite}
    return await under_load(partial(host.orchestrate, saga), orders, at_once, pids)


async def in_a_filled_hub(plan: Plan, stage: Stage) -> dict[str, Any]:
    """The same at 16 at once among many finished instances, in turns with an empty hub; and the time until ready."""
    say(f"a hub with {plan.finished} finished instances")
    hub, orders = f"Filled{secrets.token_hex(4)}", plan.orders[16]
    floor = TablesFloor(stage.connection_string, stage.http, hub)
    await floor.create()
    await under_load(floor.finished, plan.finished, 32, {})
    loads: dict[str, list[Load]] = {"floor": [], "saga": [], "empty_floor": [], "empty_saga": []}
    ready_s = []
    for _ in range(plan.rounds):
        loads["floor"].append(await under_load(floor.order, orders, 16, {}))
        loads["empty_floor"].append(await load_of_floor(stage, orders, 16))
        async with stage.host(hub) as host:
            ready_s.append(host.ready_s)
            loads["saga"].append(await load_on(host, stage, "saga", orders, 16))
        async with stage.host() as host:
            loads["empty_saga"].append(await load_on(host, stage, "saga", orders, 16))
    medians = {name: as_json(median_load(each)) for name, each in loads.items()}
    return {"instances": plan.finished, "ready_s": median(ready_s), **medians}


async def timed(host: Host, name: str, size: int) -> float:
    load = await under_load(partial(host.orchestrate, name, str(size)), 1, 1, {})
    return load.latencies[0] * 1000


async def real_orders(plan: Plan) -> dict[int, Any]:
    say("the real order saga")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, opened(session) as shop:
        await under_load(shop.order, 5, 5, {})
        return {
            at_once: as_json(await under_load(shop.order, orders, at_once, shop.pids))
            for at_once, orders in plan.real_orders.items()
        }


def as_json(load: Load) -> dict[str, Any]:
    percentiles = {f"p{percent}_ms": load.percentile_ms(percent) for percent in (50, 95, 99)}
    return {"per_second": load.per_second, **percentiles, "cpu_ms": load.cpu_ms}


def say(subject: str) -> None:
    print(f"measuring {subject} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
