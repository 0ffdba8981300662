"""What tests run against, as values: ports, Azurite, the sandbox; a process, and a server, for the length of a block.

The fixtures that start them are in `conftest.py`; tests import from here only to name a type.
"""

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest

from devtools.processes.http import fetch
from devtools.processes.ports import block_of_ports, is_free
from devtools.processes.programs import launch

Server = TypeVar("Server", bound=ThreadingHTTPServer)


class FreePorts:
    """Hands out ports that nobody listens on, each once a session, and to no other process: of blocks of its own."""

    def __init__(self) -> None:
        self._left = range(0)

    def __call__(self, count: int = 1) -> int:
        """The first of `count` free ports in a row."""
        while True:
            if len(self._left) < count:
                self._left = block_of_ports()
            wanted, self._left = self._left[:count], self._left[count:]
            if all(map(is_free, wanted)):
                return wanted.start


@dataclass(frozen=True)
class Azurite:
    """A storage emulator that keeps everything in memory. Tests share it: name your own tables and containers."""

    connection_string: str
    blob: str
    queue: str
    table: str


@dataclass
class Sandbox:
    """Payments and mail as the product meets them, and their control edges."""

    payments: str
    mail: str
    smtp: str
    push_connection: str
    _faulty: set[str] = field(default_factory=set)

    def ledger(self) -> list[dict[str, Any]]:
        """Everything that happened to money, oldest first."""
        return list(_call("GET", f"{self.payments}/sandbox/ledger"))

    def messages(self) -> list[dict[str, Any]]:
        """Every mail and push that was accepted, oldest first."""
        return list(_call("GET", f"{self.mail}/sandbox/messages"))

    def faults(self, target: str, rules: list[dict[str, Any]], seed: int = 7) -> None:
        """Replace the fault plan of "payments" or "mail"."""
        self._faulty.add(target)
        _call("PUT", f"{self._address(target)}/sandbox/faults", {"seed": seed, "rules": rules})

    def clear_faults(self) -> None:
        while self._faulty:
            _call("DELETE", f"{self._address(self._faulty.pop())}/sandbox/faults")

    def _address(self, target: str) -> str:
        return {"payments": self.payments, "mail": self.mail}[target]


def _call(method: str, url: str, body: object = None) -> Any:
    answer = fetch(url, method, body)
    assert 200 <= answer.status < 300, f"{method} {url}: {answer.status} {answer.body!r}"
    return answer.json()


@contextlib.contextmanager
def running(command: list[str | Path], log: Path, ready: Callable[[], bool], patience: float = 90) -> Iterator[None]:
    """A process for the length of a block: entered when it is ready, stopped by SIGTERM and waited for."""
    process = launch(command, log)
    try:
        _wait_until_ready(process, ready, patience, log)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], patience: float, log: Path) -> None:
    deadline = time.monotonic() + patience
    while not ready():
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            ending = f"ended with status {process.returncode}" if ended else f"was not ready after {patience:.0f} s"
            pytest.fail(f"{process.args!r} {ending}:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.05)


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """A server of a test's own, on a thread of its own for the length of a block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
