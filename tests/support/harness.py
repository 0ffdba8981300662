"""The app on devhost alone, its storage behind proxies: for what a whole `dev.py start` cannot be made to suffer.

The fixture `new_harness` makes them, each on ports and a task hub of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from devtools.places import ROOT
from devtools.processes.http import says_ok
from devtools.processes.ports import STORAGE_ACCOUNT, STORAGE_KEY
from devtools.processes.programs import launch
from tests.support.outside_view import OutsideView, wait_for
from tests.support.servers import Azurite, FreePorts, Sandbox
from tests.support.storage_proxy import StorageProxy


class Harness:
    """`python -m devhost` on this repository, with short retries. `kill` and `start` keep the data.

    For the length of a block its storage is there, behind `tables` and `blobs`. At the end of the block the app is
    stopped, and the sandbox has no faults any more. `outside` is what an outsider sees of the app that `start` started.
    """

    outside: OutsideView

    def __init__(
        self, ports: FreePorts, azurite: Azurite, sandbox: Sandbox, log: Path, *arguments: str, **settings: str
    ) -> None:
        origin = {name: getattr(azurite, name).rsplit("/", 1)[0] for name in ("table", "blob")}
        self.tables, self.blobs = (StorageProxy(ports(1), address) for address in origin.values())
        port = ports(1)
        self.hub = f"Proxied{port}"
        account = STORAGE_ACCOUNT
        self.storage = (
            f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={STORAGE_KEY};"
            f"BlobEndpoint={self.blobs.address}/{account};TableEndpoint={self.tables.address}/{account};"
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
        self._block = contextlib.ExitStack()

    def __enter__(self) -> Harness:
        for proxy in (self.tables, self.blobs):
            self._block.enter_context(proxy)
        self._block.callback(self.sandbox.clear_faults)
        self._block.callback(self.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._block.close()

    def start(self) -> OutsideView:
        self._process = launch(self._command, self.log, self._environment)
        wait_for(lambda: says_ok(f"{self.host}/api/health"), 60, f"health; {self.log.read_text()[-2000:]}")
        self.outside = OutsideView(self.urls)
        return self.outside

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
