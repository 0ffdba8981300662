"""Counts the app's requests to other servers: proxies that forward and note each request.

A note has the verb as of a single row and the place: `PUT orders`, `GET stock`, `PUT labels`, `POST stripe`, `mail`,
`push`. Requests for the task hub are devhost's, and noted as `devhost`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import aiohttp
from aiohttp import web

from devtools.places import LOOPBACK
from devtools.processes.forwarding import forward
from devtools.processes.ports import Ports, address, free_ports_in_a_row

DEVHOST = "devhost"
TABLES = ("orders", "orderindex", "stock", "stripeevents")
VERBS = {"POST": "PUT", "PATCH": "PUT", "MERGE": "PUT", "HEAD": "GET"}
IN_A_BATCH = re.compile(r"^(?:PUT|PATCH|POST|MERGE|DELETE) http\S+/(\w+)(?:\(|[?\s])", re.MULTILINE)

Name = Callable[[str, str, bytes], str]


def of_tables(method: str, path: str, body: bytes) -> str:
    if path.endswith("$batch"):
        written = [table for table in IN_A_BATCH.findall(body.decode("utf-8", "replace")) if table in TABLES]
        return f"PUT {written[0]}" if written else DEVHOST
    place = next((table for table in TABLES if re.search(rf"/{table}(?:[(?/]|$)", path)), None)
    return f"{VERBS.get(method, method)} {place}" if place else DEVHOST


def of_blobs(method: str, path: str, _body: bytes) -> str:
    return f"{VERBS.get(method, method)} labels" if re.search(r"/labels(?:[?/]|$)", path) else DEVHOST


def of_stripe(method: str, _path: str, _body: bytes) -> str:
    return f"{method} stripe"


def of_mail(_method: str, path: str, _body: bytes) -> str:
    return "push" if "/messages" in path else "alert"


@asynccontextmanager
async def counted(ports: Ports, requests: list[str]) -> AsyncIterator[Ports]:
    """Ports to use in place of these. Every request is noted in `requests` on its arrival, and forwarded."""
    first = free_ports_in_a_row()
    proxied = replace(ports, payments=first, smtp=first + 1, mail=first + 2, blob=first + 3, table=first + 4)
    names: dict[str, Name] = {"payments": of_stripe, "mail": of_mail, "blob": of_blobs, "table": of_tables}
    async with AsyncExitStack() as running:
        session = await running.enter_async_context(
            aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        )
        for server, name in names.items():
            pass_on = partial(_pass_on, session, address(getattr(ports, server)), name, requests)
            await running.enter_async_context(_serving(getattr(proxied, server), pass_on))
        await running.enter_async_context(_mail_passing(proxied.smtp, ports.smtp, requests))
        yield proxied


@asynccontextmanager
async def _serving(port: int, pass_on: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[None]:
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{rest:.*}", pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
        yield
    finally:
        await runner.cleanup()


async def _pass_on(
    session: aiohttp.ClientSession, target: str, name: Name, requests: list[str], request: web.Request
) -> web.StreamResponse:
    body = await request.read()
    requests.append(name(request.method, request.raw_path, body))
    return await forward(session, target, request, body)


@asynccontextmanager
async def _mail_passing(port: int, target: int, requests: list[str]) -> AsyncIterator[None]:
    """Each connection carries one mail."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append("mail")
        to_server = await asyncio.open_connection(LOOPBACK, target)
        await asyncio.gather(_copy(reader, to_server[1]), _copy(to_server[0], writer))

    async with await asyncio.start_server(connected, LOOPBACK, port):
        yield


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
