"""The app on devhost alone, its storage behind proxies: for what a whole `dev.py start` cannot be made to suffer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from devtools.places import ROOT
from devtools.processes.http import says_ok
from devtools.processes.ports import STORAGE_ACCOUNT, STORAGE_KEY
from devtools.processes.programs import launch
from tests.e2e.storage_proxy import StorageProxy
from tests.e2e.world import World, wait_for
from tests.support.servers import Azurite, Sandbox


class AppOnDevhost:
    """`python -m devhost` on this repository, with short retries. `kill` and `start` keep the data."""

    def __init__(
        self,
        port: int,
        tables: StorageProxy,
        blobs: StorageProxy,
        sandbox: Sandbox,
        log: Path,
        *arguments: str,
        **settings: str,
    ) -> None:
        self.hub = f"Proxied{port}"
        account = STORAGE_ACCOUNT
        self.storage = (
            f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={STORAGE_KEY};"
            f"BlobEndpoint={blobs.address}/{account};TableEndpoint={tables.address}/{account};"
        )
        self.host = f"http://127.0.0.1:{port}"
        self.log = log
        self.sandbox = sandbox
        self._command = [sys.executable, "-m", "devhost", "--app", str(ROOT), "--port", str(port), *arguments]
        example = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))["Values"]
        self._environment = {
            **os.environ,
            **example,
            "AzureWebJobsStorage": self.storage,
            "STRIPE_API_BASE": sandbox.payments,
            "SMTP_URL": sandbox.smtp,
            "PUSH_CONNECTION": sandbox.push_connection,
            "ALERT_WEBHOOK_URL": f"{sandbox.mail}/sandbox/alerts",
            "STEP_RETRY_SECONDS": "1",
            # Never: apps that share a storage account would each revive the other's orders.
            "SWEEP_SCHEDULE": "0 0 0 29 2 *",
            "AzureFunctionsJobHost__extensions__durableTask__hubName": self.hub,
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> World:
        self._process = launch(self._command, self.log, self._environment)
        wait_for(lambda: says_ok(f"{self.host}/api/health"), 60, f"health; {self.log.read_text()[-2000:]}")
        return World(self.urls)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_for_death(self) -> None:
        """After somebody else's kill."""
        assert self._process is not None
        self._process.wait(30)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    @property
    def urls(self) -> dict[str, Any]:
        """As `urls.json` has them."""
        return {
            "host": self.host,
            "payments": self.sandbox.payments,
            "mail": self.sandbox.mail,
            "storage_connection_string": self.storage,
            "task_hub": self.hub,
        }


class Stage(NamedTuple):
    """A world whose storage can be made to fail."""

    world: World
    tables: StorageProxy
    blobs: StorageProxy
    app: AppOnDevhost


def proxies(ports: Callable[[int], int], azurite: Azurite) -> tuple[StorageProxy, StorageProxy]:
    """One for tables, one for blobs."""
    origin = {name: getattr(azurite, name).rsplit("/", 1)[0] for name in ("table", "blob")}
    return StorageProxy(ports(1), origin["table"]), StorageProxy(ports(1), origin["blob"])
