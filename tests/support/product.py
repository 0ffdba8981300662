"""The product as its users run it: `python3 dev.py start` as a process, spoken to over HTTP.

Nothing is reached into: what a test learns, it learns from `urls.json`, from answers, and from the sandbox's ledgers.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devtools.audit.witnesses import ENDED
from devtools.example_order import example_order
from devtools.places import ROOT
from devtools.processes.http import HttpResponse, fetch
from devtools.processes.ports import address
from devtools.processes.programs import end, launch
from tests.support.outside_view import wait_for

READY_WITHIN = 120.0


class Product:
    """One `dev.py start` on a data folder and seven ports of its own. `start_again` keeps the data."""

    def __init__(self, data: Path, port: int, arguments: Sequence[str] = (), **settings: str) -> None:
        self.data = data
        self.port = port
        self.command = [sys.executable, str(ROOT / "dev.py"), "start", "--data", str(data), "--port", str(port)]
        self.command += arguments
        self.environment = {**os.environ, **settings}
        self._process: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------------------------------------------------------- life

    def start(self) -> "Product":
        """Returns when it is ready; fails with its last words when it ends instead."""
        before = self._written()
        process = self.launch()
        wait_for(
            lambda: self._written() not in {before, 0} or process.poll() is not None, READY_WITHIN, "ready or ended"
        )
        assert self._written(), self.output()
        return self

    def _written(self) -> int:
        """When urls.json was written; 0 without one. A killed start leaves its own behind."""
        urls = self.data / "urls.json"
        try:
            return urls.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def launch(self) -> subprocess.Popen[bytes]:
        """Start without waiting."""
        self._process = launch(self.command, self.log, self.environment)
        return self._process

    def stop(self, number: int = signal.SIGTERM) -> int:
        """One signal to `dev.py`; its exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self.ended()

    def end(self) -> None:
        """Whatever state it is in, leave nothing of it running."""
        if self._process is not None:
            assert end(self._process, patience=90), f"dev.py did not stop within 90 s: {self.output()}"
            self._process = None

    def ended(self, patience: float = 60) -> int:
        """Wait for the end of `dev.py` itself; its exit status."""
        assert self._process is not None
        status = self._process.wait(patience)
        self._process = None
        return status

    def kill_devhost(self) -> int:
        """SIGKILL to devhost, as a power cut for it alone; `dev.py` notices and stops the rest. Its exit status."""
        os.kill(self.pids["devhost"], signal.SIGKILL)
        return self.ended()

    def kill_start(self) -> None:
        """SIGKILL to `dev.py` itself."""
        assert self._process is not None
        self._process.kill()
        self.ended()

    def start_again(self) -> "Product":
        """On the same data, as after a crash."""
        self.end()
        return self.start()

    # --------------------------------------------------------------------------------------------------- what it tells

    @property
    def log(self) -> Path:
        return self.data / "logs" / "start.log"

    def output(self) -> str:
        """What `dev.py` has printed, over all its lives."""
        return self.log.read_text(errors="replace")

    @property
    def urls(self) -> dict[str, Any]:
        """`urls.json` as it stands."""
        urls: dict[str, Any] = json.loads((self.data / "urls.json").read_text(encoding="utf-8"))
        return urls

    @property
    def pids(self) -> dict[str, int]:
        return dict(self.urls["pids"])

    # --------------------------------------------------------------------------------------------------- speaking to it

    def get(self, path_or_url: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
        return self.call("GET", path_or_url, None, headers)

    def post(self, path_or_url: str, body: object = None, headers: Mapping[str, str] | None = None) -> HttpResponse:
        """`body` as JSON, or bytes as they are."""
        return self.call("POST", path_or_url, body, headers)

    def call(
        self, method: str, path_or_url: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        url = path_or_url if path_or_url.startswith("http") else address(self.port) + path_or_url
        return fetch(url, method, body, headers)

    def order(self, **changes: object) -> HttpResponse:
        """POST the example order with changes."""
        return self.post("/api/orders", example_order(**changes))

    def final_view(self, order_id: str, patience: float = 60) -> dict[str, Any]:
        """The customer's view of an order, once it has an end."""
        view: dict[str, Any] = {}

        def has_ended() -> bool:
            answer = self.get(f"/api/orders/{order_id}")
            view.update(answer.json())
            return answer.status == 200 and view["status"] in ENDED

        wait_for(has_ended, patience, f"an end of {order_id}")
        return view

    def ledger(self, order_id: str) -> list[dict[str, Any]]:
        """What happened to this order's money, oldest first."""
        entries = fetch(self.urls["payments"] + "/sandbox/ledger").json()
        return [entry for entry in entries if entry["order_id"] == order_id]

    def messages(self) -> list[dict[str, Any]]:
        return list(fetch(self.urls["mail"] + "/sandbox/messages").json())

    def faults(self, target: str, *rules: Mapping[str, Any], seed: int = 7) -> None:
        """Replace the fault plan of "payments" or "mail"; without rules, take it away."""
        edge = f"{self.urls[target]}/sandbox/faults"
        answer = fetch(edge, "PUT", {"seed": seed, "rules": rules}) if rules else fetch(edge, "DELETE")
        assert 200 <= answer.status < 300, answer.body
