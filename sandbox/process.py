"""The frame of a sandbox process: its ports, its control edge, its end.

Ports are bound before any file is opened, so that a second copy on the same ports stops before it can change the data
of the first. Only 127.0.0.1 is served, so that no other machine can reach a sandbox.
"""

import argparse
import asyncio
import json
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from loopback.visitors import ALLOW_HOST, Visitors, is_json
from sandbox.faults import Faults, PlanRefused
from sandbox.ledger import Damaged, Ledger, NotKept

SHUTDOWN_S = 1.0
"""The time for open requests after the signal to stop."""


def arguments(program: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--port", type=int, required=True, help="HTTP port on 127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="directory of the ledger and the fault plan")
    parser.add_argument("--allow-host", **ALLOW_HOST)
    return parser


def application(allowed: list[str]) -> web.Application:
    """An application that answers programs on this machine, and no page of another site. `allowed`: host names."""
    gate = Visitors(allowed)

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = gate.refused(request.method, request.headers, keyless=True)
        if refused:
            return web.json_response({"error": refused.sentence}, status=refused.status)
        return await handler(request)

    return web.Application(middlewares=[let_in, _refuse_when_not_kept])


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1. If there is none, the process ends with one sentence."""
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=256)
    except (OSError, OverflowError) as error:
        sys.exit(f"Port {port} on 127.0.0.1 cannot be used ({error}): stop what uses it, or choose another port.")
    # Connections inherit this option. Without it an answer in several writes (EHLO's) waits 40 ms for a delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def run(serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a process until a signal stops it; a fault of its data is one sentence, not a traceback."""
    try:
        asyncio.run(serve())
    except Damaged as damage:
        sys.exit(f"The sandbox cannot keep its data: {damage}")
    except OSError as fault:
        if fault.filename is None:
            raise
        reason = f"{fault.filename} cannot be used ({fault.strerror})"
        sys.exit(f"The sandbox cannot keep its data: {reason}: move it away, or name another folder with --data.")


async def serve_until_stopped(app: web.Application, on: socket.socket) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, auto_decompress=False)
    await runner.setup()
    await web.SockSite(runner, on).start()
    try:
        await _stop_signal()
    finally:
        await runner.cleanup()


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    await stop.wait()


def cut(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer; the returned response is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def control_edge(app: web.Application, ledger_path: str, ledger: Ledger, faults: Faults) -> None:
    """The routes for tests and people: `GET` health and ledger; `GET`, `PUT` and `DELETE` of the fault plan."""

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def rows(_request: web.Request) -> web.Response:
        return web.json_response(ledger.rows)

    async def plan(_request: web.Request) -> web.Response:
        return web.json_response(faults.plan)

    async def replace(request: web.Request) -> web.Response:
        return _replaced(faults, request.headers.get("Content-Type", ""), await request.read())

    async def clear(_request: web.Request) -> web.Response:
        faults.clear()
        return web.json_response(faults.plan)

    app.router.add_get("/sandbox/health", health)
    app.router.add_get(ledger_path, rows)
    app.router.add_get("/sandbox/faults", plan)
    app.router.add_put("/sandbox/faults", replace)
    app.router.add_delete("/sandbox/faults", clear)


@web.middleware
async def _refuse_when_not_kept(request: web.Request, handler: Handler) -> web.StreamResponse:
    """503, in the form of Stripe's errors, for a call that could not be stored and so had no effect."""
    try:
        return await handler(request)
    except NotKept as fault:
        return web.json_response({"error": {"type": "api_error", "message": str(fault)}}, status=503)


def _replaced(faults: Faults, content_type: str, body: bytes) -> web.Response:
    if body and not is_json(content_type):
        return web.json_response({"error": "A fault plan is sent as application/json."}, status=415)
    try:
        faults.replace(json.loads(body))
    except PlanRefused as refused:
        return web.json_response({"error": str(refused)}, status=400)
    except (ValueError, RecursionError):
        return web.json_response({"error": "A fault plan is JSON."}, status=400)
    return web.json_response(faults.plan)
