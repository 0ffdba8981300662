"""The HTTP edge: the app's functions by their routes, and the Durable API beside them on one port.

A bare aiohttp server with routing of its own, because the routes of a Functions app follow ASP.NET's rules (see
routing.py) and not aiohttp's.
"""

import hmac
import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from devhost import routing
from devhost.client_binding import RPC, WEBHOOK
from devhost.free_space import FreeSpace
from devhost.management import Management
from devhost.responses import Refusal, empty
from devhost.worker_link import CallTimedOut, WorkerDied, WorkerLink

log = logging.getLogger("devhost.http")

MAX_BODY_BYTES = 104_857_600
STARTS = re.compile(r"orchestrators/|entities/|instances/[^/]+/restart", re.IGNORECASE)
FRAMING = ("content-length", "transfer-encoding", "connection")
HOME_PAGE = "<!doctype html><title>devhost</title><p>Your Durable Functions app is up and running.</p>"


class HttpEdge:
    """`key` is the function, admin and system key; None: no key is asked for, as under `func start`.

    `secret` stands in the address of the Durable API that the worker's client calls; it stands in for the key there.
    """

    def __init__(
        self,
        routes: list[routing.Route],
        worker: WorkerLink,
        management: Management,
        *,
        key: str | None,
        secret: str,
        home_page: bool,
        space: FreeSpace,
    ) -> None:
        self._routes, self._worker, self._management = routes, worker, management
        self._key, self._secret, self._home_page, self._space = key, secret, home_page, space

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)
        except Refusal as refusal:
            return refusal.response()
        except Exception:
            log.exception("%s %s could not be answered.", request.method, request.path)
            return empty(HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _route(self, request: web.BaseRequest) -> web.Response:
        path = request.raw_path.split("?", 1)[0]
        for base, handler in self._built_in():
            if path.lower().startswith(base):
                return await handler(request, path[len(base) :])
        found = routing.find(self._routes, request.method, path)
        if found:
            return await self._call(request, *found)
        if path == "/":
            return self._home()
        return empty(HTTPStatus.NOT_FOUND)

    def _built_in(self) -> list[tuple[str, Callable[[web.BaseRequest, str], Awaitable[web.Response]]]]:
        return [(f"{WEBHOOK}/", self._webhook), (f"{RPC}/", self._rpc)]

    async def _webhook(self, request: web.BaseRequest, path: str) -> web.Response:
        self._check_key(request)
        self._space.check(request.method)
        return await self._management.handle(request, f"/{path}")

    async def _rpc(self, request: web.BaseRequest, path: str) -> web.Response:
        given, _, rest = path.partition("/")
        if not is_same(given, self._secret):
            return await self._webhook(request, path)
        if STARTS.match(rest):  # a function may still wake or end what is under way
            self._space.check(request.method)
        return await self._management.handle(request, f"/{rest}")

    def _home(self) -> web.Response:
        if not self._home_page:
            return empty(HTTPStatus.NO_CONTENT)
        return web.Response(text=HOME_PAGE, content_type="text/html")

    async def _call(self, request: web.BaseRequest, route: routing.Route, values: dict[str, str]) -> web.Response:
        if route.function["auth_level"] != "anonymous":
            self._check_key(request)
        self._space.check(request.method)
        body = await read_body(request)
        name = route.function["name"]
        try:
            reply = await self._worker.call("http", name, body, **request_fields(request), route_params=values)
        except WorkerDied as death:
            log.error("The worker %s while it ran the function '%s'.", death.how, name)
            return empty(HTTPStatus.INTERNAL_SERVER_ERROR)
        except CallTimedOut as late:
            log.error("%s", late)
            return empty(HTTPStatus.INTERNAL_SERVER_ERROR)
        if not reply.ok:
            log.error("The function '%s' raised:\n%s", name, reply.stack)
            return empty(HTTPStatus.INTERNAL_SERVER_ERROR)
        return function_response(reply.header, reply.body)

    def _check_key(self, request: web.BaseRequest) -> None:
        given = request.headers.get("x-functions-key") or request.query.get("code") or ""
        if self._key is not None and not is_same(given, self._key):
            raise Refusal(HTTPStatus.UNAUTHORIZED)


def is_same(given: str, secret: str) -> bool:
    """Whether a text of any characters is the secret, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode("utf-8", "surrogatepass"))


async def read_body(request: web.BaseRequest) -> bytes:
    """The body of a request with a Content-Length; as on the real host, a chunked upload arrives empty."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return await request.content.read() if request.content_length else b""


def request_fields(request: web.BaseRequest) -> dict[str, Any]:
    """A request as func.HttpRequest shows it: lower-case header names, repeated values joined, empty ones dropped."""
    params: dict[str, str] = {}
    for name, value in request.query.items():
        if value:
            params[name] = f"{params[name]},{value}" if name in params else value
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    return {
        "method": request.method,
        "url": f"{request.scheme}://{request.host}{request.raw_path}",
        "headers": headers,
        "params": params,
    }


def function_response(header: dict[str, Any], body: bytes) -> web.Response:
    """The app's response; its length is ours to state, and names are written as people expect them."""
    pairs = [(name.title(), value) for name, value in header["headers"] if name.lower() not in FRAMING]
    return web.Response(status=header["status"], body=body, headers=CIMultiDict(pairs))
