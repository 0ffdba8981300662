"""`python -m devhost --app DIR --port P`: serve one Durable Functions app until a signal stops it."""

import sys

from devhost.worker_host.sdk_version import unfit

if __name__ == "__main__" and (reason := unfit()):
    sys.exit(reason)  # first: with another SDK, a name that is imported below may be missing

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from devhost.entities.dispatcher import EntityDispatcher, EntityOptions
from devhost.execution.executor import OrchestrationExecutor
from devhost.execution.orchestrator_calls import OrchestratorCalls
from devhost.execution.speculative_turns import SpeculativeTurns
from devhost.http import routing
from devhost.http.bodies import Bodies
from devhost.http.client_binding import client_binding
from devhost.http.entity_api import EntityApi
from devhost.http.free_space import FreeSpace
from devhost.http.orchestration_api import OrchestrationApi
from devhost.http.server import HttpServer
from devhost.loaded_app import LoadedApp
from devhost.orchestration.activity_runner import ActivityRunner
from devhost.orchestration.engine import Collaborators, Engine, Options
from devhost.orchestration.entity_outbox import deliver
from devhost.orchestration.instance_registry import InstanceRegistry
from devhost.reloader import Reloader
from devhost.settings import BadSettings, Settings, load
from devhost.storage.blobs import Blobs
from devhost.storage.http_client import StorageHttp
from devhost.storage.hub_lock import HubTaken, lock_hub
from devhost.storage.queues import Queues
from devhost.storage.retry import StorageRefused, StorageRetry
from devhost.storage.tables import Tables
from devhost.storage.task_hub import ForeignHub, TaskHub
from devhost.triggers.cron import BadSchedule
from devhost.worker_host.failures import AppRefused
from devhost.worker_host.supervisor import WorkerSupervisor
from loopback.visitors import ALLOW_HOST, Visitors

log = logging.getLogger("devhost")

HOST = "127.0.0.1"
DEFAULT_PORT = 7071
STOP_WITHIN_S = 3.0
JOINED_EVENTS = 50


class PortTaken(Exception):
    """The port is in use."""


REFUSALS = (BadSettings, PortTaken, HubTaken, ForeignHub, routing.BadRoute, BadSchedule)


