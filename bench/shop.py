"""The real order saga under load: the product as `dev.py start` runs it, and orders over its public edge."""

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

import dev

SKU = "BENCH-CHAIR"
POLL_S = 0.05


class Shop:
    def __init__(self, urls: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self._orders, self._session = f"{urls['host']}/api/orders", session
        self._shelf = f"{urls['host']}/api/inventory/{SKU}"
        self.pids: dict[str, int] = urls["pids"]

    async def fill_the_shelf(self) -> None:
        body = {"on_hand": 100_000, "price_minor": 1000, "currency": "gbp"}
        async with self._session.put(self._shelf, json=body) as answer:
            answer.raise_for_status()

    async def order(self) -> None:
        """From the POST to the completed order."""
        order_id = secrets.token_hex(8)
        body = dev.example_order(order_id=order_id, items=[{"sku": SKU, "quantity": 1}])
        async with self._session.post(self._orders, json=body) as answer:
            answer.raise_for_status()
            instance = (await answer.json())["statusQueryGetUri"]
        # Asked of the engine, which has it in memory: to ask for the order would be a read of storage each time.
        while (await self._ask(instance))["runtimeStatus"] in {"Pending", "Running"}:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        status = (await self._ask(f"{self._orders}/{order_id}"))["status"]
        if status != "completed":
            raise RuntimeError(f"order {order_id} is {status}")

    async def _ask(self, url: str) -> dict[str, Any]:
        async with self._session.get(url) as answer:
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def opened(session: aiohttp.ClientSession) -> AsyncIterator[Shop]:
    with tempfile.TemporaryDirectory(prefix="bench-shop-") as name:
        data, port = Path(name), dev.free_ports_in_a_row()
        command: list[str | Path] = [sys.executable, dev.ROOT / "dev.py", "start", "--data", name, "--port", str(port)]
        process = dev.launch(command, data / "start.log", dict(os.environ))
        try:
            urls = await asyncio.to_thread(_urls, data / "urls.json", process)
            shop = Shop(urls, session)
            await shop.fill_the_shelf()
            yield shop
        finally:
            dev.end(process, patience=60)


def _urls(path: Path, process: Any) -> dict[str, Any]:
    begun = time.monotonic()
    while not path.exists():
        if process.poll() is not None or time.monotonic() - begun > 120:
            raise RuntimeError("the product did not start")
        time.sleep(0.1)
    urls: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return urls
