"""HTTP to storage, against a server that answers in all the ways in which one may, and in some in which it may not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from devhost.storage import http_client
from devhost.storage.http_client import BadResponse, StorageHttp, StorageResponse

Script = list[list[bytes]]


@dataclass
class Server:
    """Answers the n-th request with the n-th list of pieces; an empty list closes the connection instead."""

    script: Script
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await self._request(reader):
                self.requests.append(head)
                pieces = self.script[len(self.requests) - 1]
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if not pieces:
                    break
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head + await reader.readexactly(length)


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[Server, StorageHttp]]:
    server = Server(script)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening, StorageHttp() as http:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/account"
        yield server, http


def in_a_loop(script: Script, use: Callable[[Server, StorageHttp], Awaitable[None]]) -> Server:
    async def run() -> Server:
        async with serving(script) as (server, http):
            await use(server, http)
            return server

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b: c\r\n\r\nhello"], (200, b"hello")),
        ([b"HTTP/1.1 404 Not ", b"Found\r\nContent-Length: 4\r", b"\n\r\nlo", b"st"], (404, b"lost")),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], (204, b"")),
        ([b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"], (201, b"")),
        (
            [
                b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
                b"c\r\nA;x=y\r\n0123456789\r\n",
                b"0\r\n\r\n",
            ],
            (202, b"abc0123456789"),
        ),
    ],
)
def test_an_answer_is_read_however_it_is_framed_and_cut(pieces: list[bytes], answer: tuple[int, bytes]) -> None:
    async def use(server: Server, http: StorageHttp) -> None:
        for _ in range(2):
            response = await http.request("GET", f"{server.url}/x?y=z", {"Accept": "a"})
            assert (response.status, response.body) == answer

    server = in_a_loop([pieces, pieces], use)
    assert server.requests[0].startswith(b"GET /account/x?y=z HTTP/1.1\r\nHost: 127.0.0.1:")
    assert server.connections == 1, "a connection is used again"


def test_headers_have_lower_case_names_and_whole_values() -> None:
    async def use(server: Server, http: StorageHttp) -> None:
        response = await http.request("PUT", server.url, {"A": "1"}, b"body")
        assert response == StorageResponse(200, {"etag": 'W/"a:b"', "content-length": "0"}, b"")

    server = in_a_loop([[b'HTTP/1.1 200 OK\r\nETag:  W/"a:b"\r\nContent-Length: 0\r\n\r\n']], use)
    assert server.requests[0].endswith(b"A: 1\r\nContent-Length: 4\r\n\r\nbody")


WELL = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]


@pytest.mark.parametrize("method", ["GET", "POST", "MERGE"])
def test_a_kept_connection_that_was_closed_meanwhile_is_not_an_outage(method: str) -> None:
    async def use(server: Server, http: StorageHttp) -> None:
        for _ in range(2):
            assert (await http.request(method, server.url, {})).status == 200

    assert in_a_loop([WELL, [], WELL], use).connections == 2


def test_a_new_connection_that_is_closed_is_an_outage() -> None:
    async def use(server: Server, http: StorageHttp) -> None:
        with pytest.raises(ConnectionError):
            await http.request("GET", server.url, {})

    in_a_loop([[]], use)


def test_where_nobody_listens_is_an_outage_and_no_proxy_of_the_environment_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def use(server: Server, http: StorageHttp) -> None:
        assert (await http.request("GET", server.url, {})).status == 200
        with pytest.raises(ConnectionError):
            await http.request("GET", "http://127.0.0.1:9/account", {})

    in_a_loop([WELL], use)


def test_a_connection_that_is_to_be_closed_is_not_used_again() -> None:
    async def use(server: Server, http: StorageHttp) -> None:
        for _ in range(2):
            assert (await http.request("GET", server.url, {})).status == 200

    closing = [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"]
    assert in_a_loop([closing, WELL], use).connections == 2


def test_what_is_no_http_is_an_outage_and_the_next_request_is_not_hurt() -> None:
    async def use(server: Server, http: StorageHttp) -> None:
        with pytest.raises(BadResponse):
            await http.request("GET", server.url, {})
        assert (await http.request("GET", server.url, {})).status == 200

    in_a_loop([[b"SSH-2.0\r\n\r\n"], WELL], use)


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "TIMEOUT_S", 0.05)

    async def use(server: Server, http: StorageHttp) -> None:
        with pytest.raises(TimeoutError, match="no answer within 0 s"):
            await http.request("GET", server.url, {})
        assert (await http.request("GET", server.url, {})).status == 200

    assert in_a_loop([[b"HTTP/1.1 200 OK\r\n"], WELL], use).connections == 2


def test_many_requests_at_once_each_have_their_own_answer() -> None:
    def answer(number: int) -> list[bytes]:
        return [f"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n{number:06}".encode()]

    async def use(server: Server, http: StorageHttp) -> None:
        responses = await asyncio.gather(*(http.request("GET", server.url, {}) for _ in range(200)))
        assert sorted(int(each.body) for each in responses) == list(range(200))

    assert in_a_loop([answer(number) for number in range(200)], use).connections <= http_client.MAX_CONNECTIONS
