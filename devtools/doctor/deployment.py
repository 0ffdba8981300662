"""The deployment that is looked at, as its visitors meet it: with the function key and without one."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx

from devtools.api_client import Away, Target, client_options
from devtools.trouble import Trouble


class Deployment:
    """Asks with the key only where a check says so. `to` is its address."""

    def __init__(self, to: Target) -> None:
        self.to = to
        self._stranger = httpx.Client(**client_options(dataclasses.replace(to, key=None)))
        self._key_holder = httpx.Client(**client_options(to))

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *error: object) -> None:
        self._stranger.close()
        self._key_holder.close()

    def ask(self, path: str, *, method: str = "GET", with_key: bool = False, body: object = None) -> httpx.Response:
        """The answer, whatever its status. Raises Away if there is none."""
        client = self._key_holder if with_key else self._stranger
        try:
            return client.request(method, path, json=body)
        except httpx.TransportError as fault:
            raise Away(f"{self.to.origin} does not answer ({type(fault).__name__}): is --url right?") from None
        except (httpx.InvalidURL, UnicodeError):
            raise Trouble(f"{self.to.origin} is no address that can be asked.") from None


def members(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; empty if it has none."""
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
