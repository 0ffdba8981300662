"""A devhost as a process, and requests to it over HTTP."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from azure.data.tables import TableServiceClient

from devtools.processes.http import HttpResponse

ROOT = Path(__file__).resolve().parents[3]
APPS = ROOT / "tests" / "devhost" / "apps"
FEATURES = APPS / "features"
FINISHED = ("Completed", "Failed", "Terminated")

T = TypeVar("T")


@dataclass
class Devhost:
    """One devhost on a hub and a notes file of its own; it can be killed and started again."""

    storage: str
    port: int
    folder: Path
    app: Path = FEATURES
    arguments: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    hub: str = field(default_factory=lambda: f"Hub{uuid4().hex[:12]}")
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "devhost.log").read_text(encoding="utf-8", errors="replace")

    @property
    def notes(self) -> list[str]:
        return self.notes_file.read_text(encoding="utf-8").splitlines()

    @property
    def notes_file(self) -> Path:
        return self.folder / "notes.txt"

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start the process and return at once."""
        self.notes_file.touch()
        environment = {
            **os.environ,
            "AzureWebJobsStorage": self.storage,
            "HUB": self.hub,
            "NOTES": str(self.notes_file),
            "TICK": "0 0 0 1 1 *",
            "AzureWebJobs.switched_off.Disabled": "true",
            **self.settings,
        }
        command = [sys.executable, "-m", "devhost", "--app", str(self.app), "--port", str(self.port), *self.arguments]
        with (self.folder / "devhost.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log, stdout=log)
        return self.process

    def start(self) -> "Devhost":
        """Start the process and return when it serves."""
        process = self.launch()
        until(lambda: process.poll() is not None or self._answers())
        assert process.poll() is None, self.log
        return self

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as Ctrl-C in a service manager would; its exit status."""
        return self._end(signal.SIGTERM, within_s=15)

    def _end(self, how: signal.Signals, within_s: float = 60) -> int:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        return self.process.wait(within_s)

    def _answers(self) -> bool:
        try:
            return self.get("/").status == 200
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.request("GET", path, None, **headers)

    def post(self, path: str, content: Any = None, **headers: str) -> HttpResponse:
        body = b"" if content is None else json.dumps(content).encode()
        return self.request("POST", path, body, **{"Content-Type": "application/json", **headers})

    def delete(self, path: str) -> HttpResponse:
        return self.request("DELETE", path, None)

    def request(self, method: str, path: str, body: bytes | None, **headers: str) -> HttpResponse:
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return HttpResponse(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return HttpResponse(error.code, error.headers, error.read())

    def api(self, path: str) -> str:
        return f"/runtime/webhooks/durabletask{path}"

    def begin(self, orchestrator: str, value: Any = None, instance_id: str = "") -> str:
        """Start an instance through the SDK's client; its id."""
        response = self.post(f"/api/start/{orchestrator}" + (f"?id={instance_id}" if instance_id else ""), value)
        assert response.status == 202, (response.status, response.text, self.log)
        return str(response.json()["id"])

    def begin_over_http(self, orchestrator: str, value: Any = None) -> str:
        """Start an instance through the API alone: the worker, which may be about to die, takes no part; its id.

        The SDK wants such an input as JSON in a JSON text.
        """
        response = self.post(self.api(f"/orchestrators/{orchestrator}"), json.dumps(value))
        assert response.status == 202, (response.status, response.text, self.log)
        return str(response.json()["id"])

    def status(self, instance_id: str, query: str = "") -> Any:
        response = self.get(self.api(f"/instances/{instance_id}{query}"))
        return response.json()

    def finished(self, instance_id: str, within_s: float = 60) -> Any:
        """The status of an instance once it has ended."""

        def ended() -> Any:
            status = self.status(instance_id)
            return status if status and status["runtimeStatus"] in FINISHED else None

        return until(ended, within_s, lambda: f"{instance_id}: {self.status(instance_id)}\n{self.log}")

    def run(self, orchestrator: str, value: Any = None, instance_id: str = "") -> Any:
        """Start an instance and wait for its end; its status."""
        return self.finished(self.begin(orchestrator, value, instance_id))

    def event(self, instance_id: str, name: str, content: Any) -> HttpResponse:
        return self.post(self.api(f"/instances/{instance_id}/raiseEvent/{name}"), content)

    def rows(self, table: str, instance_id: str) -> list[dict[str, Any]]:
        """The rows of one instance, by the ordinary table client; `table` is Instances or History."""
        with TableServiceClient.from_connection_string(self.storage) as service:
            client = service.get_table_client(f"{self.hub}{table}")
            return [dict(row) for row in client.query_entities(f"PartitionKey eq '{instance_id}'")]

    def events(self, instance_id: str) -> list[str]:
        """The event types of an instance's history, in order."""
        return [row["EventType"] for row in self.rows("History", instance_id) if row["RowKey"] != "sentinel"]


def until(condition: Callable[[], T], within_s: float = 60, say: Callable[[], str] = lambda: "") -> T:
    """The first true answer of a condition. Raises AssertionError after `within_s`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {say()}")


def workers_in(folder: Path) -> list[int]:
    """The processes that carry this host's notes file in their environment."""
    mark = str(folder / "notes.txt").encode()
    workers = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes() and b"devhost.worker" in (process / "cmdline").read_bytes():
                workers.append(int(process.name))
        except OSError:
            continue
    return workers
