"""Waits for storage that does not answer, and raises for storage that refuses.

A development storage is stopped and started all day, and no acknowledged work may be lost by that. So a request is
repeated until it is answered. The log has a line when storage stops answering, and one when it answers again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

log = logging.getLogger("devhost.storage")

T = TypeVar("T")
MAX_WAIT_S = 2.0


class StorageRefused(Exception):
    """Storage refused a request: `status` is the HTTP status, the text contains storage's answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"storage answered {status}: {text[:500]}")
        self.status = status


class NotNow(Exception):
    """Storage answered that it is busy at the moment."""


class StorageRetry:
    """Repeats a request until storage answers; logs once when answers stop and once when they are back.

    `answered` counts the requests that were answered.
    """

    def __init__(self) -> None:
        self._away = False
        self.answered = 0

    async def until_answered(self, call: Callable[[], Awaitable[T]]) -> T:
        wait = 0.05
        while True:
            try:
                result = await call()
            except (OSError, NotNow) as fault:
                self._say_away(fault)
                await asyncio.sleep(wait)
                wait = min(wait * 2, MAX_WAIT_S)
            else:
                self._say_back()
                self.answered += 1
                return result

    def _say_away(self, fault: Exception) -> None:
        if not self._away:
            log.warning(
                "Storage does not answer (%s): is Azurite running? devhost waits for it; nothing is lost.", fault
            )
        self._away = True

    def _say_back(self) -> None:
        if self._away:
            log.warning("Storage answers again.")
        self._away = False
