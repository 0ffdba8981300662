"""The worker: the child process that imports the app and runs its functions.

It reads calls as frames on its stdin, and one at a time on a pipe beside it (crew.py), and answers on what was its
stdout; the file descriptor 1 that the app sees points at stderr, so a print in a function cannot corrupt a frame. It
ends when its stdin does: it never outlives its host.

Sync functions run in as many threads as in the real worker, async ones on the main thread's loop, and orchestrators
beside them in a few of their own, so that activities which block cannot keep an orchestration from deciding.
A function that fails in any way, sys.exit included, is an answer; only os._exit and a crash take the worker down.
"""

import asyncio
import contextlib
import ctypes
import functools
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, BinaryIO

import azure.functions as func
from azure.functions.durable_functions import ActivityTriggerConverter
from azure.functions.http import HttpResponseConverter
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequest

from devhost import worker_protocol
from devhost.history.events import compact_json, iso_time
from devhost.history.failures import error_of, stack_of, text_of
from devhost.worker.app_functions import Function, Unloadable, functions_of, import_app
from devhost.worker.dead_ends import DeadEnd
from devhost.worker.entity_batch import run_batch
from devhost.worker.extended_sessions import Session, Sessions, State, read_events, supported
from devhost.worker.sdk_patches import quicken
from devhost.worker.speculative_turns import Answer, TurnsAhead
from devhost.worker.threads import Call, Crew, Pool
from devhost.worker_protocol import ORCHESTRATOR_THREADS

log = logging.getLogger("devhost.worker")

Work = Callable[[], Answer]

GONE: Answer = ({"ok": True, "gone": True}, b"")
PR_SET_PDEATHSIG = 1
MAX_RESULT_BYTES = 64 * 2**20
MAX_STATUS = 999
OUT_OF_PROC_LABEL = "\n\n$OutOfProcData$:"
ACCOUNTS = {"activity": "activities", "http": "HTTP functions", "timer": "timer functions"}


class Worker:
    def __init__(self, calls: BinaryIO, lane: BinaryIO | None, answers_fd: int) -> None:
        self._answers_fd = answers_fd
        self._write_lock = threading.Lock()
        self._functions: dict[str, Function] = {}
        self._client = ""
        self._loop = asyncio.new_event_loop()
        lane_read = functools.partial(self._next_call, lane) if lane else None
        self._crew = Crew(functools.partial(self._next_call, calls), lane_read)
        self._sync, self._orchestrators = Pool(_thread_count()), Pool(ORCHESTRATOR_THREADS)
        self._sessions = Sessions()
        self._cpu: defaultdict[str, float] = defaultdict(float)
        self._cpu_lock = threading.Lock()

    def run(self) -> None:
        self._crew.start()
        while True:
            # A task that the app has made and that exits ends this loop; the calls that wait on it still get answers.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()

    def _next_call(self, calls: BinaryIO) -> tuple[Pool, Call]:
        """Wait for a call that a thread is to run, and its pool. Others are begun on the way."""
        while frame := worker_protocol.read(calls):
            header, body = frame
            try:
                placed = self._place(header, body)
            except Exception as fault:  # answered, so that the host can name it
                self._send(header["id"], failure(fault))
                continue
            if placed:
                pool, work = placed
                return pool, functools.partial(self._answer, header, work)
        os._exit(0)

    def _place(self, header: dict[str, Any], body: bytes) -> tuple[Pool, Work] | None:
        """The pool of a call and what its answer comes of; None for one that the loop runs."""
        if header["kind"] == "load":
            # On the main thread: some libraries refuse to be imported on another one.
            self._loop.call_soon_threadsafe(self._answer, header, lambda: self._load(header))
            return None
        if header["kind"] == "cpu":
            return self._sync, lambda: ({"ok": True, "seconds": self._cpu}, b"")
        function = self._functions[header["function"]]
        if header["kind"] in TURNS:
            turn = TURNS[header["kind"]]
            return self._orchestrators, lambda: self._turn(turn, function, header, body)
        if header["kind"] == "entity":
            return self._sync, lambda: ({"ok": True}, run_batch(function.code, body))
        prepare, finish = CALLS[header["kind"]]

        def arguments() -> dict[str, Any]:
            return function.arguments(prepare(header, body), self._client, header.get("headers", {}))

        if function.is_async:
            asyncio.run_coroutine_threadsafe(self._answer_async(header, function, arguments, finish), self._loop)
            return None
        return self._sync, lambda: self._run(header["kind"], function, arguments, finish)

    def _answer(self, header: dict[str, Any], work: Work) -> None:
        try:
            answer = work()
        except BaseException as fault:  # sys.exit in a function is that function's failure only
            answer = failure(fault)
        if "then" in header:
            self._ahead.answer(header["id"], header["then"], *answer)
        else:
            self._send(header["id"], answer)

    @contextlib.contextmanager
    def _counted(self, what: str) -> Iterator[None]:
        """Add the CPU of a block to the account of what it is for."""
        begun = time.thread_time()
        try:
            yield
        finally:
            with self._cpu_lock:
                self._cpu[what] += time.thread_time() - begun

    def _run(
        self, kind: str, function: Function, arguments: Callable[[], dict[str, Any]], finish: Callable[[Any], Answer]
    ) -> Answer:
        with self._counted(ACCOUNTS[kind]):
            return finish(function.code(**arguments()))

    def _turn(self, turn: "Turn", function: Function, header: dict[str, Any], body: bytes) -> Answer:
        with self._turns, self._counted("replays"):
            return turn(self._sessions, function, header, body)

    def _go_on(self, then: dict[str, Any], events: list[dict[str, Any]]) -> Answer:
        """A turn ahead. One that another turn has come before is not taken, and the execution stays warm."""
        if not self._sessions.stands_before(then["session"], then["turn"]):
            return GONE
        with self._counted("replays"):
            return _go_on(self._sessions, then, events)

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
        if "then" in header:  # not on this loop: an orchestrator that takes long would hold all that is async
            self._loop.run_in_executor(None, self._answer, header, lambda: answer)
        else:
            self._send(header["id"], answer)

    def _send(self, call_id: int, answer: Answer) -> None:
        frame = memoryview(frame_of(call_id, answer))
        with self._write_lock:
            while frame:
                frame = frame[os.write(self._answers_fd, frame) :]

    def _load(self, header: dict[str, Any]) -> Answer:
        """Import the app, index its functions, ask it for the faults of its set-up."""
        self._client, self._turns = header["client"], threading.Semaphore(header["turns"])
        self._ahead = TurnsAhead(self._go_on, self._send, self._turns)
        try:
            module = import_app(header["app"])
            quicken()
            functions, faults = functions_of(module)
        except Unloadable as fault:
            return {"ok": False, "sentence": str(fault)}, b""
        self._functions = {function.name: function for function in functions}
        gc.freeze()  # what is imported stays: there is nothing in it to collect
        faults += module.startup_faults() if callable(getattr(module, "startup_faults", None)) else []
        return {"ok": True, "functions": [function.describe() for function in functions], "faults": faults}, b""


