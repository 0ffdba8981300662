"""`--watch`: a changed file replaces the worker by one with the new code, and reloads the host's functions.

Changes are found by polling, twice a second. For an app of two hundred files a poll takes about a millisecond. Polling
needs no library, and it works on every system and drive. The worker is replaced only after two equal polls, so that a
checkout of a branch is one change.

If the new code cannot be loaded, the old worker stays, and the log says why.
"""

import asyncio
import fnmatch
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from devhost.http.routing import BadRoute
from devhost.settings import BadSettings
from devhost.triggers.cron import BadSchedule
from devhost.worker_host.failures import AppRefused

log = logging.getLogger("devhost.watch")

LOOK_EACH_S = 0.5
SETTINGS = ("host.json", "local.settings.json")
REFUSALS = (AppRefused, BadRoute, BadSchedule, BadSettings)

Stamps = dict[str, tuple[int, int]]


class Reloader:
    """Watches for changes since its creation."""

    def __init__(self, app: Path) -> None:
        self._app, self._known = app, stamps(app)

    async def follow(self, renew: Callable[[], Awaitable[str]]) -> None:
        """Look for changes for ever. `renew` replaces the workers and returns the end of a log sentence."""
        while True:
            current = await self._look()
            while current != self._known and current != (later := await self._look()):
                current = later
            changed, self._known = changes(self._known, current), current
            if changed:
                await act_on(changed, renew)

    async def _look(self) -> Stamps:
        await asyncio.sleep(LOOK_EACH_S)
        return await asyncio.to_thread(stamps, self._app)


async def act_on(changed: list[str], renew: Callable[[], Awaitable[str]]) -> None:
    """Replace the worker if code has changed, and log the outcome in one line."""
    for name in changed:
        if name in SETTINGS:
            log.warning("%s has changed. devhost reads it only at its start, so restart devhost.", name)
    code = [name for name in changed if name not in SETTINGS]
    if not code:
        return
    files = code[0] if len(code) == 1 else f"{code[0]} and {len(code) - 1} more"
    try:
        outcome = await renew()
    except REFUSALS as refusal:
        reason = getattr(refusal, "in_short", str(refusal)).rstrip(".")
        log.error("%s changed, and the app cannot be served (%s): the code from before is still served.", files, reason)
    else:
        log.info("%s changed: %s.", files, outcome)


def stamps(app: Path) -> Stamps:
    """The time of the last write and the size of each file of the app, by its path below the app's folder."""
    by_path: Stamps = {}
    ignored = left_out(app)
    folders = [""]
    while folders:
        folder = folders.pop()
        for entry in _entries(app / folder):
            path = f"{folder}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if is_code(entry) and not any(fnmatch.fnmatch(path, pattern) for pattern in ignored):
                    folders.append(f"{path}/")
            elif path.endswith(".py") or path in SETTINGS:
                by_path |= _stamp(path, entry)
    return by_path


def is_code(folder: "os.DirEntry[str]") -> bool:
    """Whether a folder may hold code of the app: no folder with a dot, `__pycache__`, packages, or an environment."""
    if folder.name.startswith((".", "__")) or folder.name == "node_modules":
        return False
    return not Path(folder.path, "pyvenv.cfg").exists()


def left_out(app: Path) -> list[str]:
    """The folders that `.funcignore` excludes from publishing: they are no part of the app."""
    try:
        lines = (app / ".funcignore").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line.strip().strip("/") for line in lines if line.strip() and not line.startswith(("#", "!"))]


def changes(before: Stamps, after: Stamps) -> list[str]:
    """The files that were written, made or deleted."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # deleted since its parent was read
        return []


def _stamp(path: str, entry: "os.DirEntry[str]") -> Stamps:
    try:
        status = entry.stat()
    except OSError:
        return {}
    return {path: (status.st_mtime_ns, status.st_size)}
