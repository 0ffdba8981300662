"""One worker on the host's side: it is loaded with the app, called, timed, and ended."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devhost import worker_protocol
from devhost.worker_host.failures import AppRefused, WorkerDied, WorkerReplaced
from devhost.worker_host.process import WorkerProcess
from devhost.worker_protocol import ORCHESTRATOR_THREADS, Reply

FINISH_WITHIN_S = 3.0


@dataclass(eq=False)
class Worker:
    """One worker process, the description of its app, and its unanswered calls.

    `outlived`: one of its calls has outlived its limit. `retired`: another worker has taken its place.
    """

    process: WorkerProcess = field(init=False)
    waiting: "dict[int, asyncio.Future[Reply]]" = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    functions: list[dict[str, Any]] = field(default_factory=list)
    turns: list[asyncio.Timeout] = field(default_factory=list)
    outlived: bool = False
    retired: bool = False
    ended: bool = False

    async def load(self, app: Path, client_binding: str, turns: int) -> None:
        """Import the app and describe its functions. Raises AppRefused."""
        call = {"kind": "load", "app": str(app), "client": client_binding, "turns": turns}
        try:
            reply = await self.ask(call, b"")
        except WorkerDied:
            raise AppRefused(["The worker ended while it was importing the app; its last words are above."]) from None
        if not reply.ok and "sentence" in reply.header:
            raise AppRefused([reply.header["sentence"]])
        if not reply.ok:
            raise AppRefused([f"The app cannot be imported:\n{reply.stack}"], in_short=reply.error)
        if reply.header["faults"]:
            raise AppRefused(reply.header["faults"])
        self.functions = reply.header["functions"]

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
        """Complete a call with its answer."""
        future = self.waiting.pop(header["id"], None)
        if future and not future.done():
            future.set_result(Reply(header, body))

    def fail_the_rest(self) -> None:
        """Fail the calls that an ended worker has not answered."""
        for future in list(self.waiting.values()):
            if not future.done():
                future.set_exception(WorkerReplaced() if self.retired else WorkerDied())

    def kill(self) -> None:
        self.process.kill()

    async def finish(self) -> None:
        """Let the worker finish its calls for a short while, and end it."""
        if self.waiting:
            await asyncio.wait(list(self.waiting.values()), timeout=FINISH_WITHIN_S)
        self.kill()

    @contextlib.asynccontextmanager
    async def turn(self, limit_s: float) -> AsyncIterator[None]:
        """The time limit of a turn, which begins when the worker has a thread for it; turns start in their order."""
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
        if self.outlived:  # a thread is stuck, and the worker is about to be replaced: no other turn is to blame
            return
        for clock in self.turns[:ORCHESTRATOR_THREADS]:
            if clock.when() is None:
                clock.reschedule(asyncio.get_running_loop().time() + limit_s)
