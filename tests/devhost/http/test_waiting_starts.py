"""A start that waits does so for a bounded time, and no longer than its client does."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from devhost.http.bodies import Bodies
from devhost.http.free_space import FreeSpace
from devhost.http.orchestration_api import OrchestrationApi, waiting
from devhost.http.responses import Refusal
from devhost.http.server import HttpServer
from loopback.visitors import Visitors


@pytest.mark.parametrize(
    ("timeout", "pause", "bounded"),
    [
        ("5", "1", (5, 1)),
        ("1e9", "1e8", (230, 1e8)),
        (" .5 ", "0", (0.5, 0.1)),
        ("0", "0", (0, 0.1)),
        ("1", "+1", (1, 1)),
    ],
)
def test_what_a_client_asks_for_is_bounded(timeout: str, pause: str, bounded: tuple[float, float]) -> None:
    assert waiting({"timeout": timeout, "pollinginterval": pause}) == bounded


NO_SECONDS = ["-1", "nan", "inf", "1e999", "\u0663", "\u00b2", "1_0", "0x1", "1,5", "1 0", "x", "--1", "9" * 9999]


@pytest.mark.parametrize("text", NO_SECONDS)
def test_what_is_no_number_of_seconds_is_refused(text: str) -> None:
    for query in ({"timeout": text, "pollinginterval": "0"}, {"timeout": "1", "pollinginterval": text}):
        with pytest.raises(Refusal) as refused:
            waiting(query)
        assert refused.value.status == 400


def test_a_start_waits_only_when_both_are_given() -> None:
    assert waiting({"timeout": "1"}) is waiting({"pollinginterval": "1"}) is None


class NeverEnding:
    """An engine whose instances run for ever. `looks`: how often somebody waited for their end."""

    def __init__(self) -> None:
        self.looks, self.waits = 0, asyncio.Event()

    async def start(self, *_given: Any) -> None:
        """It runs."""

    async def status(self, _id: str) -> dict[str, str]:
        return {"RuntimeStatus": "Running"}

    async def end_of(self, _id: str, within_s: float) -> None:
        self.looks += 1
        self.waits.set()
        await asyncio.sleep(min(within_s, 0.02))


def test_nothing_waits_for_a_client_that_has_gone() -> None:
    engine, bodies = NeverEnding(), Bodies(1000)
    task_hub, functions = SimpleNamespace(name="Hub"), SimpleNamespace(orchestrator=lambda name: name)
    management = OrchestrationApi(
        cast(Any, engine), cast(Any, None), cast(Any, task_hub), cast(Any, functions), bodies, key="", version=""
    )
    doors: dict[str, Any] = {"visitors": Visitors(), "key": None, "secret": "its own", "space": FreeSpace({})}
    edge = HttpServer([], cast(Any, None), management, bodies=bodies, front=None, **doors)

    async def looks_after_leaving() -> tuple[int, int]:
        listener = socket.create_server(("127.0.0.1", 0))
        runner = await edge.serve(listener)
        _, writer = await asyncio.open_connection(*listener.getsockname())
        path = b"/runtime/webhooks/durabletask/orchestrators/x?timeout=200&pollingInterval=0"
        writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await engine.waits.wait()
        writer.close()
        await asyncio.sleep(0.2)
        before = engine.looks
        await asyncio.sleep(0.2)
        await runner.cleanup()
        return before, engine.looks

    before, after = asyncio.run(looks_after_leaving())
    assert after == before
