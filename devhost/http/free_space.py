"""Whether the disk of the data folder has room: without it devhost accepts nothing new.

Azurite answers 201 to a write that it cannot save, and loses the write when it stops (3.36, tried on a full disk). So
devhost measures the disk itself. The space below the limit is for the instances that are under way. Azurite saves by
writing a whole new file beside the old one, so the limit is above the size of its files.
"""

import asyncio
import logging
import shutil
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from devhost.http.responses import Refusal, json_response
from devhost.settings import BadSettings

log = logging.getLogger("devhost.space")

FOLDER, LIMIT = "DEVHOST_DATA", "DEVHOST_MIN_FREE_MB"
DEFAULT_LIMIT_MB = "200"
MB = 1_000_000
LOOK_EACH_S = 1.0
RETRY_AFTER_S = 30
DATABASES = "*/__azurite_db_*.json"
TAKING = {"POST", "PUT", "PATCH"}


class FreeSpace:
    """`fault` is the reason for refusing new work, as a sentence without a path; None while there is room."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Without the setting of the folder no disk is watched. Raises BadSettings for a limit that is no number."""
        limit = environment.get(LIMIT) or DEFAULT_LIMIT_MB
        if not (limit.isascii() and limit.isdecimal()):
            raise BadSettings(f"{LIMIT} must be a whole number of MB (0: no limit); it is '{limit}'.")
        folder = environment.get(FOLDER)
        self._folder, self._limit_mb = Path(folder) if folder else None, int(limit)
        self.fault: str | None = None
        self.look()

    def look(self) -> None:
        """Measure the disk now, and log a change."""
        before, self.fault = self.fault, self._fault()
        if self.fault and not before:
            log.warning("%s Nothing new is taken until then. The folder is %s.", self.fault, self._folder)
        elif before and not self.fault:
            log.info("The disk of the data folder has room again: requests are taken as before.")

    async def watch(self) -> None:
        """Measure the disk for ever."""
        while self._folder and self._limit_mb:
            await asyncio.sleep(LOOK_EACH_S)
            self.look()

    def check(self, method: str) -> None:
        """Raises Refusal for a request that would store something new. DELETE is allowed: it frees space."""
        if self.fault and method in TAKING:
            raise LowOnSpace(HTTPStatus.SERVICE_UNAVAILABLE, self.fault)

    def _fault(self) -> str | None:
        if not self._folder or not self._limit_mb:
            return None
        try:
            free = shutil.disk_usage(self._folder).free // MB
            needed = self._limit_mb + sum(file.stat().st_size for file in self._folder.glob(DATABASES)) // MB
        except OSError as fault:
            return f"The data folder ({FOLDER}) cannot be looked at ({fault.strerror}): put it back and start again."
        if free >= needed:
            return None
        return (
            f"The disk of the data folder has {free} MB free and needs {needed} MB ({LIMIT} and the size of what "
            "Azurite saves): free some space on it."
        )


class LowOnSpace(Refusal):
    """The answer while there is too little room: a problem document (RFC 9457) with the time until a retry."""

    def response(self) -> web.Response:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        problem = {"type": "about:blank", "title": status.phrase, "status": status, "detail": self.body}
        answer = json_response(status, problem, {"Retry-After": str(RETRY_AFTER_S)})
        answer.content_type = "application/problem+json"
        return answer
