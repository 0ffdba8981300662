"""`python -m devhost --app DIR --port P`: serve one Durable Functions app until it is told to stop."""

import argparse
import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from pathlib import Path

import aiohttp
from aiohttp import web

from devhost import routing
from devhost.blobs import Blobs
from devhost.client_binding import client_binding
from devhost.engine import Engine, Limits
from devhost.functions import Functions
from devhost.http_server import HttpEdge
from devhost.hub_lock import HubTaken, lock_hub
from devhost.management import Management
from devhost.settings import BadSettings, Settings, load
from devhost.store import ForeignHub, Store
from devhost.tables import Outage, StorageRefused, Tables
from devhost.worker_link import AppRefused, WorkerLink

log = logging.getLogger("devhost")

HOST = "127.0.0.1"
DEFAULT_PORT = 7071
STOP_WITHIN_S = 3.0
STORAGE_TIMEOUT_S = 30.0
STORAGE_CONNECTIONS = 64


class PortTaken(Exception):
    """The port is in use."""


def main() -> int:
    """Serve; the exit status is 0 after a stop that was asked for, 1 when it could not serve."""
    arguments = parse_arguments(sys.argv[1:])
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    try:
        asyncio.run(serve(arguments.app.resolve(), arguments.port, arguments.enable_auth))
    except AppRefused as refusal:
        return _refuse(*refusal.sentences)
    except StorageRefused as refusal:
        return _refuse(f"Storage refuses devhost (is the key in AzureWebJobsStorage right?): {refusal}")
    except (BadSettings, PortTaken, HubTaken, ForeignHub, routing.BadRoute) as refusal:
        return _refuse(str(refusal))
    return 0


def parse_arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("devhost", description="A development host for Durable Functions apps in Python.")
    parser.add_argument("--app", type=Path, default=Path(), help="the folder of function_app.py (default: this one)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"the port to serve on (default: {DEFAULT_PORT})"
    )
    parser.add_argument("--enable-auth", action="store_true", help="ask for a key, as Azure does")
    return parser.parse_args(given)


async def serve(app: Path, port: int, enable_auth: bool) -> None:
    """Serve until SIGTERM or SIGINT. Raises one of the refusals that `main` prints."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listener = bind(port)
    settings = load(app, {**os.environ, "WEBSITE_HOSTNAME": f"localhost:{port}"})
    hub_file = lock_hub(settings.account.table_endpoint, settings.hub)
    key = settings.environment.get("DEVHOST_FUNCTION_KEY") or secrets.token_urlsafe(24)
    worker = WorkerLink(app, settings.environment, client_binding(port, settings.hub, key if enable_auth else ""))
    timeout = aiohttp.ClientTimeout(total=STORAGE_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=STORAGE_CONNECTIONS)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False) as session:
        try:
            await run(settings, worker, session, listener, key if enable_auth else None, stop)
        finally:
            await worker.close()
            hub_file.close()


async def run(
    settings: Settings,
    worker: WorkerLink,
    session: aiohttp.ClientSession,
    listener: socket.socket,
    key: str | None,
    stop: asyncio.Event,
) -> None:
    """Put the parts together, continue what is unfinished, serve."""
    outage = Outage()
    tables, blobs = Tables(settings.account, session, outage), Blobs(settings.account, session, outage)
    store = Store(settings.hub, tables, blobs)
    functions = Functions(await worker.start(), settings.environment)
    routes = routing.build(settings.route_prefix, functions.with_trigger("httpTrigger"))
    await store.open()
    limits = Limits(
        settings.max_activities, settings.max_orchestrators, settings.store_inputs, settings.override_any_state
    )
    engine = Engine(store, worker, functions, limits)
    unfinished = await engine.resume()
    management = Management(engine, store, functions, key or "", settings.default_version)
    home_page = settings.environment.get("AzureWebJobsDisableHomepage", "").lower() != "true"
    edge = HttpEdge(routes, worker, management, key, home_page)
    runner = web.ServerRunner(web.Server(edge.handle, access_log=None))
    await runner.setup()
    await web.SockSite(runner, listener, shutdown_timeout=1.0).start()
    announce(routes, settings, listener.getsockname()[1], key, unfinished)
    await stop.wait()
    log.info("Stopping.")
    await engine.stop(STOP_WITHIN_S)
    await runner.cleanup()


def announce(routes: list[routing.Route], settings: Settings, port: int, key: str | None, unfinished: int) -> None:
    for route in routes:
        methods = ",".join(sorted(route.methods)) or "any"
        log.info("%s: [%s] http://%s:%d/%s", route.function["name"], methods, HOST, port, route.template)
    if key is not None:
        log.info("Function key: %s", key)
    if unfinished:
        log.info("%d unfinished instance(s) go on.", unfinished)
    log.info("Serving the task hub '%s' on http://%s:%d.", settings.hub, HOST, port)


def bind(port: int) -> socket.socket:
    """The socket to serve on. Raises PortTaken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name != "nt":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as fault:
        listener.close()
        raise PortTaken(f"Port {port} is taken: stop what listens there, or choose another with --port.") from fault
    return listener


def _refuse(*sentences: str) -> int:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
