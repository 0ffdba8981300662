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
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from devtools.example_order import example_order
from devtools.places import ROOT
from devtools.processes.ports import free_ports_in_a_row
from devtools.processes.programs import end, launch

HOT, SPREAD = "BENCH-CHAIR", [f"BENCH-{number}" for number in range(64)]
POLL_S = 0.05
SET_UP_S = 600


class Kind(NamedTuple):
    """What is ordered: so many lines, the first of one hot article or of the next of many; or on a card that fails."""

    lines: int = 1
    spread: bool = False
    declined: bool = False


ONE_LINE = Kind()


class Shop:
    """`pids`: every process of the product by its name, devhost's workers among them."""

    def __init__(self, urls: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self._orders, self._session = f"{urls['host']}/api/orders", session
        self._shelf = f"{urls['host']}/api/inventory/"
        self._placed = itertools.count()
        self.pids: dict[str, int] = {**urls["pids"], **workers_of(urls["pids"]["devhost"])}

    async def fill_the_shelf(self) -> None:
        body = {"on_hand": 100_000, "price_minor": 1000, "currency": "gbp"}
        for sku in (HOT, *SPREAD):
            async with self._session.put(self._shelf + sku, json=body) as answer:
                answer.raise_for_status()

    def _body(self, order_id: str, kind: Kind) -> dict[str, Any]:
        place = next(self._placed)
        first = SPREAD[place % len(SPREAD)] if kind.spread else HOT
        skus = [first, *SPREAD[: kind.lines - 1]]
        changes = {"payment_method": "pm_card_visa_chargeDeclined"} if kind.declined else {}
        return example_order(order_id=order_id, items=[{"sku": sku, "quantity": 1} for sku in skus], **changes)

    async def order(self, kind: Kind = ONE_LINE, poll_s: float = POLL_S) -> None:
        """From the POST to the end of the order."""
        order_id = secrets.token_hex(8)
        body = self._body(order_id, kind)
        async with self._session.post(self._orders, json=body) as answer:
            answer.raise_for_status()
            instance = (await answer.json())["statusQueryGetUri"]
        # Asked of the engine, which has it in memory: to ask for the order would be a read of storage each time.
        while (await self._ask(instance))["runtimeStatus"] in {"Pending", "Running"}:  # noqa: ASYNC110
            await asyncio.sleep(poll_s)
        status = (await self._ask(f"{self._orders}/{order_id}"))["status"]
        if status != ("compensated" if kind.declined else "completed"):
            raise RuntimeError(f"order {order_id} is {status}")

    async def _ask(self, url: str) -> dict[str, Any]:
        async with self._session.get(url) as answer:
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def opened(session: aiohttp.ClientSession, tree: Path = ROOT) -> AsyncIterator[Shop]:
    """The product of this tree, or of another one, which sets itself up by its own `dev.py`."""
    with tempfile.TemporaryDirectory(prefix="bench-shop-") as name:
        data, port = Path(name), free_ports_in_a_row()
        python = sys.executable if tree == ROOT else getattr(sys, "_base_executable", sys.executable)
        command: list[str | Path] = [python, tree / "dev.py", "start", "--data", name, "--port", str(port)]
        process = launch(command, data / "start.log", dict(os.environ))
        try:
            urls = await asyncio.to_thread(_urls, data / "urls.json", process)
            shop = Shop(urls, session)
            await shop.fill_the_shelf()
            yield shop
        finally:
            end(process, patience=60)


def workers_of(devhost: int) -> dict[str, int]:
    """The processes that run the app's code, by Linux's account; none elsewhere."""
    children = Path(f"/proc/{devhost}/task/{devhost}/children")
    pids = children.read_text().split() if children.exists() else []
    return {f"worker{place or ''}": int(pid) for place, pid in enumerate(pids)}


def _urls(path: Path, process: Any) -> dict[str, Any]:
    begun = time.monotonic()
    while not path.exists():
        if process.poll() is not None or time.monotonic() - begun > SET_UP_S:
            raise RuntimeError("the product did not start")
        time.sleep(0.1)
    urls: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return urls
