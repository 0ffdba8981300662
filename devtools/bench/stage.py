"""The measured processes: an Azurite of the bench's own, in memory, and devhost; and their use of the CPU."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devhost.storage.http_client import StorageHttp
from devtools.processes.identity import workers_of
from devtools.processes.ports import Ports, address, answers, free_ports_in_a_row
from devtools.processes.programs import end, launch
from devtools.product.commands import azurite_command

APP = Path(__file__).parent / "app"
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
READY_WITHIN_S = 60.0
REQUESTS = re.compile(r"(\d+) requests to storage")


@dataclass(frozen=True)
class Load:
    """The figures of a load of orders. Times in seconds; CPU in milliseconds an order, by process."""

    at_once: int
    per_second: float
    latencies: list[float]
    cpu_ms: dict[str, float] = field(default_factory=dict)

    def percentile_ms(self, percent: int) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] * 1000


async def under_load(order: Callable[[], Awaitable[None]], count: int, at_once: int, pids: dict[str, int]) -> Load:
    """Run `order` so many times, so many at once."""
    latencies: list[float] = []
    places = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with places:
            start = time.perf_counter()
            await order()
            latencies.append(time.perf_counter() - start)

    before, start = {name: cpu_s(pid) for name, pid in pids.items()}, time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    took = time.perf_counter() - start
    used = {name: (cpu_s(pid) - before[name]) / count * 1000 for name, pid in pids.items()}
    return Load(at_once, count / took, latencies, used)


def median_load(loads: list[Load]) -> Load:
    """The round in the middle, by orders a second."""
    return sorted(loads, key=lambda load: load.per_second)[len(loads) // 2]


def median(values: list[float]) -> float:
    return statistics.median(values)


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has taken, by Linux's account; 0 elsewhere."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int) -> float:
    """Resident memory in MB, by Linux's account; 0 elsewhere."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@dataclass
class Host:
    """A devhost on the bench's app. `orchestrate` runs one instance and returns at its end."""

    url: str
    hub: str
    process: "subprocess.Popen[bytes]"
    log: Path
    http: StorageHttp
    ready_s: float

    @property
    def pids(self) -> dict[str, int]:
        return {"host": self.process.pid, **workers_of(self.process.pid)}

    async def orchestrate(self, name: str, payload: str | None = None) -> None:
        url = f"{self.url}/runtime/webhooks/durabletask/orchestrators/{name}?timeout=300&pollingInterval=5"
        body = b"" if payload is None else json.dumps(payload).encode()
        answer = await self.http.request("POST", url, {"Content-Type": "application/json"} if body else {}, body)
        if answer.status != 200:
            raise RuntimeError(f"{name} did not end well: {answer.status} {answer.body[:300].decode()}")

    def stop(self) -> str:
        """Stop devhost; returns its log."""
        end(self.process, patience=30)
        return self.log.read_text(encoding="utf-8")


class Stage:
    """One Azurite, and devhosts on it, each on a hub of its own."""

    def __init__(self, ports: Ports, azurite: "subprocess.Popen[bytes]", folder: Path, http: StorageHttp) -> None:
        self.connection_string, self.http = ports.storage_connection_string, http
        self.azurite = azurite.pid
        self._port, self._folder = ports.host, folder

    @asynccontextmanager
    async def host(self, hub: str = "") -> AsyncIterator[Host]:
        hub = hub or f"Bench{secrets.token_hex(4)}"
        log = self._folder / f"{hub}.log"
        settings = {**os.environ, "AzureWebJobsStorage": self.connection_string, "BENCH_HUB": hub}
        command: list[str | Path] = [sys.executable, "-m", "devhost", "--app", APP, "--port", str(self._port)]
        start = time.perf_counter()
        process = launch(command, log, settings)
        try:
            while not await _serves(self.http, self._port):
                _refuse_an_end("devhost", process, log)
                if time.perf_counter() - start > READY_WITHIN_S:  # it waits for ever for a storage that has ended
                    raise RuntimeError(f"devhost is not ready: {log.read_text(encoding='utf-8')}")
                await asyncio.sleep(0.01)
            ready_s = time.perf_counter() - start
            yield Host(address(self._port), hub, process, log, self.http, ready_s)
        finally:
            end(process, patience=30)


async def _serves(http: StorageHttp, port: int) -> bool:
    with contextlib.suppress(OSError):
        return (await http.request("GET", address(port), {})).status == 200
    return False


def _until_it_answers(ports: Ports, azurite: "subprocess.Popen[bytes]", log: Path) -> None:
    while not all(map(answers, ports.storage)):
        _refuse_an_end("Azurite", azurite, log)
        time.sleep(0.05)


def _refuse_an_end(name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    if process.poll() is not None:
        raise RuntimeError(f"{name} ended: {log.read_text(encoding='utf-8')}")


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    ports = Ports.counted_from(free_ports_in_a_row())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        log = folder / "azurite.log"
        azurite = launch(azurite_command(ports, None), log)
        try:
            await asyncio.to_thread(_until_it_answers, ports, azurite, log)
            async with StorageHttp() as http:
                yield Stage(ports, azurite, folder, http)
        finally:
            end(azurite, patience=30)