def failure(fault: BaseException) -> Answer:
    """The answer of a function that failed, as the real worker words it."""
    return {"ok": False, "error": error_of(fault), "stack": stack_of(fault)}, b""


def frame_of(call_id: int, answer: Answer) -> bytes:
    """The frame of an answer; a failure where the app has put something into it that is neither JSON nor bytes."""
    try:
        return worker_protocol.encode({"id": call_id, **answer[0]}, answer[1])
    except Exception as fault:
        return worker_protocol.encode({"id": call_id, **failure(fault)[0]})


Turn = Callable[[Sessions, Function, dict[str, Any], bytes], Answer]


def replay(_sessions: Sessions, function: Function, header: dict[str, Any], context: bytes) -> Answer:
    """Run the SDK's replay of an orchestrator over a whole history, and keep nothing."""
    if not supported(function.code):
        return _state(lambda: str(function.code(context.decode())))
    return _state(Session(function.code, context.decode(), header["turn"]).begin()[1])


def begin(sessions: Sessions, function: Function, header: dict[str, Any], context: bytes) -> Answer:
    """The same, and keep the execution warm for its next turn."""
    if not supported(function.code):
        return replay(sessions, function, header, context)
    session = Session(function.code, context.decode(), header["turn"])
    told, state = session.begin()
    answer, text = _state(state)
    if answer["ok"]:
        sessions.keep(header["session"], session)
    return {**answer, **told}, text


def go_on(sessions: Sessions, _function: Function, header: dict[str, Any], body: bytes) -> Answer:
    """One more turn of a warm execution. `gone`: it is not warm any more, or the SDK could not go on."""
    return _go_on(sessions, header, read_events(body))


def _go_on(sessions: Sessions, header: dict[str, Any], events: list[dict[str, Any]]) -> Answer:
    session = sessions.take(header["session"], header["turn"])
    if session is None:
        return GONE
    try:
        told, state = session.go_on(events)
        answer, text = _state(state)
    except Exception:  # a replay raises the same, or shows that only the session was broken
        log.exception("A warm orchestration could not continue; it is replayed from its history.")
        return GONE
    if answer["ok"]:
        sessions.keep(header["session"], session)
    return {**answer, **told}, text


TURNS: dict[str, Turn] = {"replay": replay, "begin": begin, "go_on": go_on}


