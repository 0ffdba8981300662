"""Starts the sandbox's processes for their own tests, which kill and restart them as the shared fixtures never do."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[3]
KEY = "sk_test_sandbox"
PATIENCE_S = 60.0
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class SandboxResponse:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The `error` of one of Stripe's error answers."""
        error = self.json()["error"]
        assert isinstance(error, dict)
        return error


def call(
    method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None, wait_s: float = 20
) -> SandboxResponse:
    """One request on a connection of its own; never repeated, so that a test counts what it sends."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=wait_s)
    try:
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), body or None, headers or {})
        response = connection.getresponse()
        return SandboxResponse(
            response.status, {name.lower(): it for name, it in response.getheaders()}, response.read()
        )
    finally:
        connection.close()


@dataclass
class SandboxProcess:
    """`python -m sandbox.<name>` on ports and data of its own."""

    name: str
    port: int
    data: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "SandboxProcess":
        command = [sys.executable, "-m", f"sandbox.{self.name}", "--port", str(self.port), "--data", str(self.data)]
        self.process = subprocess.Popen(
            [*command, *self.options], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        eventually(self._is_ready)
        return self

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Stop as a user does; the exit status."""
        return self._end(signal.SIGTERM)

    def ledger(self) -> list[dict[str, Any]]:
        return list(call("GET", f"{self.url}/sandbox/ledger").json())

    def events(self, order_id: str) -> list[str]:
        return [row["event"] for row in self.ledger() if row["order_id"] == order_id]

    def messages(self) -> list[dict[str, Any]]:
        return list(call("GET", f"{self.url}/sandbox/messages").json())

    def plan(self, *rules: dict[str, Any], seed: int = 7) -> SandboxResponse:
        return self.put_plan({"seed": seed, "rules": list(rules)})

    def put_plan(self, plan: Any) -> SandboxResponse:
        return call("PUT", f"{self.url}/sandbox/faults", json.dumps(plan).encode(), JSON)

    def clear_faults(self) -> SandboxResponse:
        """Delete the plan: it lets go of the calls that it holds."""
        return call("DELETE", f"{self.url}/sandbox/faults")

    def v1(
        self, method: str, path: str, params: dict[str, str] | None = None, key: str = "", wait_s: float = 20
    ) -> SandboxResponse:
        """A call of Stripe's API, without the retries of Stripe's own client."""
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
        headers |= {"Idempotency-Key": key} if key else {}
        return call(method, f"{self.url}/v1/{path}", urlencode(params or {}).encode(), headers, wait_s)

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended: {self.process.communicate()[1]}")
        try:
            return call("GET", f"{self.url}/sandbox/health").status == 200
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE_S)
        status, self.process = self.process.returncode, None
        return status


def eventually(holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Ask until the answer is true, and return it; fail when it never is."""
    deadline = time.monotonic() + patience_s
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"not within {patience_s} s"
        time.sleep(0.02)
    return answer
