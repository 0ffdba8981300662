"""The host's side of the worker: start it, call it, replace it when it dies.

A call whose worker died raises WorkerDied. The new worker is started at once, and calls made meanwhile wait for it.
What is safe to repeat (activities, replays) goes through `call_repeatedly`: nobody can know which call ended a worker,
so after one death the calls that saw it run one at a time. The one that kills workers is then found by its third death,
and its neighbours are not blamed. A call that has lived for a while in that quarantine lets the next one in.
"""

import asyncio
import contextlib
import itertools
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devhost import frames

log = logging.getLogger("devhost")

BOOT = "import sys; sys.path.insert(0, {root!r}); from devhost.worker import main; sys.path.pop(0); main()"
ROOT = str(Path(__file__).resolve().parent.parent)
RESTART_PAUSE_S = 1.0
MAX_DEATHS = 3
QUARANTINE_S = 5.0
PIPE_BUFFER_BYTES = 2**20


class WorkerDied(Exception):
    """The worker ended before it answered."""


class AppRefused(Exception):
    """The app cannot be served: one sentence for each reason."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


@dataclass(frozen=True)
class Reply:
    """The worker's answer: `ok`, or `error` and `stack`; the rest depends on the call."""

    header: dict[str, Any]
    body: bytes

    @property
    def ok(self) -> bool:
        return bool(self.header["ok"])

    @property
    def error(self) -> str:
        return str(self.header["error"])

    @property
    def stack(self) -> str:
        return str(self.header.get("stack", ""))


class WorkerLink:
    """`turns`: how many orchestrators may run at once in the worker."""

    def __init__(self, app: Path, environment: dict[str, str], client_binding: str, turns: int) -> None:
        self._app, self._environment, self._client_binding, self._turns = app, environment, client_binding, turns
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._closing = False
        self._quarantine = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> list[dict[str, Any]]:
        """Start the worker and load the app; its functions. Raises AppRefused."""
        await self._spawn()
        functions = await self._load()
        self._ready.set()
        return functions

    async def call(self, kind: str, function: str, body: bytes = b"", **header: Any) -> Reply:
        """Run a function. Raises WorkerDied when the worker ended before it answered."""
        await self._ready.wait()
        return await self._send({"kind": kind, "function": function, **header}, body)

    async def call_repeatedly(self, kind: str, function: str, body: bytes, deaths: int = 0, **header: Any) -> Reply:
        """Run a function that may run again; raises WorkerDied when its worker died each of three times.

        `deaths`: 1 if a worker has died of it already.
        """
        with contextlib.suppress(WorkerDied):
            if not deaths:
                return await self.call(kind, function, body, **header)
        log.warning("'%s' runs again, because its worker died.", function)
        header.pop("then", None)  # alone: what was to follow may have been what the worker died of
        for _ in range(MAX_DEATHS - 2):
            with contextlib.suppress(WorkerDied):
                return await self._call_in_quarantine(kind, function, body, **header)
        return await self._call_in_quarantine(kind, function, body, **header)

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
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", BOOT.format(root=ROOT), str(self._app)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
            limit=PIPE_BUFFER_BYTES,
            cwd=self._app,
        )
        self._keep(self._read_answers(self._process))

    async def _load(self) -> list[dict[str, Any]]:
        try:
            load = {"kind": "load", "app": str(self._app), "client": self._client_binding, "turns": self._turns}
            reply = await self._send(load, b"")
        except WorkerDied:
            raise AppRefused(["The worker ended while it was importing the app; its last words are above."]) from None
        if not reply.ok:
            raise AppRefused([reply.header.get("sentence") or f"The app cannot be imported:\n{reply.stack}"])
        if reply.header["faults"]:
            raise AppRefused(reply.header["faults"])
        functions: list[dict[str, Any]] = reply.header["functions"]
        return functions

    async def _send(self, header: dict[str, Any], body: bytes) -> Reply:
        process = self._process
        assert process is not None and process.stdin is not None
        call_id = next(self._ids)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = future
        try:
            process.stdin.write(frames.encode({"id": call_id, **header}, body))
            if process.stdin.transport.get_write_buffer_size():
                await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            self._waiting.pop(call_id, None)
            raise WorkerDied from None
        return await future

    async def _read_answers(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head_size, body_size = frames.PREFIX.unpack(await process.stdout.readexactly(frames.PREFIX.size))
                content = await process.stdout.readexactly(head_size + body_size)
                self._settle(frames.decode(content, head_size))
        was_ready = self._ready.is_set()
        self._ready.clear()  # first, so that what is called again waits for the next worker
        await process.wait()
        self._fail_waiting()
        if was_ready and not self._closing:
            self._keep(self._replace(process.returncode))

    def _settle(self, frame: tuple[dict[str, Any], bytes]) -> None:
        header, body = frame
        future = self._waiting.pop(header["id"], None)
        if future and not future.done():
            future.set_result(Reply(header, body))

    def _fail_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(WorkerDied())

    async def _replace(self, exit_code: int | None) -> None:
        log.error("The worker ended by itself (exit code %s); starting another.", exit_code)
        while not self._closing:
            try:
                await self._spawn()
                await self._load()
            except AppRefused as refusal:
                log.error("%s", refusal)
                await asyncio.sleep(RESTART_PAUSE_S)
            else:
                self._ready.set()
                return

    def _keep(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
