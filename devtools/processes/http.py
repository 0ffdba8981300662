"""One HTTP request at a time, to servers of this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any


@dataclass(frozen=True)
class HttpResponse:
    """The answer of an HTTP server, of any status."""

    status: int
    headers: Message[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


# Requests to 127.0.0.1 must not use the environment's proxy.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(
    url: str, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None, patience: float = 30
) -> HttpResponse:
    """One request; a body is sent as JSON, bytes unchanged. Raises OSError without an answer, never for a status."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, all_headers, method=method)  # noqa: S310 - only addresses of our own
    try:
        with _opener.open(request, timeout=patience) as answer:
            return HttpResponse(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return HttpResponse(refusal.code, refusal.headers, refusal.read())


def says_ok(url: str) -> bool:
    try:
        return fetch(url, patience=5).status == 200
    except OSError:
        return False