def main() -> int:
    """Serve; the exit status is 0 after a requested stop, 1 when devhost could not serve."""
    arguments = parse_arguments(sys.argv[1:])
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    try:
        asyncio.run(serve(arguments))
    except AppRefused as refusal:
        return _refuse(*refusal.sentences)
    except KeyboardInterrupt:
        return 0
    except StorageRefused as refusal:
        return _refuse(f"Storage refuses devhost (is the key in AzureWebJobsStorage right?): {refusal}")
    except REFUSALS as refusal:
        return _refuse(str(refusal))
    return 0


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("devhost", description="A development host for Durable Functions apps in Python.")
    parser.add_argument("--app", type=Path, default=Path(), help="the folder of function_app.py (default: this one)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"the port to serve on (default: {DEFAULT_PORT})"
    )
    parser.add_argument("--enable-auth", action="store_true", help="ask for a key, as Azure does")
    parser.add_argument("--allow-host", **ALLOW_HOST)
    parser.add_argument(
        "--full-replays",
        action="store_true",
        help="replay an orchestration from its start in every turn",
    )
    parser.add_argument("--watch", action="store_true", help="replace the worker when a file of the app changes")
    return parser.parse_args(words)


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT. Raises one of the refusals that `main` prints."""
    stop = stop_signal()
    app, port = arguments.app.resolve(), arguments.port
    listener = bind(port)
    settings = load(app, {**os.environ, "WEBSITE_HOSTNAME": f"localhost:{port}"})
    space = FreeSpace(settings.environment)
    key = function_key(settings) if arguments.enable_auth else None
    secret = secrets.token_urlsafe(24)
    binding = client_binding(port, settings.hub, key or "", secret)
    worker = supervisor(app, settings, binding)
    with lock_hub(settings.account.table_endpoint, settings.hub):
        try:
            watch = Reloader(app) if arguments.watch else None
            doors = Doors(key, secret, Visitors(arguments.allow_host), space)
            await serve_hub(Parts(settings, worker, listener, doors, watch, arguments.full_replays), stop)
        finally:
            await worker.close()


def supervisor(app: Path, settings: Settings, binding: str) -> WorkerSupervisor:
    turns, limit_s, count = settings.max_orchestrators, settings.function_timeout_s, settings.worker_processes
    return WorkerSupervisor(app, settings.environment, binding, turns=turns, limit_s=limit_s, count=count)


def function_key(settings: Settings) -> str:
    """The function key of the settings, or a new one."""
    return settings.environment.get("DEVHOST_FUNCTION_KEY") or secrets.token_urlsafe(24)


class Doors(NamedTuple):
    """How HttpServer authorizes a request."""

    key: str | None
    secret: str
    visitors: Visitors
    space: FreeSpace


@dataclass(frozen=True)
class Parts:
    """The parts of a host that is about to open. `watch`: the reloader whose changes it follows, if any."""

    settings: Settings
    worker: WorkerSupervisor
    listener: socket.socket
    doors: Doors
    watch: Reloader | None
    full_replays: bool


async def serve_hub(parts: Parts, stop: asyncio.Event) -> None:
    async with StorageHttp() as http:
        retry = StorageRetry()
        opening, stopping = asyncio.create_task(open_hub(parts, http, retry)), asyncio.create_task(stop.wait())
        # Both, because opening may wait for storage as long as it takes.
        await asyncio.wait((opening, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            opening.cancel()
            return
        engine, runner, app = only_fault_of(opening)
        watching = [asyncio.create_task(parts.doors.space.watch())]
        if parts.watch:
            watching.append(asyncio.create_task(parts.watch.follow(app.renew)))
        await stopping
        for each in watching:
            each.cancel()
        app.stop_timers()
        await engine.stop(STOP_WITHIN_S)
        await runner.cleanup()
        log.info("Stopped, after %d requests to storage.", retry.answered)


Opened = tuple[Engine, web.ServerRunner, LoadedApp]


async def open_hub(parts: Parts, http: StorageHttp, retry: StorageRetry) -> Opened:
    """Load the app, open the storage, resume unfinished instances, and listen."""
    settings, worker = parts.settings, parts.worker
    tables, blobs = Tables(settings.account, http, retry), Blobs(settings.account, http, retry)
    task_hub = TaskHub(settings.hub, tables, blobs, Queues(settings.account, http), settings.partitions)
    app = LoadedApp(worker, settings)
    for sentence in settings.unserved:
        log.warning("%s", sentence)
    async with asyncio.TaskGroup() as both:  # they take about as long as each other
        both.create_task(app.load())
        both.create_task(task_hub.open())
    registry = InstanceRegistry()
    of_entities = EntityOptions(settings.max_entities, settings.entity_batch, settings.entity_rollback)
    answers = partial(deliver, registry)
    entities = EntityDispatcher(task_hub, worker, app.functions, of_entities, deliver=answers, spawn=registry.spawn)
    engine = new_engine(parts, app, registry, task_hub, entities)
    unfinished = await engine.open()
    entity_api = EntityApi(entities, task_hub, app.functions)
    try:
        runner = await http_server(parts, app, engine, entity_api, task_hub).serve(parts.listener)
    except OSError as fault:  # another process that was bound at the same time listens first
        raise port_taken(parts.listener.getsockname()[1]) from fault
    announce(app.routes, parts, unfinished)
    app.start_timers()
    return engine, runner, app


def new_engine(
    parts: Parts, app: LoadedApp, registry: InstanceRegistry, task_hub: TaskHub, entities: EntityDispatcher
) -> Engine:
    settings, keep_warm = parts.settings, not parts.full_replays
    calls = OrchestratorCalls(parts.worker, app.functions, settings.max_orchestrators)
    speculative = SpeculativeTurns(calls, enabled=keep_warm)
    executor = OrchestrationExecutor(calls, speculative, app.functions, keep_warm)
    activities = ActivityRunner(parts.worker, app.functions, speculative, settings.max_activities)
    joined = JOINED_EVENTS if keep_warm else 1
    options = Options(settings.store_inputs, settings.override_any_state, settings.default_version, joined)
    return Engine(registry, Collaborators(task_hub, executor, speculative, activities, entities), options)


def http_server(parts: Parts, app: LoadedApp, engine: Engine, entity_api: EntityApi, task_hub: TaskHub) -> HttpServer:
    settings, doors, bodies = parts.settings, parts.doors, Bodies(parts.settings.max_body_bytes)
    options = {"key": doors.key or "", "version": settings.default_version}
    management = OrchestrationApi(engine, entity_api, task_hub, app.functions, bodies, **options)
    no_home_page = settings.environment.get("AzureWebJobsDisableHomepage", "").lower() == "true"
    front = None if no_home_page else f"/{settings.route_prefix}"
    return HttpServer(app.routes, parts.worker, management, bodies=bodies, front=front, **doors._asdict())


def only_fault_of(opening: "asyncio.Task[Opened]") -> Opened:
    """The result of opening; a fault is raised without its group, because `main` prints a sentence for each kind."""
    try:
        return opening.result()
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set. Where the loop takes no signals (Windows), Ctrl-C ends `asyncio.run`."""
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def announce(routes: list[routing.Route], parts: Parts, unfinished: int) -> None:
    port = parts.listener.getsockname()[1]
    for route in routes:
        methods = ",".join(sorted(route.methods)) or "any"
        log.info("%s: [%s] http://%s:%d/%s", route.function["name"], methods, HOST, port, route.template)
    if parts.doors.key is not None:
        log.info("Function key: %s", parts.doors.key)
    if unfinished:
        log.info("%d unfinished instance(s) are resumed.", unfinished)
    log.info("Serving the task hub '%s' on http://%s:%d.", parts.settings.hub, HOST, port)


def bind(port: int) -> socket.socket:
    """The socket to serve on. Raises PortTaken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name != "nt":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as fault:
        listener.close()
        raise port_taken(port) from fault
    return listener


def port_taken(port: int) -> PortTaken:
    return PortTaken(f"Port {port} is taken: stop what listens there, or choose another with --port.")


def _refuse(*sentences: str) -> int:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
