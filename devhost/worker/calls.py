"""Runs the calls of the host, each in a thread or on the loop, and answers each one.

Sync functions run in as many threads as in the real worker, async ones on the main thread's loop, and orchestrators
in a few threads of their own, so that blocking activities cannot delay orchestrations. A function that fails in any
way, sys.exit included, gives an answer; only os._exit and a crash end the worker.
"""

import asyncio
import contextlib
import logging
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from devhost import worker_protocol
from devhost.worker.answers import Answer, failure, frame_of
from devhost.worker.app_functions import Function, Unloadable, functions_of, import_app
from devhost.worker.converters import CONVERTERS
from devhost.worker.entity_batch import run_batch
from devhost.worker.extended_sessions import ExtendedSessions
from devhost.worker.sdk_patches import apply_patches
from devhost.worker.speculative_turns import SpeculativeTurns
from devhost.worker.turns import GONE, TURNS, Turn, next_turn
from devhost.worker_protocol import ORCHESTRATOR_THREADS

log = logging.getLogger("devhost.worker")

Work = Callable[[], Answer]

THREADS = "PYTHON_THREADPOOL_THREAD_COUNT"


class Calls:
    """`frames` are the incoming calls, `answers_fd` is the descriptor for their answers."""

    def __init__(self, frames: BinaryIO, answers_fd: int) -> None:
        self._frames, self._answers_fd = frames, answers_fd
        self._write_lock = threading.Lock()
        self._functions: dict[str, Function] = {}
        self._client = ""
        self._loop = asyncio.new_event_loop()
        self._sync = ThreadPoolExecutor(thread_count(os.environ.get(THREADS)), "function")
        self._orchestrators = ThreadPoolExecutor(ORCHESTRATOR_THREADS, "orchestrator")
        self._sessions = ExtendedSessions()

    def run(self) -> None:
        """Run calls until the host closes the pipe; then the process ends."""
        threading.Thread(target=self._read, name="calls", daemon=True).start()
        while True:
            # A task of the app that exits ends this loop; the calls that wait on the loop still get answers.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()

    def _read(self) -> None:
        while frame := worker_protocol.read(self._frames):
            header, body = frame
            try:
                self._start(header, body)
            except Exception as fault:  # answered, so that the host can name the function
                self._send(header["id"], failure(fault))
        os._exit(0)

    def _start(self, header: dict[str, Any], body: bytes) -> None:
        """Pass a call to the loop or to one of the pools."""
        if header["kind"] == "load":
            # On the main thread: some libraries refuse to be imported on another one.
            self._loop.call_soon_threadsafe(self._answer, header, lambda: self._load(header))
            return
        function = self._functions[header["function"]]
        if header["kind"] in TURNS:
            turn = TURNS[header["kind"]]
            self._orchestrators.submit(self._answer, header, lambda: self._turn(turn, function, header, body))
        elif header["kind"] == "entity":
            self._sync.submit(self._answer, header, lambda: ({"ok": True}, run_batch(function.code, body)))
        else:
            self._start_function(function, header, body)

    def _start_function(self, function: Function, header: dict[str, Any], body: bytes) -> None:
        prepare, finish = CONVERTERS[header["kind"]]

        def arguments() -> dict[str, Any]:
            return function.arguments(prepare(header, body), self._client, header.get("headers", {}))

        if function.is_async:
            asyncio.run_coroutine_threadsafe(self._answer_async(header, function, arguments, finish), self._loop)
        else:
            self._sync.submit(self._answer, header, lambda: finish(function.code(**arguments())))

    def _answer(self, header: dict[str, Any], work: Work) -> None:
        try:
            answer = work()
        except BaseException as fault:  # sys.exit in a function is that function's failure only
            answer = failure(fault)
        if "then" in header:
            self._speculative.answer(header["id"], header["then"], *answer)
        else:
            self._send(header["id"], answer)

    def _turn(self, turn: Turn, function: Function, header: dict[str, Any], body: bytes) -> Answer:
        with self._turns:
            return turn(self._sessions, function, header, body)

    def _speculate(self, then: dict[str, Any], events: list[dict[str, Any]]) -> Answer:
        """Run the turn after an activity, unless another turn was run first: then the session is left alone."""
        if not self._sessions.has_next_turn(then["session"], then["turn"]):
            return GONE
        return next_turn(self._sessions, then, events)

    async def _answer_async(
        self,
        header: dict[str, Any],
        function: Function,
        arguments: Callable[[], dict[str, Any]],
        finish: Callable[[Any], Answer],
    ) -> None:
        try:
            answer = finish(await function.code(**arguments()))
        except BaseException as fault:  # as above
            answer = failure(fault)
        if "then" in header:  # not on this loop: a slow orchestrator would delay all async functions
            self._loop.run_in_executor(None, self._answer, header, lambda: answer)
        else:
            self._send(header["id"], answer)

    def _send(self, call_id: int, answer: Answer) -> None:
        frame = memoryview(frame_of(call_id, answer))
        with self._write_lock:
            while frame:
                frame = frame[os.write(self._answers_fd, frame) :]

    def _load(self, header: dict[str, Any]) -> Answer:
        """Import the app, index its functions, and check its set-up."""
        self._client, self._turns = header["client"], threading.Semaphore(header["turns"])
        self._speculative = SpeculativeTurns(self._speculate, self._send, self._turns)
        try:
            module = import_app(header["app"])
            apply_patches()
            functions, faults = functions_of(module)
        except Unloadable as fault:
            return {"ok": False, "sentence": str(fault)}, b""
        self._functions = {function.name: function for function in functions}
        faults += module.startup_faults() if callable(getattr(module, "startup_faults", None)) else []
        return {"ok": True, "functions": [function.describe() for function in functions], "faults": faults}, b""


def thread_count(setting: str | None) -> int:
    """PYTHON_THREADPOOL_THREAD_COUNT; the default if the setting is no number of threads, as in Azure's worker."""
    default = min(32, (os.cpu_count() or 1) + 4)
    if not setting:
        return default
    if not re.fullmatch("0*[1-9][0-9]{0,8}", setting):
        log.warning("%s must be a whole number above 0; there are %d threads.", THREADS, default)
        return default
    return int(setting)
