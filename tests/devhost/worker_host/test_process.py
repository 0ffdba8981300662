"""A worker's process: its exit code is its own, also when devhost kills it at the moment of its end."""

import asyncio
import logging
import os
import signal
from pathlib import Path

import psutil
import pytest

from devhost.worker_host.process import WorkerProcess


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

    async def end_and_kill() -> int | None:
        others = set(psutil.Process().children())
        process = await WorkerProcess.start(tmp_path, dict(os.environ), lambda header, body: None)
        (child,) = set(psutil.Process().children()) - others
        os.kill(child.pid, signal.SIGTERM)
        while child.status() != psutil.STATUS_ZOMBIE:
            pass
        process.kill()
        killed.set()
        await asyncio.wait_for(process.silent.wait(), 10)
        await asyncio.wait_for(process.exited.wait(), 10)
        return process.exit_code

    monkeypatch.setattr(os, "waitpid", late_wait)
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(end_and_kill()) == -signal.SIGTERM
    assert caplog.messages == []
