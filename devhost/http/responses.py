"""The two kinds of answers of the HTTP edge: without a body, and with a JSON one."""

from typing import Any

from aiohttp import web

from devhost.history.events import compact_json


class Refusal(Exception):
    """An answer that ends a request early; `body` is JSON, None is an empty body."""

    def __init__(self, status: int, body: Any = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.body = status, body

    def response(self) -> web.Response:
        return empty(self.status) if self.body is None else json_response(self.status, self.body)


def empty(status: int) -> web.Response:
    return web.Response(status=status)


def json_response(status: int, content: Any, headers: dict[str, str] | None = None) -> web.Response:
    body = compact_json(content).encode()
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8", headers=headers)
