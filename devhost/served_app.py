"""The app as the host serves it: its functions, its routes and its timers, which follow its code."""

import asyncio
import logging
from typing import Any

from devhost import routing, timer_trigger, unserved
from devhost.functions import Functions
from devhost.settings import Settings
from devhost.worker_link import WorkerLink

log = logging.getLogger("devhost")


class ServedApp:
    """Holders of `functions` and `routes` see those of newer code."""

    def __init__(self, worker: WorkerLink, settings: Settings) -> None:
        self._worker, self._settings = worker, settings
        self.functions = Functions([], settings.environment)
        self.routes: list[routing.Route] = []
        self._schedules: list[tuple[dict[str, Any], timer_trigger.Schedule]] = []
        self._timers: list[asyncio.Task[None]] = []
        self._said: set[str] = set()

    async def load(self) -> None:
        """Start the first worker. Raises AppRefused, BadRoute, BadSchedule or BadSettings."""
        self._become(await self._worker.start())

    async def renew(self) -> int:
        """Replace the worker by one with the app's code as it is now; how many functions it has.

        Raises as `load` does; the code from before is still served then.
        """
        worker = await self._worker.prepare()
        try:
            self._become(worker.functions)
        except BaseException:
            worker.kill()
            raise
        self._worker.adopt(worker)
        self.start_timers()
        return len(self.functions.all)

    def _become(self, described: list[dict[str, Any]]) -> None:
        """All of it or nothing."""
        found = Functions(described, self._settings.environment)
        routes = routing.build(self._settings.route_prefix, found.with_trigger("httpTrigger"))
        schedules = timer_trigger.schedules(found.with_trigger("timerTrigger"), self._settings.environment)
        self.functions.become(described)
        self.routes[:], self._schedules = routes, schedules
        for sentence in unserved.sentences(found.all, self._settings):
            if sentence not in self._said:
                self._said.add(sentence)
                log.warning("%s", sentence)

    def start_timers(self) -> None:
        self.stop_timers()
        self._timers = [asyncio.create_task(timer_trigger.run_timer(*each, self._worker)) for each in self._schedules]

    def stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
