"""Paths of this folder, its environment and its data, and the system's names for programs."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Another environment for another Python, for the tests on each of them.
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
