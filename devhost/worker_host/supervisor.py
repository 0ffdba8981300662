"""The host's side of the worker: start it, call it, replace it when it dies.

A call whose worker died raises WorkerDied. The new worker is started at once, and calls made meanwhile wait for it.
What is safe to repeat (activities, replays) goes through `call_repeatedly`: nobody can know which call ended a worker,
so after one death the calls that saw it run one at a time. The one that kills workers is then found by its third death,
and its neighbours are not blamed. A call that has lived for a while in that quarantine lets the next one in.

A worker is also replaced while it lives: for new code, and when a call has outlived its limit, because a thread cannot
be killed. The next one is loaded beside it, and takes over when it has loaded; the old one has a short while to finish
its calls. Calls that it has not answered by then run again, and do not count as deaths.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devhost import worker_protocol
from devhost.worker_host.process import WorkerProcess
from devhost.worker_protocol import ORCHESTRATOR_THREADS, Reply

log = logging.getLogger("devhost")

RESTART_PAUSE_S = 1.0
MAX_DEATHS = 3
QUARANTINE_S = 5.0
LOAD_WITHIN_S = 60.0
TURN_WITHIN_S = 60.0
TURNS = ("replay", "begin", "go_on")
FINISH_WITHIN_S = 3.0


class WorkerDied(Exception):
    """The worker ended before it answered."""

    how = "died"


class WorkerReplaced(WorkerDied):
    """The worker was replaced before it answered, and not because of this call."""

    how = "was replaced"


class CallTimedOut(Exception):
    """The call outlived its limit; its worker is being replaced. The text is the Functions host's."""

    def __init__(self, function: str, limit_s: float) -> None:
        hours, rest = divmod(int(limit_s), 3600)
        span = f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
        super().__init__(f"Timeout value of {span} was exceeded by function: Functions.{function}")
        self.limit_s = limit_s


class AppRefused(Exception):
    """The app cannot be served: one sentence for each reason, and all of it in one line."""

    def __init__(self, sentences: list[str], in_short: str = "") -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences
        self.in_short = in_short or " ".join(sentences)


@dataclass(eq=False)
class Worker:
    """One worker process, what it was loaded with, and the calls that it has yet to answer."""

    process: WorkerProcess = field(init=False)
    waiting: "dict[int, asyncio.Future[Reply]]" = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    functions: list[dict[str, Any]] = field(default_factory=list)
    turns: list[asyncio.Timeout] = field(default_factory=list)
    outlived: bool = False
    retired: bool = False
    ended: bool = False

    async def ask(self, header: dict[str, Any], body: bytes) -> Reply:
        """Send a call and wait for its answer. Raises WorkerDied."""
        call_id = next(self.ids)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.waiting[call_id] = future
        try:
            self.process.send(worker_protocol.encode({"id": call_id, **header}, body))
            return await future
        except BrokenPipeError:
            raise (WorkerReplaced if self.retired else WorkerDied) from None
        finally:
            self.waiting.pop(call_id, None)

    def settle(self, header: dict[str, Any], body: bytes) -> None:
        """Take an answer."""
        future = self.waiting.pop(header["id"], None)
        if future and not future.done():
            future.set_result(Reply(header, body))

    def kill(self) -> None:
        self.process.kill()

    @contextlib.asynccontextmanager
    async def turn(self, limit_s: float) -> AsyncIterator[None]:
        """A limit for one turn, whose time begins when the worker has a thread for it: it takes them in their order."""
        async with asyncio.timeout(None) as clock:
            self.turns.append(clock)
            self._start_clocks(limit_s)
            try:
                yield
            finally:
                self.turns.remove(clock)
                if not clock.expired():
                    self._start_clocks(limit_s)

    def _start_clocks(self, limit_s: float) -> None:
        if self.outlived:  # a thread is stuck, and the worker is about to go: no other turn is to blame
            return
        for clock in self.turns[:ORCHESTRATOR_THREADS]:
            if clock.when() is None:
                clock.reschedule(asyncio.get_running_loop().time() + limit_s)


