"""A product of a tool's own, run by `dev.py start`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devtools.places import ROOT, Word
from devtools.processes.files import last_line
from devtools.processes.ports import free_ports_in_a_row
from devtools.processes.programs import end, launch
from devtools.processes.signals import wait_until
from devtools.trouble import Trouble


@contextlib.contextmanager
def product_of_its_own(folder: Path, **settings: str) -> Iterator[dict[str, Any]]:
    """A `dev.py start` on that folder and free ports, for the length of a block. Yields its urls.json."""
    command: list[Word] = [sys.executable, ROOT / "dev.py", "start", "--data", folder]
    log, urls = folder / "logs" / "start.log", folder / "urls.json"
    process = launch([*command, "--port", str(free_ports_in_a_row())], log, {**os.environ, **settings})
    try:
        if not wait_until(lambda: urls.exists() or process.poll() is not None, patience=180) or not urls.exists():
            raise Trouble(f"The product did not become ready: {last_line(log)} ({log}).")
        yield json.loads(urls.read_text(encoding="utf-8"))
    finally:
        end(process, patience=90)
