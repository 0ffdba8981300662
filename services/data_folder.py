"""The disk that a storage emulator on this machine keeps the orders on, for the health answer.

In Azure neither setting is set, and nothing is checked. On a laptop `dev.py start` sets the folder. devhost reads the
same two settings, and refuses new requests below the limit.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

FOLDER, LIMIT = "DEVHOST_DATA", "DEVHOST_MIN_FREE_MB"
DEFAULT_LIMIT_MB = 200
MB = 1_000_000


def faults(env: Mapping[str, str]) -> list[str]:
    """A sentence, without a path, when the disk has less room than the limit and the files that Azurite saves anew."""
    folder, limit_mb = env.get(FOLDER), int(env.get(LIMIT) or DEFAULT_LIMIT_MB)
    if not folder or not limit_mb:
        return []
    try:
        free = shutil.disk_usage(folder).free // MB
        needed = limit_mb + sum(file.stat().st_size for file in Path(folder).glob("*/__azurite_db_*.json")) // MB
    except OSError as fault:
        return [f"The data folder ({FOLDER}) cannot be looked at ({fault.strerror}): put it back and start again."]
    if free >= needed:
        return []
    return [f"The disk of the data folder has {free} MB free and needs {needed} MB ({LIMIT}): no order is taken."]
