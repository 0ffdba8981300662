"""The lane to the worker: which calls go by it, and when it is free again."""

import asyncio
from typing import Any

import pytest

from devhost import worker_protocol
from devhost.worker_host.supervisor import Worker

CALL = {"kind": "activity", "function": "step"}


class Process:
    """Notes of each call that it is sent: its number, and whether by the lane."""

    has_lane = True

    def __init__(self) -> None:
        self.sent: list[tuple[int, bool]] = []

    def send(self, frame: bytes, by_lane: bool) -> None:
        ((header, _),) = worker_protocol.cut(bytearray(frame))
        self.sent.append((header["id"], by_lane))


def worker() -> tuple[Worker, Process]:
    made, process = Worker(), Process()
    made.process = process  # type: ignore[assignment]
    return made, process


async def asked(of: Worker, **header: Any) -> "asyncio.Task[Any]":
    asking = asyncio.ensure_future(of.ask({**CALL, **header}, b""))
    await asyncio.sleep(0)
    return asking


def test_one_call_at_a_time_goes_by_the_lane() -> None:
    async def run() -> None:
        of, process = worker()
        first, second = await asked(of), await asked(of)
        of.settle({"id": 2, "ok": True}, b"")
        third = await asked(of)
        of.settle({"id": 1, "ok": True}, b"")
        fourth = await asked(of)
        assert process.sent == [(1, True), (2, False), (3, False), (4, True)]
        for number in (3, 4):
            of.settle({"id": number, "ok": True}, b"")
        await asyncio.gather(first, second, third, fourth)

    asyncio.run(run())


@pytest.mark.parametrize("given_up", [False, True])
def test_the_lane_stays_taken_until_the_thread_of_its_call_is_free(given_up: bool) -> None:
    async def run() -> None:
        of, process = worker()
        first = await asked(of)
        if given_up:
            first.cancel()
        else:
            of.settle({"id": 1, "ok": True, "busy": True}, b"")
            assert (await first).ok
        others = [await asked(of)]
        of.settle({"id": 1, "ok": True}, b"")
        others.append(await asked(of))
        assert process.sent == [(1, True), (2, False), (3, True)]
        for each in others:
            each.cancel()

    asyncio.run(run())


def test_the_app_is_not_loaded_by_the_lane() -> None:
    async def run() -> None:
        of, process = worker()
        loading = await asked(of, kind="load")
        assert process.sent == [(1, False)]
        loading.cancel()

    asyncio.run(run())
