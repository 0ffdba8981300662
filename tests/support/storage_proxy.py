"""A proxy in front of Azurite that loses requests or answers on purpose: how storage is made to fail.

The app and devhost talk to storage through it, over their own protocol and with their own signatures; which of their
requests fail is chosen by a pattern over their text. Runs on a thread of the test.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, web

from devtools.processes.forwarding import forward

Fault = Literal["refuse", "forbid", "lose_request", "lose_answer", "hold", "hold_then_commit", "hold_answer"]
# Each request that is held keeps a thread waiting.
HELD_AT_ONCE = 128


@dataclass
class Rule:
    """Of the requests that match, `spared` pass and the next `times` fail. `seen` is set by the first that fails.

    `refuse` (503) is tried again by Azure's clients, `forbid` (403) is not. `hold` waits until `lifted`, then cuts;
    `hold_then_commit` is then sent on, whether or not anybody still listens. `hold_answer` is done at once, and not
    answered before `lifted`. `done` is set when storage has answered.
    """

    pattern: re.Pattern[str]
    fault: Fault
    times: int
    spared: int = 0
    seen: threading.Event = field(default_factory=threading.Event)
    lifted: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def matches(self, request: str) -> bool:
        if self.times <= 0 or not self.pattern.search(request):
            return False
        if self.spared > 0:
            self.spared -= 1
            return False
        self.times -= 1
        self.seen.set()
        return True


class StorageProxy:
    """`port` stands in for Azurite's `target` address (`http://127.0.0.1:<port>`).

    `answered`, when given, gets the text of every request whose answer is passed on, before it is.
    """

    def __init__(self, port: int, target: str, answered: list[str] | None = None) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._port = port
        self._target = target
        self._answered = answered
        self._rules: list[Rule] = []
        self._recordings: list[Callable[[str], object]] = []
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(HELD_AT_ONCE))
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def __enter__(self) -> StorageProxy:
        self._thread.start()
        assert self._ready.wait(10), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()

    @contextmanager
    def failing(self, pattern: str, fault: Fault, times: int = 1_000_000, spared: int = 0) -> Iterator[Rule]:
        """For the length of a block: requests whose text (method, path, headers, body) holds the pattern fail."""
        rule = Rule(re.compile(pattern, re.DOTALL), fault, times, spared)
        self._rules.append(rule)
        try:
            yield rule
        finally:
            rule.lifted.set()
            self._rules.remove(rule)

    @contextmanager
    def recording(self, seen: Callable[[str], object]) -> Iterator[None]:
        """For the length of a block: `seen` gets the text of every request as it comes."""
        self._recordings.append(seen)
        try:
            yield
        finally:
            self._recordings.remove(seen)

    async def _serve(self) -> None:
        timeout = ClientTimeout(total=60)
        async with ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar(), timeout=timeout) as session:
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{rest:.*}", partial(self._pass_on, session))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _pass_on(self, session: ClientSession, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen = _text_of(request, body)
        self._tell(seen)
        rule = next((rule for rule in self._rules if rule.matches(seen)), None)
        fault = rule.fault if rule else None
        if fault == "refuse":
            return web.Response(status=503, text="<Error><Code>ServerBusy</Code></Error>")
        if fault == "forbid":
            return web.Response(status=403, text="<Error><Code>AuthorizationFailure</Code></Error>")
        if rule and fault in {"hold", "hold_then_commit"}:
            await asyncio.to_thread(rule.lifted.wait)
        if fault not in {"lose_request", "hold"}:
            answer = await self._ask_azurite(session, request, body)
            if rule:
                rule.done.set()
            if rule and fault == "hold_answer":
                await asyncio.to_thread(rule.lifted.wait)
            elif fault != "lose_answer":
                self._note(seen)
                return answer
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _tell(self, request: str) -> None:
        for recording in self._recordings:
            recording(request)

    def _note(self, request: str) -> None:
        if self._answered is not None:
            self._answered.append(request)

    async def _ask_azurite(self, session: ClientSession, request: web.Request, body: bytes) -> web.Response:
        return await forward(session, self._target, request, body)


def _text_of(request: web.Request, body: bytes) -> str:
    headers = "".join(f"{name.lower()}: {value}\n" for name, value in request.headers.items())
    return f"{request.method} {request.raw_path}\n{headers}\n{body.decode('utf-8', 'replace')}"
