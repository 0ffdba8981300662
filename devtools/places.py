"""Where what is run is: this folder, its environment, its data, and how the system names things."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Another environment for another Python, as the tests on each of them want it.
VENV = ROOT / os.environ.get("DEV_VENV", ".venv")
AZURITE = ROOT / "devtools" / "azurite"
DATA = ROOT / ".local"
LOOPBACK = "127.0.0.1"
WINDOWS = os.name == "nt"
LINUX = sys.platform == "linux"
SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has one way to end a process
Word = str | Path


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if WINDOWS else "bin/python")
