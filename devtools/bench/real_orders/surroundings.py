"""The servers around the order saga, started by the bench itself: an Azurite in memory, the sandbox, and maybe devhost.

`dev.py start` keeps the storage on a disk, and Azurite writes all of it each five seconds. That suits a person, but not
a bench of 10,000 stored orders; and a floor needs no host.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from devtools.places import ROOT, VENV, Word, python_of
from devtools.processes.http import says_ok
from devtools.processes.ports import Ports, address, answers, free_ports_in_a_row
from devtools.processes.programs import end, launch
from devtools.product.commands import azurite_command, mail_command, payments_command
from devtools.product.surroundings import environment_of_the_app

READY_WITHIN_S = 90.0


class Surroundings(NamedTuple):
    """`ports`: the port of each server; `environment`: the app's settings; `pids`: the processes by their names."""

    ports: Ports
    environment: Mapping[str, str]
    pids: Mapping[str, int]
    folder: Path


@asynccontextmanager
async def outside(webhooks: bool = True) -> AsyncIterator[Surroundings]:
    """Azurite and the sandbox. Without `webhooks` the sandbox sends none."""
    ports = Ports.counted_from(free_ports_in_a_row())
    with tempfile.TemporaryDirectory(prefix="bench-outside-") as name, ExitStack() as running:
        folder, environment = Path(name), environment_of_the_app(ports)
        payments = payments_command(sys.executable, ports, folder / "sandbox")
        commands: dict[str, list[Word]] = {
            "azurite": azurite_command(ports, None),
            "payments": payments if webhooks else payments[: payments.index("--webhook-url")],
            "mail": mail_command(sys.executable, ports, folder / "sandbox"),
        }
        pids = {
            each: _stopped_at_the_end(running, launch(command, folder / f"{each}.log", os.environ)).pid
            for each, command in commands.items()
        }
        await asyncio.to_thread(_wait_for, lambda: all(map(answers, (*ports.storage, ports.payments, ports.smtp))))
        yield Surroundings(ports, environment, pids, folder)


@asynccontextmanager
async def hosted(
    around: Surroundings, environment: Mapping[str, str] | None = None, tree: Path = ROOT
) -> AsyncIterator[dict[str, Any]]:
    """devhost with the app of a tree, beside these servers. Yields its part of `urls.json`."""
    with ExitStack() as running:
        python = sys.executable if tree == ROOT else python_of(tree / VENV.name)
        command: list[Word] = [python, "-m", "devhost", "--app", tree, "--port", str(around.ports.host)]
        settings = environment or around.environment
        host = _stopped_at_the_end(running, launch(command, around.folder / "devhost.log", settings, tree))
        url = address(around.ports.host)
        await asyncio.to_thread(_wait_for, lambda: host.poll() is not None or says_ok(f"{url}/api/health"))
        if host.poll() is not None:
            raise RuntimeError(f"devhost ended: {(around.folder / 'devhost.log').read_text(encoding='utf-8')}")
        yield {"host": url, "pids": {**around.pids, "devhost": host.pid}}


def _stopped_at_the_end(running: ExitStack, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    running.callback(end, process, 30)
    return process


def _wait_for(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the servers of the bench were not ready after {READY_WITHIN_S:.0f} s")
        time.sleep(0.05)
