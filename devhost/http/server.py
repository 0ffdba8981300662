"""The HTTP server: the app's functions by their routes, and the Durable API beside them on one port.

A bare aiohttp server with routing of its own, because the routes of a Functions app follow ASP.NET's rules (see
routing.py) and not aiohttp's.
"""

import hmac
import logging
import re
import socket
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import PayloadAccessError, RequestPayloadError
from multidict import CIMultiDict

from devhost.http import routing
from devhost.http.bodies import Bodies, ClientGone
from devhost.http.client_binding import RPC, WEBHOOK
from devhost.http.free_space import FreeSpace
from devhost.http.orchestration_api import OrchestrationApi
from devhost.http.queries import readable
from devhost.http.responses import Refusal, empty
from devhost.worker_host.supervisor import WorkerSupervisor
from loopback.visitors import Refused, Visitors

log = logging.getLogger("devhost.http")

STARTS = re.compile(r"orchestrators/|entities/|instances/[^/]+/restart", re.IGNORECASE)
HEADERS_WITHIN_S = 30.0
"""How long a connection may be idle, or take to send the headers of a request: Kestrel's limit for headers."""
CLIENTS_FAULTS = (ConnectionError, HttpProcessingError, RequestPayloadError, PayloadAccessError)
FRAMING = ("content-length", "transfer-encoding", "connection")
HOME_PAGE = "<!doctype html><title>devhost</title><p>Your Durable Functions app is up and running.</p>"


class HttpServer:
    """`key` is the function, admin and system key; None: no key is needed, as under `func start`.

    `front`: the path of the app's front page, which `/` shows if the app has one; None: `/` shows nothing.
    `secret` is part of the address of the Durable API that the worker's client calls, and replaces the key there.
    """

    def __init__(
        self,
        routes: list[routing.Route],
        worker: WorkerSupervisor,
        management: OrchestrationApi,
        *,
        visitors: Visitors,
        bodies: Bodies,
        key: str | None,
        secret: str,
        front: str | None,
        space: FreeSpace,
    ) -> None:
        self._routes, self._worker, self._management = routes, worker, management
        self._visitors, self._bodies, self._space = visitors, bodies, space
        self._key, self._secret, self._front = key, secret, front

    async def serve(self, listener: socket.socket) -> web.ServerRunner:
        """Answer the requests of a bound socket until the runner is cleaned up."""
        logging.getLogger("aiohttp.server").addFilter(is_no_fault_of_a_client)
        options: dict[str, Any] = {"auto_decompress": False, "keepalive_timeout": HEADERS_WITHIN_S}
        runner = web.ServerRunner(web.Server(self.handle, access_log=None, **options), shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        return runner

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        refused = self._visitors.refused(request.method, request.headers, keyless=self._key is None)
        if refused:
            return refusal_in_words(refused)
        try:
            return await self._route(request)
        except Refusal as refusal:
            return refusal.response()
        except ClientGone:
            return empty(HTTPStatus.BAD_REQUEST)  # never sent
        except Exception:
            log.exception("%s %s could not be answered.", request.method, request.path)
            return empty(HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _route(self, request: web.BaseRequest) -> web.Response:
        path = readable(request.raw_path).split("?", 1)[0]
        for base, handler in ((f"{WEBHOOK}/", self._webhook), (f"{RPC}/", self._rpc)):
            if path.lower().startswith(base):
                return await handler(request, path[len(base) :])
        match = routing.find(self._routes, request.method, path)
        if match:
            return await self._call(request, *match)
        if path == "/":
            return await self._home(request)
        return empty(HTTPStatus.NOT_FOUND)

    async def _webhook(self, request: web.BaseRequest, path: str) -> web.Response:
        self._check_key(request)
        self._space.check(request.method)
        return await self._management.handle(request, f"/{path}")

    async def _rpc(self, request: web.BaseRequest, path: str) -> web.Response:
        key, _, rest = path.partition("/")
        if not is_same(key, self._secret):
            return await self._webhook(request, path)
        if STARTS.match(rest):  # a function may still wake or end an instance that is under way
            self._space.check(request.method)
        return await self._management.handle(request, f"/{rest}")

    async def _home(self, request: web.BaseRequest) -> web.Response:
        """The app's front page, if it serves one at the root of its routes; else a page that says that it runs."""
        if self._front is None:
            return empty(HTTPStatus.NO_CONTENT)
        match = routing.find(self._routes, request.method, self._front)
        if match:
            return await self._call(request, *match)
        return web.Response(text=HOME_PAGE, content_type="text/html")

    async def _call(self, request: web.BaseRequest, route: routing.Route, values: dict[str, str]) -> web.Response:
        if route.function["auth_level"] != "anonymous":
            self._check_key(request)
        self._space.check(request.method)
        # As on the real host, a chunked upload arrives empty.
        body = await self._bodies.read(request) if request.content_length else b""
        fields = {**request_fields(request), "route_params": values}
        reply = await self._worker.call_once("http", route.function["name"], body, **fields)
        return function_response(reply.header, reply.body) if reply else empty(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _check_key(self, request: web.BaseRequest) -> None:
        key = request.headers.get("x-functions-key") or request.query.get("code") or ""
        if self._key is not None and not is_same(key, self._key):
            raise Refusal(HTTPStatus.UNAUTHORIZED)


def is_same(key: str, secret: str) -> bool:
    """Whether a text is the secret. The time taken does not show where they differ."""
    return hmac.compare_digest(key.encode("utf-8", "surrogatepass"), secret.encode("utf-8", "surrogatepass"))


def refusal_in_words(refused: Refused) -> web.Response:
    response = web.Response(status=refused.status, text=refused.sentence)
    response.force_close()
    return response


def is_no_fault_of_a_client(record: logging.LogRecord) -> bool:
    """A filter for the log of aiohttp's server: a client that leaves, or sends no HTTP, gives no traceback."""
    return record.exc_info is None or not isinstance(record.exc_info[1], CLIENTS_FAULTS)


def request_fields(request: web.BaseRequest) -> dict[str, Any]:
    """A request as func.HttpRequest shows it: lower-case header names, repeated values joined, empty ones dropped."""
    params: dict[str, str] = {}
    for name, text in request.query.items():
        if text:
            key, value = readable(name), readable(text)
            params[key] = f"{params[key]},{value}" if key in params else value
    headers: dict[str, str] = {}
    for name, text in request.headers.items():
        key, value = readable(name).lower(), readable(text)
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    return {
        "method": request.method,
        "url": f"{request.scheme}://{request.host}{readable(request.raw_path)}",
        "headers": headers,
        "params": params,
    }


def function_response(header: dict[str, Any], body: bytes) -> web.Response:
    """The app's response; devhost sets its length, and writes header names in their usual case."""
    pairs = [(name.title(), value) for name, value in header["headers"] if name.lower() not in FRAMING]
    return web.Response(status=header["status"], body=body, headers=CIMultiDict(pairs))
