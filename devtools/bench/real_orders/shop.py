"""The real order saga under load: the product as `dev.py start` runs it, and orders over its public edge."""

import asyncio
import itertools
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from devtools.bench.real_orders.loads import HOT, ONE_LINE, SPREAD, Kind
from devtools.example_order import example_order
from devtools.places import ROOT
from devtools.processes.identity import workers_of
from devtools.processes.ports import free_ports_in_a_row
from devtools.processes.programs import end, launch

WORKERS_SETTING = "FUNCTIONS_WORKER_PROCESS_COUNT"
POLL_S = 0.05
SET_UP_S = 600
DECLINED_CARD = "pm_card_visa_chargeDeclined"


class Shop:
    """A running product. `urls`: its host, and the ids of its processes by their names."""

    def __init__(self, urls: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self._orders, self._session = f"{urls['host']}/api/orders", session
        self._shelf = f"{urls['host']}/api/inventory/"
        self._placed = itertools.count()
        self._pids: dict[str, int] = urls["pids"]

    @property
    def pids(self) -> dict[str, int]:
        """Every process of the product by its name, including devhost's present workers."""
        return {**self._pids, **workers_of(self._pids["devhost"])}

    async def fill_the_shelf(self) -> None:
        body = {"on_hand": 100_000, "price_minor": 1000, "currency": "gbp"}
        for sku in (HOT, *SPREAD):
            async with self._session.put(self._shelf + sku, json=body) as answer:
                answer.raise_for_status()

    def _body(self, order_id: str, kind: Kind) -> dict[str, Any]:
        place = next(self._placed)
        first = SPREAD[place % len(SPREAD)] if kind.spread else HOT
        skus = [first, *SPREAD[: kind.lines - 1]]
        changes = {"payment_method": DECLINED_CARD} if kind.end == "compensated" else {}
        return example_order(order_id=order_id, items=[{"sku": sku, "quantity": 1} for sku in skus], **changes)

    async def order(self, kind: Kind = ONE_LINE, poll_s: float = POLL_S) -> None:
        """From the POST to the end of the order. Raises RuntimeError for another end than planned."""
        order_id = await self.ended(kind, poll_s)
        status = await self.status(order_id)
        too_late = kind.end == "cancelled" and status == "completed"
        if status != kind.end and not too_late:
            raise RuntimeError(f"order {order_id} is {status}")

    async def status(self, order_id: str) -> str:
        return str((await self._ask(f"{self._orders}/{order_id}"))["status"])

    async def ended(self, kind: Kind = ONE_LINE, poll_s: float = POLL_S) -> str:
        """Place an order and wait for its end; its id. A cancel may be too late."""
        order_id = secrets.token_hex(8)
        async with self._session.post(self._orders, json=self._body(order_id, kind)) as answer:
            answer.raise_for_status()
            instance = (await answer.json())["statusQueryGetUri"]
        if kind.end == "cancelled":
            async with self._session.post(f"{self._orders}/{order_id}/cancel") as answer:
                if answer.status != HTTPStatus.CONFLICT:
                    answer.raise_for_status()
        # The engine answers from memory; a GET of the order would read storage each time.
        while (await self._ask(instance))["runtimeStatus"] in {"Pending", "Running"}:  # noqa: ASYNC110
            await asyncio.sleep(poll_s)
        return order_id

    async def _ask(self, url: str) -> dict[str, Any]:
        async with self._session.get(url) as answer:
            body: dict[str, Any] = await answer.json()
            return body


@asynccontextmanager
async def opened(session: aiohttp.ClientSession, tree: Path = ROOT, workers: int = 1) -> AsyncIterator[Shop]:
    """The product of this tree, or of another tree, which sets itself up by its own `dev.py`."""
    with tempfile.TemporaryDirectory(prefix="bench-shop-") as name:
        data, port = Path(name), free_ports_in_a_row()
        python = sys.executable if tree == ROOT else getattr(sys, "_base_executable", sys.executable)
        command: list[str | Path] = [python, tree / "dev.py", "start", "--data", name, "--port", str(port)]
        process = launch(command, data / "start.log", {**os.environ, WORKERS_SETTING: str(workers)})
        try:
            urls = await asyncio.to_thread(_urls, data / "urls.json", process)
            shop = Shop(urls, session)
            warn_of_other_workers(shop, workers)
            await shop.fill_the_shelf()
            yield shop
        finally:
            end(process, patience=60)


def warn_of_other_workers(shop: Shop, wanted: int) -> None:
    """Warn when another number of workers runs, where the system shows it."""
    running = sum(name.startswith("worker") for name in shop.pids)
    if running not in {0, wanted}:
        print(f"{wanted} workers were requested, but {running} run", file=sys.stderr, flush=True)


def _urls(path: Path, process: Any) -> dict[str, Any]:
    start = time.monotonic()
    while not path.exists():
        if process.poll() is not None or time.monotonic() - start > SET_UP_S:
            raise RuntimeError("the product did not start")
        time.sleep(0.1)
    urls: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return urls
