"""The host's side of the workers: start them, call them, replace one that dies.

FUNCTIONS_WORKER_PROCESS_COUNT is the number of workers, and placement.py chooses one for a call. A call whose worker
died raises WorkerDied. A new worker is started at once; the others serve meanwhile. If there is none, calls wait.

Calls that are safe to repeat (activities, replays) go through `call_repeatedly`. The call that ended a worker is
unknown, so after a death all calls of that worker run one at a time, in a worker that gets no others if there is
another worker. The call that kills workers is then found by its third death, and its neighbours are not blamed. A call
that has run for a while in that quarantine lets the next one in.

A worker is also replaced while it lives: for new code, which replaces all of them at one moment, and when a call has
outlived its limit, because a thread cannot be killed. The new worker is loaded beside the old one, and takes over when
it has loaded; the old one has a short while to finish its calls. Calls that it has not answered by then run again, and
do not count as deaths.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

from devhost.worker_host.failures import AppRefused, CallTimedOut, WorkerDied, WorkerReplaced
from devhost.worker_host.placement import Placement
from devhost.worker_host.process import WorkerProcess
from devhost.worker_host.worker import Worker
from devhost.worker_protocol import ORCHESTRATOR_THREADS, Reply

log = logging.getLogger("devhost")

RESTART_PAUSE_S = 1.0
MAX_DEATHS = 3
QUARANTINE_S = 5.0
LOAD_WITHIN_S = 60.0
TURN_WITHIN_S = 60.0
TURNS = ("replay", "start_session", "resume_session")
GONE = Reply({"ok": True, "gone": True}, b"")


class WorkerSupervisor:
    """`turns`: how many orchestrators may run at once in each worker. `limit_s`: how long a call may take, None for no
    limit; a turn of an orchestrator has a minute. `count`: the number of workers.
    """

    def __init__(
        self,
        app: Path,
        environment: dict[str, str],
        client_binding: str,
        *,
        turns: int = ORCHESTRATOR_THREADS,
        limit_s: float | None = None,
        count: int = 1,
    ) -> None:
        self._app, self._environment, self._client_binding, self._turns = app, environment, client_binding, turns
        self._limit_s, self._turn_limit_s = limit_s, min(limit_s or TURN_WITHIN_S, TURN_WITHIN_S)
        self.count = count
        self._placement = Placement()
        self._current: set[Worker] = set()  # the workers that serve, and dead ones until they are replaced
        self._workers: set[Worker] = set()
        self._some, self._all = asyncio.Event(), asyncio.Event()
        self._closing = False
        self._quarantine = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> list[dict[str, Any]]:
        """Start the workers and load the app; returns its functions. Raises AppRefused."""
        workers = await self.prepare()
        self.adopt(workers)
        return workers[0].functions

    async def prepare(self) -> list[Worker]:
        """Start other workers with the app's present code; they serve once they are adopted. Raises AppRefused."""
        loading = [asyncio.ensure_future(self._load_one()) for _ in range(self.count)]
        try:
            return await asyncio.gather(*loading)
        except BaseException:
            for each in loading:
                each.cancel()
            for loaded in await asyncio.gather(*loading, return_exceptions=True):
                if isinstance(loaded, Worker):
                    loaded.kill()
            raise

    def adopt(self, workers: list[Worker]) -> None:
        """Let only the prepared workers serve. The old ones have a short while to finish their calls."""
        for old in list(self._current):
            self._dismiss(old)
        for worker in workers:
            self._admit(worker)

    async def call(self, kind: str, function: str, body: bytes = b"", **header: Any) -> Reply:
        """Run a function. Raises WorkerDied when the worker ended before its answer, and CallTimedOut."""
        while not self._placement.serving:
            await self._some.wait()
        worker, call = self._placement.choose({"kind": kind, "function": function, **header})
        return await self._ask(worker, call, body) if worker else GONE

    async def call_once(self, kind: str, function: str, body: bytes = b"", **header: Any) -> Reply | None:
        """Run a function for a caller that has no use for a failure, which is logged; None then."""
        try:
            reply = await self.call(kind, function, body, **header)
        except WorkerDied as death:
            log.error("The worker %s while it ran the function '%s'.", death.how, function)
            return None
        except CallTimedOut as late:
            log.error("%s", late)
            return None
        if not reply.ok:
            log.error("The function '%s' raised:\n%s", function, reply.stack)
            return None
        return reply

    async def call_repeatedly(self, kind: str, function: str, body: bytes, **header: Any) -> Reply:
        """Run a function that may be repeated. As `call`; raises WorkerDied only after its third death."""
        deaths = 0
        while True:
            run = self._call_in_quarantine if deaths else self.call
            try:
                return await run(kind, function, body, **header)
            except WorkerReplaced:
                log.info("'%s' runs again, in the new worker.", function)
            except WorkerDied:
                deaths += 1
                if deaths == MAX_DEATHS:
                    raise
                log.warning("'%s' runs again, because its worker died.", function)
            header.pop("then", None)  # without the turn that follows: it may be what killed the worker

    async def _call_in_quarantine(self, kind: str, function: str, body: bytes, **header: Any) -> Reply:
        if kind == "resume_session":  # its session died with the worker
            return GONE
        async with self._quarantine:
            worker = await self._set_apart()
            if kind == "start_session":
                self._placement.keep_warm(header["session"], worker)
            call = asyncio.ensure_future(self._ask(worker, {"kind": kind, "function": function, **header}, body))
            try:
                await asyncio.wait((call,), timeout=QUARANTINE_S)
            finally:
                self._placement.apart = None
        return await call

    async def _set_apart(self) -> Worker:
        """A worker for a call in quarantine, if possible the new one, which is idle."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUARANTINE_S):
                await self._all.wait()
        while not self._placement.serving:
            await self._some.wait()
        self._placement.apart = worker = self._placement.least_busy()
        return worker

    async def _ask(self, worker: Worker, call: dict[str, Any], body: bytes) -> Reply:
        """Send a call, with the time limit of its kind."""
        is_turn = call["kind"] in TURNS
        if not is_turn and not self._limit_s:
            return await worker.ask(call, body)
        try:
            async with worker.turn(self._turn_limit_s) if is_turn else asyncio.timeout(self._limit_s):
                return await worker.ask(call, body)
        except TimeoutError:
            if worker in self._current and not worker.outlived:
                worker.outlived = True
                self._keep(self._renew(worker))
            raise CallTimedOut(call["function"], (self._turn_limit_s if is_turn else self._limit_s) or 0) from None

    async def close(self) -> None:
        self._closing = True
        for worker in list(self._workers):
            worker.kill()
            await worker.process.exited.wait()

    async def _load_one(self) -> Worker:
        worker = Worker()
        worker.process = await WorkerProcess.start(self._app, self._environment, worker.settle)
        self._workers.add(worker)
        self._keep(self._attend(worker))
        try:
            async with asyncio.timeout(LOAD_WITHIN_S):
                await worker.load(self._app, self._client_binding, self._turns)
        except TimeoutError:
            worker.kill()
            raise AppRefused([f"The app was not imported after {LOAD_WITHIN_S:.0f} s."]) from None
        except BaseException:
            worker.kill()
            raise
        return worker

    def _admit(self, worker: Worker) -> None:
        self._current.add(worker)
        if worker.ended:
            self._keep(self._replace(worker))
        else:
            self._placement.add(worker)
            self._note_who_serves()

    def _dismiss(self, worker: Worker) -> None:
        self._current.discard(worker)
        self._placement.remove(worker)
        self._note_who_serves()
        if not worker.ended:
            worker.retired = True
            self._keep(worker.finish())

    def _note_who_serves(self) -> None:
        serving = len(self._placement.serving)
        for event, is_so in ((self._some, serving > 0), (self._all, serving == self.count)):
            event.set() if is_so else event.clear()

    async def _attend(self, worker: Worker) -> None:
        """Wait for the end of a worker; fail its unanswered calls, and replace it if it still served."""
        await worker.process.silent.wait()
        worker.ended = True
        self._placement.remove(worker)  # first, so that repeated calls wait for the next worker
        self._note_who_serves()
        await worker.process.exited.wait()
        self._workers.discard(worker)
        worker.fail_the_rest()
        if worker in self._current and not self._closing:
            self._keep(self._replace(worker))

    async def _renew(self, stuck: Worker) -> None:
        log.error("A function has outlived its limit; the worker is replaced.")
        try:
            worker = await self._load_one()
        except AppRefused as refusal:
            log.error("%s", refusal)
            stuck.retired = True  # its other calls are not to blame
            stuck.kill()
            return
        self._put_in_place_of(stuck, worker)

    async def _replace(self, dead: Worker) -> None:
        log.error("The worker ended by itself (exit code %s); starting another.", dead.process.exit_code)
        while not self._closing:
            try:
                worker = await self._load_one()
            except AppRefused as refusal:
                log.error("%s", refusal)
                await asyncio.sleep(RESTART_PAUSE_S)
                continue
            self._put_in_place_of(dead, worker)
            return

    def _put_in_place_of(self, old: Worker, worker: Worker) -> None:
        if old in self._current:
            self._dismiss(old)
            self._admit(worker)
        else:  # workers with newer code have taken over meanwhile
            worker.kill()

    def _keep(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
