"""HTTP/1.1 to storage: one request at a time on each connection, connections kept and used again.

devhost has its own client because aiohttp was most of the cost of a write: the eight requests of a trivial
orchestration took 4 ms of CPU through aiohttp, and take half of it here, signatures and rows included; Azurite takes 5
to answer them. The client reads the answers of storage services: a status, headers, and a body of a stated length, in
chunks, or none. It has no redirects, compression, cookies or proxies. Requests of the app (call_http) go through
aiohttp.

If storage has closed a connection meanwhile, the next request on it fails. That request is repeated once on a new
connection: every write of devhost can be repeated.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import SplitResult, urlsplit, urlunsplit

IDLE_S = 4.0  # Node closes a connection after 5 idle seconds
TIMEOUT_S = 30.0
MAX_CONNECTIONS = 64
NO_BODY = (204, 304)
HEAD_END = b"\r\n\r\n"


class BadResponse(ConnectionError):
    """The received bytes are no HTTP answer."""


@dataclass(frozen=True)
class StorageResponse:
    """Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received, self._chunks = bytearray(), bytearray()
        self._head: tuple[int, dict[str, str]] | None = None
        self._waiting: asyncio.Future[StorageResponse] | None = None
        self.used_at = time.monotonic()
        self.uses = 0
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, fault: Exception | None) -> None:
        self.open = False
        self._fail(fault or ConnectionResetError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            answer = self._answer()
        except (ValueError, IndexError) as fault:
            self._fail(BadResponse(f"not an HTTP answer: {fault}"))
            self.close()
            return
        if answer and self._waiting and not self._waiting.done():
            self._waiting.set_result(answer)

    async def ask(self, request: bytes) -> StorageResponse:
        """Send a request and wait for its answer. Raises ConnectionError, TimeoutError."""
        assert self._transport is not None
        self._received.clear()
        self._chunks.clear()
        self._head, self._waiting = None, asyncio.get_running_loop().create_future()
        self.uses += 1
        try:
            self._transport.write(request)
            answer = await self._waiting
        except BaseException:
            self.close()  # later bytes belong to no request
            raise
        self.used_at = time.monotonic()
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        self.open = False
        if self._transport:
            self._transport.close()

    def _fail(self, fault: Exception) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(fault)

    def _answer(self) -> StorageResponse | None:
        """The answer, once it is complete."""
        if self._head is None:
            end = self._received.find(HEAD_END)
            if end < 0:
                return None
            self._head = _head(bytes(self._received[:end]))
            del self._received[: end + len(HEAD_END)]
        status, headers = self._head
        body = self._body(status, headers)
        return None if body is None else StorageResponse(status, headers, body)

    def _body(self, status: int, headers: Mapping[str, str]) -> bytes | None:
        """The body, or None while it is incomplete."""
        if status in NO_BODY:
            return b""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._join_chunks()
        length = int(headers.get("content-length", 0))
        return bytes(self._received[:length]) if len(self._received) >= length else None

    def _join_chunks(self) -> bytes | None:
        while (end := self._received.find(b"\r\n")) >= 0:
            size = int(bytes(self._received[:end]).split(b";")[0], 16)
            start = end + 2
            if len(self._received) < start + size + 2:
                return None
            if size == 0:
                return bytes(self._chunks)
            self._chunks += self._received[start : start + size]
            del self._received[: start + size + 2]
        return None


def _head(text: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = text.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(first.split(" ", 2)[1]), headers


@dataclass
class _Endpoint:
    """One address, and its idle connections, the last used at the end."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    places: asyncio.Semaphore
    idle: list[_Connection] = field(default_factory=list)

    async def connection(self) -> _Connection:
        while self.idle:
            idle = self.idle.pop()
            if idle.open and time.monotonic() - idle.used_at < IDLE_S:
                return idle
            idle.close()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(TIMEOUT_S):
            _, fresh = await loop.create_connection(_Connection, self.host, self.port, ssl=self.tls)
        return fresh


class StorageHttp:
    """The connections to the endpoints of an account; `close` when done."""

    def __init__(self) -> None:
        self._endpoints: dict[str, _Endpoint] = {}

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> StorageResponse:
        """Make a request; `url` and `headers` are sent as they are. Raises OSError (TimeoutError included)."""
        parts = urlsplit(url)
        endpoint = self._endpoints.get(parts.netloc) or self._add(parts)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        head = f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{lines}"
        wire = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        try:
            async with endpoint.places:
                return await self._ask(endpoint, wire)
        except TimeoutError:
            raise TimeoutError(f"no answer within {TIMEOUT_S:.0f} s") from None

    async def _ask(self, endpoint: _Endpoint, wire: bytes) -> StorageResponse:
        while True:
            connection = await endpoint.connection()
            fresh = connection.uses == 0
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    answer = await connection.ask(wire)
            except ConnectionError:
                if fresh:
                    raise
            else:
                if connection.open:
                    endpoint.idle.append(connection)
                return answer

    def _add(self, parts: SplitResult) -> _Endpoint:
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        port = parts.port or (443 if tls else 80)
        places = asyncio.Semaphore(MAX_CONNECTIONS)
        return self._endpoints.setdefault(parts.netloc, _Endpoint(parts.hostname or "", port, tls, places))

    async def __aenter__(self) -> "StorageHttp":
        return self

    async def __aexit__(self, *_: object) -> None:
        for endpoint in self._endpoints.values():
            for connection in endpoint.idle:
                connection.close()
