"""The deployment under load: requests to it are repeated while it is away."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from devtools.api_client import Away, Target, client_options, read
from devtools.trouble import Trouble

AWAY_AT_MOST_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0


class Deployment:
    """One client for all orders. Every call may be repeated: its id, its ETag or its state make it idempotent.

    `again` finds the deployment anew, because a restarted one may have another address.
    """

    def __init__(self, to: Target, at_once: int, again: Callable[[], Target]) -> None:
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        self._client = httpx.AsyncClient(limits=limits, **client_options(to))
        self._to, self._again = to, again
        self._away_since: float | None = None

    async def close(self) -> None:
        await self._client.aclose()

    @property
    def away_s(self) -> float:
        """Seconds since the last answer."""
        return 0.0 if self._away_since is None else time.monotonic() - self._away_since

    async def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON of a success. Raises Refused for a 4xx, Trouble after a minute without an answer."""
        wait = FIRST_PAUSE_S
        while True:
            try:
                answer = read(await self._once(method, path, body, headers), self._to)
            except Away as away:
                self._note_away(away)
                await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the callers, no more
                wait = min(2 * wait, LONGEST_PAUSE_S)
                self._find_again()
            else:
                self._away_since = None
                return answer

    async def _once(self, method: str, path: str, body: object, headers: Mapping[str, str] | None) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, json=body, headers=headers)
        except httpx.TransportError as fault:
            raise Away(f"{self._to.origin} does not answer ({type(fault).__name__}).") from None
        if answer.status_code >= 500:  # the host's own answer, while its worker or its storage restarts
            raise Away(f"{self._to.origin} answers {answer.status_code}.")
        return answer

    def _note_away(self, why: Away) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
        if self.away_s > AWAY_AT_MOST_S:
            raise Trouble(f"{why} It has been away for {AWAY_AT_MOST_S:.0f} s, so the load ends.")

    def _find_again(self) -> None:
        try:
            self._to = self._again()
        except Trouble:
            return  # it is not there yet
        self._client.base_url = self._to.origin
