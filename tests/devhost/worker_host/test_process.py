"""A worker's process: its exit code is its own, also when devhost kills it at the moment of its end."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from devhost.worker_host import process as process_module
from devhost.worker_host.process import WorkerProcess


def in_a_process(folder: Path, test: Callable[[WorkerProcess, psutil.Process], Awaitable[None]]) -> int | None:
    """Do something with a process, and wait for its end; its exit code."""

    async def run() -> int | None:
        process = await WorkerProcess.start(folder, dict(os.environ), lambda header, body: None)
        assert process._transport is not None
        await test(process, psutil.Process(process._transport.get_pid()))
        await asyncio.wait_for(process.silent.wait(), 10)
        await asyncio.wait_for(process.exited.wait(), 10)
        return process.exit_code

    return asyncio.run(run())


def test_the_exit_code_of_a_process_that_is_killed_as_it_ends_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    killed = asyncio.Event()
    wait = os.waitpid

    def late_wait(pid: int, options: int) -> tuple[int, int]:
        """Wait for a child, as asyncio does, but not before the kill."""
        while not killed.is_set():
            os.sched_yield()
        return wait(pid, options)

    async def end_and_kill(process: WorkerProcess, child: psutil.Process) -> None:
        os.kill(child.pid, signal.SIGTERM)
        while child.status() != psutil.STATUS_ZOMBIE:
            pass
        process.kill()
        killed.set()

    monkeypatch.setattr(os, "waitpid", late_wait)
    with caplog.at_level(logging.WARNING):
        assert in_a_process(tmp_path, end_and_kill) == -signal.SIGTERM
    assert caplog.messages == []


async def nothing(process: WorkerProcess, child: psutil.Process) -> None:
    """The process ends by itself."""


def test_the_end_of_a_process_is_seen_although_a_child_of_it_keeps_its_pipes_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forks = "import os, pathlib, sys, time\npid = os.fork()\n"
    leaves = "pathlib.Path(sys.argv[1], 'child').write_text(str(pid)) if pid else time.sleep(60)\nos._exit(7)"
    monkeypatch.setattr(process_module, "BOOT", forks + leaves)
    try:
        assert in_a_process(tmp_path, nothing) == 7
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_a_process_that_can_answer_no_more_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "BOOT", "import os, time\nos.close(1)\ntime.sleep(60)")
    assert in_a_process(tmp_path, nothing) == -signal.SIGKILL
