"""The loaded app: its functions, its routes and its timers, which are replaced with its code."""

import asyncio
import logging
from typing import Any

from devhost.function_registry import FunctionRegistry
from devhost.http import routing
from devhost.settings import Settings
from devhost.triggers import timer, unserved
from devhost.worker_host.supervisor import WorkerSupervisor

log = logging.getLogger("devhost")


class LoadedApp:
    """`functions` and `routes` are changed in place when newer code is loaded."""

    def __init__(self, worker: WorkerSupervisor, settings: Settings) -> None:
        self._worker, self._settings = worker, settings
        self.functions = FunctionRegistry([], settings.environment)
        self.routes: list[routing.Route] = []
        self._schedules: list[tuple[dict[str, Any], timer.Schedule]] = []
        self._timers: list[asyncio.Task[None]] = []
        self._warned: set[str] = set()

    async def load(self) -> None:
        """Start the first workers. Raises AppRefused, BadRoute, BadSchedule or BadSettings."""
        self._replace(await self._worker.start())

    async def renew(self) -> str:
        """Replace all workers at one moment by others with the app's present code; returns the end of a log sentence.

        Raises as `load` does; the old code is still served then.
        """
        workers = await self._worker.prepare()
        try:
            self._replace(workers[0].functions)
        except BaseException:
            for worker in workers:
                worker.kill()
            raise
        self._worker.adopt(workers)
        self.start_timers()
        functions = len(self.functions.all)
        if len(workers) == 1:
            return f"the worker has been replaced, and has {functions} functions"
        return f"the {len(workers)} workers have been replaced, and have {functions} functions"

    def _replace(self, described: list[dict[str, Any]]) -> None:
        """Replace functions, routes and timers: all of them or none."""
        registry = FunctionRegistry(described, self._settings.environment)
        routes = routing.build(self._settings.route_prefix, registry.with_trigger("httpTrigger"))
        schedules = timer.schedules(registry.with_trigger("timerTrigger"), self._settings.environment)
        self.functions.replace(described)
        self.routes[:], self._schedules = routes, schedules
        for sentence in unserved.sentences(registry.all, self._settings):
            if sentence not in self._warned:
                self._warned.add(sentence)
                log.warning("%s", sentence)

    def start_timers(self) -> None:
        self.stop_timers()
        self._timers = [asyncio.create_task(timer.run_timer(*each, self._worker)) for each in self._schedules]

    def stop_timers(self) -> None:
        for running in self._timers:
            running.cancel()
