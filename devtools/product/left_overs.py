"""Stops the processes that a killed start left running on the same folder.

Each process id is kept with the start time of its process, so that an id which the system has since given to another
process is left alone.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from devtools.places import LINUX, SIGKILL
from devtools.printing import say
from devtools.processes.identity import is_still
from devtools.processes.signals import wait_until


def left_overs_of(data: Path) -> Path:
    return data / "processes.json"


def stop_left_overs(data: Path) -> None:
    """Stop the processes that a killed start left running on this folder, Azurite last."""
    for name, pid, since in reversed(_noted(left_overs_of(data))):
        if since is not None and is_still(pid, since):
            say(f"Stopping {name} (process {pid}), left over from a start that was killed.")
            _stop_left_over(pid, since)
    left_overs_of(data).unlink(missing_ok=True)


def _noted(file: Path) -> list[tuple[str, int, float | None]]:
    """The processes of a note. A damaged note ends none: half a number would be another program's process."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(rows, list) and all(map(_is_of_a_process, rows)):
            return [(name, pid, since) for name, pid, since in rows]
    except FileNotFoundError:
        return []
    except (PermissionError, ValueError, RecursionError):
        pass
    say(f"Warning: {file} is damaged, so processes that a killed start may have left running are not stopped.")
    return []


def _is_of_a_process(row: Any) -> bool:
    """`[name, process id, start time or null]`; 0, 1 and negative numbers are never the id of a child."""
    if not isinstance(row, list) or len(row) != 3 or type(row[1]) is not int:
        return False
    return isinstance(row[0], str) and row[1] > 1 and (row[2] is None or type(row[2]) is float)


TIME_TO_DIE_WITH_US = 5.0


def _stop_left_over(pid: int, since: float) -> None:
    def gone() -> bool:
        return not is_still(pid, since)

    # Its death signal has reached it already, and Azurite takes a second one as an order to drop everything.
    if LINUX and wait_until(gone, TIME_TO_DIE_WITH_US):
        return
    os.kill(pid, signal.SIGTERM)
    if not wait_until(gone, patience=30):
        os.kill(pid, SIGKILL)
        wait_until(gone, patience=5)
