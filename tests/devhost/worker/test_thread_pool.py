"""How many calls the worker runs at once."""

import os

import pytest

from devhost.worker import calls
from devhost.worker.calls import thread_count


@pytest.mark.parametrize(("setting", "count"), [("1", 1), ("32", 32), ("007", 7), ("1000000", 1_000_000)])
def test_there_are_as_many_threads_as_the_setting_says(setting: str, count: int) -> None:
    assert thread_count(setting) == count


@pytest.mark.parametrize("setting", [None, "", "0", "00", "-1", "2.5", "many", " 3", "٣", "9" * 40])
def test_what_is_no_number_of_threads_leaves_as_many_as_azure_has(setting: str | None) -> None:
    assert thread_count(setting) == thread_count(None) >= 5


def test_the_worker_reads_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    pools: dict[str, int] = {}
    monkeypatch.setattr(calls, "ThreadPoolExecutor", lambda threads, name: pools.update({name: threads}))
    monkeypatch.setenv(calls.THREADS, "3")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        calls.Calls(nothing, 1)._loop.close()
    assert pools["function"] == 3