def _state(state: State) -> Answer:
    """The SDK's state as JSON text, also when user code raised; a `sentence` where the execution cannot go on."""
    try:
        return {"ok": True}, state().encode()
    except DeadEnd as end:
        return {"ok": False, "sentence": str(end), "error": str(end), "stack": end.stack}, b""
    except Exception as fault:
        text = _state_in(fault)
        if text is None:
            raise
        stack = stack_of(fault.__cause__ or fault)
        return {"ok": True, "stack": stack}, text.encode()


def _state_in(fault: Exception) -> str | None:
    """The state that the SDK packs behind the message of a failing orchestrator.

    It is cut off by the length of the message, not searched for, because the message may itself quote such a text.
    """
    start = len(text_of(fault.__cause__ or fault)) + len(OUT_OF_PROC_LABEL)
    text = text_of(fault)
    return text[start:] if text[:start].endswith(OUT_OF_PROC_LABEL) else None


def prepare_activity(header: dict[str, Any], body: bytes) -> Any:
    return ActivityTriggerConverter.decode(Datum(body.decode(), "string"), trigger_metadata=None)


def finish_activity(value: Any) -> Answer:
    text: str = ActivityTriggerConverter.encode(value, expected_type=None).value
    content = compact_json(json.loads(text)).encode()
    if len(content) > MAX_RESULT_BYTES:
        raise ValueError(f"the result has {len(content)} bytes of JSON; at most {MAX_RESULT_BYTES} can be kept")
    return {"ok": True, "at": iso_time(datetime.now(UTC))}, content


def prepare_http(header: dict[str, Any], body: bytes) -> Any:
    return func.HttpRequest(
        method=header["method"],
        url=header["url"],
        headers=header["headers"],
        params=header["params"],
        route_params=header["route_params"],
        body=body,
    )


def finish_http(value: Any) -> Answer:
    """The response of an HTTP function. Anything but an HttpResponse or a str is refused, as the real worker does."""
    if isinstance(value, str):
        return _finish_text(value)
    if not isinstance(value, func.HttpResponse):
        raise TypeError(f"an HTTP function must return func.HttpResponse or str, not {type(value).__name__}")
    cookies = [["Set-Cookie", cookie] for cookie in value.headers.get_all("Set-Cookie")]
    encoded = HttpResponseConverter.encode(value, expected_type=None).value
    headers = [[name, datum.value] for name, datum in encoded["headers"].items()]
    return {"ok": True, "status": _status(value.status_code), "headers": headers + cookies}, value.get_body()


def _finish_text(text: str) -> Answer:
    """A plain text, unless it is a JSON object with a `body`: that is read as a description of a response."""
    try:
        described = json.loads(text)
    except ValueError:
        described = None
    if not isinstance(described, dict) or "body" not in described:
        return {"ok": True, "status": 200, "headers": [["Content-Type", "text/plain; charset=utf-8"]]}, text.encode()
    body = described["body"]
    content = body if isinstance(body, str) else json.dumps(body)
    status = _status(described.get("status") or described.get("statusCode") or 200)
    headers = [[name, str(value)] for name, value in (described.get("headers") or {}).items()]
    return {"ok": True, "status": status, "headers": headers}, content.encode()


def _status(told: Any) -> int:
    """The status of an answer. Raises ValueError for one with which a client would not take it as an answer."""
    status = int(told)
    if not HTTPStatus.OK <= status <= MAX_STATUS:
        raise ValueError(f"an HTTP function must answer with a status from 200 to {MAX_STATUS}, not {status}")
    return status


def prepare_timer(header: dict[str, Any], body: bytes) -> Any:
    return TimerRequest(past_due=header["past_due"], schedule_status=header["status"], schedule=header["schedule"])


def finish_timer(value: Any) -> Answer:
    return {"ok": True}, b""


CALLS: dict[str, tuple[Callable[[dict[str, Any], bytes], Any], Callable[[Any], Answer]]] = {
    "activity": (prepare_activity, finish_activity),
    "http": (prepare_http, finish_http),
    "timer": (prepare_timer, finish_timer),
}


def _thread_count() -> int:
    setting = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
    return int(setting) if setting else min(32, (os.cpu_count() or 1) + 4)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere the end of stdin does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def configure_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    # Every request of an Azure client as a record of ten lines would bury what the app says.
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    # Correct replays of SDK 1.7 cause these two: a buffered event, and a codec without declared types.
    warnings.filterwarnings("ignore", message="Potential duplicate Task completion")
    warnings.filterwarnings("ignore", message=".*df_loads.*")


def main() -> None:
    """`argv[1]` is the app's folder: first on sys.path, and the working directory; `argv[2]` the lane's descriptor."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the host decides
    answers_fd = os.dup(1)
    os.dup2(2, 1)
    calls = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    lane = os.fdopen(int(sys.argv[2]), "rb") if len(sys.argv) > 2 else None
    configure_logging()
    os.chdir(sys.argv[1])
    sys.path.insert(0, sys.argv[1])
    Worker(calls, lane, answers_fd).run()
