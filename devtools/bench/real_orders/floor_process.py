"""`python -m devtools.bench.real_orders.floor_process CALLS`: the floor as a process of its own, as a worker is one.

It has as many threads as Azure's worker and devhost's have for activities. Each line that it reads, `{"orders": 48,
"at_once": 16}`, is a load; it answers with the seconds of each order, as a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from devtools.bench.real_orders.floor import FEWEST, ITS_OWN, RealFloor
from devtools.bench.stage import Load, under_load

CALLS = {"own": ITS_OWN, "fewest": FEWEST}


def threads() -> int:
    """As Azure's worker counts them:
    https://learn.microsoft.com/azure/azure-functions/python-scale-performance-reference#set-up-max-workers
    """
    setting = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
    return int(setting) if setting else min(32, (os.cpu_count() or 1) + 4)


def main() -> None:
    floor = RealFloor(os.environ, CALLS[sys.argv[1]])
    floor.prepare()
    pool = ThreadPoolExecutor(threads())
    print("{}", flush=True)
    for line in sys.stdin:
        load = asyncio.run(_under_load(floor, pool, **json.loads(line)))
        print(json.dumps(load.latencies), flush=True)


async def _under_load(floor: RealFloor, pool: ThreadPoolExecutor, orders: int, at_once: int) -> Load:
    loop = asyncio.get_running_loop()

    async def order() -> None:
        await loop.run_in_executor(pool, floor.order)

    return await under_load(order, orders, at_once, {})


if __name__ == "__main__":
    main()
