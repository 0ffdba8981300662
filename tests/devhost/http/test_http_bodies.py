"""Bodies and heads of requests are bounded while they are read, and a client that leaves is no traceback."""

import asyncio
import contextlib
import gzip
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiohttp import web

from devhost.http import server
from devhost.http.bodies import CONTINUE, Bodies, ClientGone
from devhost.http.free_space import FreeSpace
from devhost.http.orchestration_api import OrchestrationApi
from devhost.http.responses import Refusal, empty
from devhost.http.server import HttpServer
from devhost.worker_host.supervisor import WorkerSupervisor
from loopback.visitors import Visitors

HEAD = b"POST /runtime/webhooks/durabletask/x HTTP/1.1\r\nHost: localhost\r\n"
LIMIT = 1000


class Reading:
    """Reads bodies as the Durable API does. `read`: the body of each request, or why it was not read."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.read: list[Any] = []

    async def handle(self, request: web.BaseRequest, _path: str) -> web.Response:
        try:
            body = await self._bodies.read(request)
        except (Refusal, ClientGone) as end:
            self.read.append(end.status if isinstance(end, Refusal) else "gone")
            raise
        self.read.append(body)
        return empty(200)


@asynccontextmanager
async def serving(grace_s: float = 0.3, limit: int = LIMIT) -> AsyncIterator[tuple[int, Reading]]:
    bodies = Bodies(limit, grace_s)
    reading = Reading(bodies)
    worker, management = cast(WorkerSupervisor, None), cast(OrchestrationApi, reading)
    doors: dict[str, Any] = {"visitors": Visitors(), "key": None, "secret": "its own", "space": FreeSpace({})}
    edge = HttpServer([], worker, management, bodies=bodies, front="/api", **doors)
    listener = socket.create_server(("127.0.0.1", 0))
    runner = await edge.serve(listener)
    try:
        yield listener.getsockname()[1], reading
    finally:
        await runner.cleanup()


def exchange(*parts: bytes, pause_s: float = 0, **options: Any) -> tuple[bytes, list[Any]]:
    """Send parts, with a pause between them; the answer, and the bodies that were read."""

    async def run() -> tuple[bytes, list[Any]]:
        async with serving(**options) as (port, reading):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause_s)
            answer = await until_silence(reader)
            writer.close()
            return answer, reading.read

    return asyncio.run(run())


async def until_silence(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends or nothing comes for a moment. The answer itself may take long."""
    answer, patience_s = b"", 10.0
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(patience_s):
                part = await reader.read(65536)
            answer += part
            patience_s = 0.1 if answer.replace(CONTINUE, b"") else patience_s
            if not part:
                break
    return answer


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def sized(body: bytes, size: int | None = None) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) if size is None else size) + body


def chunked(*chunks: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + framed


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_body_up_to_the_limit_is_read_however_it_is_framed(size: int) -> None:
    body = b"x" * size
    assert exchange(sized(body))[1] == [body]
    assert exchange(chunked(*([body] if body else []), b""))[1] == [body]


@pytest.mark.parametrize(
    "request_",
    [
        sized(b"x" * (LIMIT + 1)),
        sized(b"", 10**15),
        chunked(b"x" * (LIMIT + 1), b""),
        chunked(*[b"x" * 100] * 11),
        chunked(b"x" * LIMIT, b"x"),
    ],
)
def test_a_body_beyond_the_limit_is_413_before_its_end(request_: bytes) -> None:
    answer, read = exchange(request_)
    assert (status(answer), read) == (413, [413])


def test_nothing_is_inflated() -> None:
    packed = gzip.compress(b"x" * 1_000_000)
    head = HEAD + b"Content-Encoding: gzip\r\n"
    assert len(packed) > LIMIT
    assert exchange(head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed, limit=2000)[1] == [packed]


def test_a_body_that_comes_too_slowly_is_408() -> None:
    for request in (sized(b"x", 100), chunked(b"x")):
        answer, read = exchange(request, pause_s=0.6)
        assert (status(answer), read) == (408, [408])


def test_a_body_that_comes_in_pieces_is_given_the_time_that_it_needs() -> None:
    """The last one after the grace; each long before it is late, also on a machine that is busy."""
    parts = [b"x" * 200] * 4
    assert exchange(sized(b"", 800), *parts, pause_s=0.25, grace_s=0.9)[1] == [b"x" * 800]


def test_a_client_may_ask_before_it_sends_a_body() -> None:
    answer, read = exchange(HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", b"abc", pause_s=0.05)
    assert (answer.split(b"\r\n")[0], read) == (b"HTTP/1.1 100 Continue", [b"abc"])
    assert b"HTTP/1.1 200 OK" in answer
    refused, _ = exchange(HEAD + b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
    assert status(refused) == 413


@pytest.mark.parametrize(
    "request_",
    [
        sized(b"half of i", 20),
        chunked(b"half"),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nff",
        HEAD,
        b"POST",
        b"",
    ],
)
def test_a_client_that_leaves_early_is_no_traceback(request_: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with serving(grace_s=5) as (port, _):
            for how in ("abort", "close", "write_eof"):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request_)
                await writer.drain()
                await asyncio.sleep(0.05)
                getattr(writer.transport, how)()
                await asyncio.sleep(0.1)
                writer.close()

    with caplog.at_level(logging.INFO):
        asyncio.run(run())
    assert [record.message for record in caplog.records] == []


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nno size\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
        b"GET //[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff?\xff=\xfe HTTP/1.1\r\nHost: localhost\r\nX\xff: \xff\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\xff\xff\xff",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_no_traceback(request_: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answer, _ = exchange(request_)
    assert 200 <= status(answer) < 500
    assert [record.message for record in caplog.records] == []


@pytest.mark.parametrize("head", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_headers_that_do_not_come_end_the_connection(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also behind a request that was answered, and however steadily a byte drips in."""
    monkeypatch.setattr(server, "HEADERS_WITHIN_S", 0.4)

    async def closed_in_time(before: bytes) -> None:
        async with serving() as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(before + head)
            async with asyncio.timeout(10):
                with contextlib.suppress(ConnectionError):
                    while not reader.at_eof():
                        writer.write(b"x" if head else b"")
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(reader.read(1000), 0.1)
            writer.close()

    asyncio.run(closed_in_time(b""))
    asyncio.run(closed_in_time(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
