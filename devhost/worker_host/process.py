"""The process of a worker, and the frames to and from it.

It is an asyncio protocol on the pipes: with asyncio's streams each frame would wait for a reading task, twice.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from devhost import worker_protocol

BOOT = "import sys; sys.path.insert(0, {root!r}); from devhost.worker.__main__ import main; sys.path.pop(0); main()"
HERE = Path(__file__).resolve().parent
ROOT = str(HERE.parents[1])
ANSWERS = 1
LAST_ANSWERS_WITHIN_S = 1.0

Take = Callable[[dict[str, Any], bytes], None]


class WorkerProcess(asyncio.SubprocessProtocol):
    """`take` is called with each incoming frame. `silent` is set after the last frame, `exited` at its end.

    Neither waits long for the other: a process whose pipe for answers is closed is killed, and a child of the app that
    keeps the pipe of an ended process open is not waited for.
    """

    def __init__(self, take: Take) -> None:
        self._take = take
        self._received = bytearray()
        self._transport: asyncio.SubprocessTransport | None = None
        self._calls: asyncio.WriteTransport | None = None
        self.silent, self.exited = asyncio.Event(), asyncio.Event()

    @classmethod
    async def start(cls, app: Path, environment: dict[str, str], take: Take) -> "WorkerProcess":
        """Start a process that imports the app of a folder when it gets the call `load`."""
        command = (sys.executable, "-P", "-c", BOOT.format(root=ROOT), str(app))
        # Not in the app's folder yet: the import of the SDK reads a host.json there, and fails on a comment.
        options: dict[str, Any] = {"stderr": None, "env": environment, "cwd": HERE}
        return (await asyncio.get_running_loop().subprocess_exec(lambda: cls(take), *command, **options))[1]

    def send(self, frame: bytes) -> None:
        """Send a frame. Raises BrokenPipeError when the process has closed its end."""
        if self._calls is None or self._calls.is_closing():
            raise BrokenPipeError
        self._calls.write(frame)

    def kill(self) -> None:
        """Kill the process, if it has not ended yet.

        The transport's own `kill` polls first. A process that is just ending is reaped by this poll, and asyncio's
        watcher then finds none: it logs a warning and reports 255 in place of the exit code.
        """
        if self._transport is None or self.exited.is_set():
            return
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                self._transport.kill()
            else:
                os.kill(self._transport.get_pid(), signal.SIGKILL)

    @property
    def exit_code(self) -> int | None:
        return self._transport.get_returncode() if self._transport else None

    # --- callbacks of asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._calls = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._received += data
        for header, body in worker_protocol.cut(self._received):
            self._take(header, body)

    def pipe_connection_lost(self, fd: int, fault: Exception | None) -> None:
        if fd == ANSWERS:
            self.silent.set()
            self.kill()
            self._close_at_the_end()

    def process_exited(self) -> None:
        self.exited.set()
        self._close_at_the_end()
        if self._transport and not self.silent.is_set():
            asyncio.get_running_loop().call_later(LAST_ANSWERS_WITHIN_S, self._transport.close)  # closes the pipes too

    def _close_at_the_end(self) -> None:
        if self._transport and self.silent.is_set() and self.exited.is_set():
            self._transport.close()
