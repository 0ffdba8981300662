"""The addresses that `start` prints for a person and writes to urls.json for programs."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from devtools.example_order import example_order
from devtools.places import WINDOWS
from devtools.processes.files import replace_text
from devtools.processes.identity import workers_of
from devtools.processes.ports import Ports, address
from devtools.product.surroundings import TASK_HUB

LOOK_EACH_S = 1.0


def addresses(ports: Ports, pids: Mapping[str, int]) -> dict[str, object]:
    """The content of `urls.json`. Without devhost it names no host: `func start` has its own."""
    host = {"host": address(ports.host), "task_hub": TASK_HUB} if "devhost" in pids else {}
    return {
        **host,
        "payments": address(ports.payments),
        "mail": address(ports.mail),
        "smtp": address(ports.smtp, "smtp"),
        "storage_connection_string": ports.storage_connection_string,
        "pids": dict(pids),
    }


class AddressesFile:
    """urls.json. It names devhost's workers too, which change: `update` writes it again, at most once a second."""

    def __init__(self, file: Path, ports: Ports, pids: Mapping[str, int]) -> None:
        self._file, self._ports, self._pids = file, ports, pids
        self._written: dict[str, int] = {}
        self._looked = -LOOK_EACH_S
        self.update()

    def update(self) -> None:
        if time.monotonic() - self._looked < LOOK_EACH_S:
            return
        self._looked = time.monotonic()
        workers = workers_of(self._pids["devhost"]) if "devhost" in self._pids else {}
        pids = {**self._pids, **workers}
        if pids != self._written:
            replace_text(self._file, json.dumps(addresses(self._ports, pids), indent=2))
            self._written = pids


def welcome(ports: Ports, logs: Path) -> str:
    order = f"{address(ports.host)}/api/orders"
    command = ["curl", "-i", order, "-H", "Content-Type: application/json", "-d", json.dumps(example_order())]
    return f"""
Ready. Ctrl-C stops everything.

  dashboard {address(ports.host)}/api/dashboard
  API       {address(ports.host)}/api/docs
  health    {address(ports.host)}/api/health
  payments  {address(ports.payments)}/sandbox/ledger
  mail      {address(ports.mail)}/sandbox/messages
  storage   Azure Storage Explorer, "Connect to storage", "Connection string"; the history is in {TASK_HUB}History:
            {ports.storage_connection_string}
  logs      {logs}

An order, ready to paste in another terminal:

  {subprocess.list2cmdline(command) if WINDOWS else shlex.join(command)}

A line for each order that ends follows here.
"""


def advice_for_func(ports: Ports, logs: Path) -> str:
    differing = "".join(f'\n    "{name}": "{value}",' for name, value in ports.settings().items())
    change = "" if ports == Ports() else f"\n\n  and in its Values:\n{differing}"
    port = "" if ports == Ports() else f" --port {ports.host}"
    copy, activate = ("copy", r".venv\Scripts\activate") if WINDOWS else ("cp", ". .venv/bin/activate")
    return f"""
Ready for `func start`, without a host of its own. Ctrl-C stops everything. In another terminal:

  {copy} local.settings.json.example local.settings.json{change}
  {activate}
  func start{port}

The logs are in {logs}.
"""