class WorkerLink:
    """`turns`: how many orchestrators may run at once in the worker. `limit_s`: how long a call may take, None for as
    long as it likes. A turn of an orchestrator has a minute.
    """

    def __init__(
        self,
        app: Path,
        environment: dict[str, str],
        client_binding: str,
        turns: int = ORCHESTRATOR_THREADS,
        limit_s: float | None = None,
    ) -> None:
        self._app, self._environment, self._client_binding, self._turns = app, environment, client_binding, turns
        self._limit_s, self._turn_limit_s = limit_s, min(limit_s or TURN_WITHIN_S, TURN_WITHIN_S)
        self._worker: Worker | None = None
        self._workers: set[Worker] = set()
        self._ready = asyncio.Event()
        self._closing = False
        self._quarantine = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> list[dict[str, Any]]:
        """Start the worker and load the app; its functions. Raises AppRefused."""
        worker = await self.prepare()
        self.adopt(worker)
        return worker.functions

    async def prepare(self) -> Worker:
        """Start another worker with the app's code as it is now; it serves when it is adopted. Raises AppRefused."""
        worker = await self._spawn()
        try:
            async with asyncio.timeout(LOAD_WITHIN_S):
                worker.functions = await self._load(worker)
        except TimeoutError:
            worker.kill()
            raise AppRefused([f"The app was not imported after {LOAD_WITHIN_S:.0f} s."]) from None
        except BaseException:
            worker.kill()
            raise
        return worker

    def adopt(self, worker: Worker) -> None:
        """Let a prepared worker serve. The one before it may finish what it does for a short while."""
        old, self._worker = self._worker, worker
        if old and not old.ended:
            old.retired = True
            self._keep(_retire(old))
        if worker.ended:
            self._keep(self._replace(worker))
        else:
            self._ready.set()

    async def call(self, kind: str, function: str, body: bytes = b"", **header: Any) -> Reply:
        """Run a function. Raises WorkerDied when the worker ended before it answered, and CallTimedOut."""
        await self._ready.wait()
        worker = self._worker
        assert worker is not None
        is_turn, call = kind in TURNS, {"kind": kind, "function": function, **header}
        if not is_turn and not self._limit_s:
            return await worker.ask(call, body)
        try:
            async with worker.turn(self._turn_limit_s) if is_turn else asyncio.timeout(self._limit_s):
                return await worker.ask(call, body)
        except TimeoutError:
            if worker is self._worker and not worker.outlived:
                worker.outlived = True
                self._keep(self._renew(worker))
            raise CallTimedOut(function, (self._turn_limit_s if is_turn else self._limit_s) or 0) from None

    async def call_repeatedly(self, kind: str, function: str, body: bytes, **header: Any) -> Reply:
        """Run a function that may run again. As `call`; WorkerDied only when its worker died each of three times."""
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
            header.pop("then", None)  # alone: what was to follow may have been what the worker died of

    async def _call_in_quarantine(self, kind: str, function: str, body: bytes, **header: Any) -> Reply:
        async with self._quarantine:
            call = asyncio.ensure_future(self.call(kind, function, body, **header))
            await asyncio.wait((call,), timeout=QUARANTINE_S)
        return await call

    async def cpu(self) -> dict[str, float]:
        """Seconds of CPU that the worker took since its start, by what it ran. Raises WorkerDied."""
        reply = await self.call("cpu", "")
        seconds: dict[str, float] = reply.header["seconds"]
        return seconds

    async def close(self) -> None:
        self._closing = True
        for worker in list(self._workers):
            worker.kill()
            await worker.process.exited.wait()

    async def _spawn(self) -> Worker:
        worker = Worker()
        worker.process = await WorkerProcess.start(self._app, self._environment, worker.settle)
        self._workers.add(worker)
        self._keep(self._attend(worker))
        return worker

    async def _load(self, worker: Worker) -> list[dict[str, Any]]:
        call = {"kind": "load", "app": str(self._app), "client": self._client_binding}
        try:
            reply = await worker.ask({**call, "turns": self._turns}, b"")
        except WorkerDied:
            raise AppRefused(["The worker ended while it was importing the app; its last words are above."]) from None
        if not reply.ok and "sentence" in reply.header:
            raise AppRefused([reply.header["sentence"]])
        if not reply.ok:
            raise AppRefused([f"The app cannot be imported:\n{reply.stack}"], in_short=reply.error)
        if reply.header["faults"]:
            raise AppRefused(reply.header["faults"])
        functions: list[dict[str, Any]] = reply.header["functions"]
        return functions

    async def _attend(self, worker: Worker) -> None:
        """Wait for the end of a worker; fail what it has not answered, and replace it if it still served."""
        await worker.process.silent.wait()
        worker.ended = True
        if worker is self._worker:
            self._ready.clear()  # first, so that what is called again waits for the next worker
        await worker.process.exited.wait()
        self._workers.discard(worker)
        for future in list(worker.waiting.values()):
            if not future.done():
                future.set_exception(WorkerReplaced() if worker.retired else WorkerDied())
        if worker is self._worker and not self._closing:
            self._keep(self._replace(worker))

    async def _renew(self, stuck: Worker) -> None:
        log.error("A function has outlived its limit; the worker is replaced.")
        try:
            worker = await self.prepare()
        except AppRefused as refusal:
            log.error("%s", refusal)
            stuck.retired = True  # what else runs in it is not to blame
            stuck.kill()
            return
        if self._worker is stuck:
            self.adopt(worker)
        else:
            worker.kill()

    async def _replace(self, dead: Worker) -> None:
        log.error("The worker ended by itself (exit code %s); starting another.", dead.process.exit_code)
        while not self._closing:
            try:
                worker = await self.prepare()
            except AppRefused as refusal:
                log.error("%s", refusal)
                await asyncio.sleep(RESTART_PAUSE_S)
                continue
            if self._worker is dead:
                self.adopt(worker)
            else:  # one with newer code has taken over meanwhile
                worker.kill()
            return

    def _keep(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _retire(worker: Worker) -> None:
    if worker.waiting:
        await asyncio.wait(list(worker.waiting.values()), timeout=FINISH_WITHIN_S)
    worker.kill()
