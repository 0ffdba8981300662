"""Identifies processes by id and start time: the system reuses an id once its process is gone."""

from __future__ import annotations

import psutil

# Linux counts from its boot, whose time it gives in whole seconds.
SAME_BEGINNING_S = 2.0


def start_time(pid: int) -> float | None:
    """The start of the process with that id, in seconds of the system's clock; None when there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def is_still(pid: int, since: float) -> bool:
    """Whether the process that began then still runs."""
    now = start_time(pid)
    return now is not None and abs(now - since) < SAME_BEGINNING_S


def workers_of(devhost: int) -> dict[str, int]:
    """The processes of a devhost that run the app's code, by name: worker, worker1, worker2 and so on."""
    try:
        children = psutil.Process(devhost).children()
    except psutil.NoSuchProcess:
        return {}
    return {f"worker{place or ''}": pid for place, pid in enumerate(sorted(child.pid for child in children))}
