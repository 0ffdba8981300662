"""The worker's threads: at most so many calls at once, the others in their order."""

import os
import threading
from collections.abc import Callable

import pytest

from devhost.worker import calls
from devhost.worker.calls import ThreadPool, thread_count

PATIENCE_S = 60


class Blocked:
    """A call that runs until it is let go."""

    def __init__(self) -> None:
        self.began, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.began.set()
        assert self.go.wait(PATIENCE_S)
        self.ended.set()


def has_run(pool: ThreadPool, call: Callable[[], object] = lambda: None) -> bool:
    done = threading.Event()
    pool.run(call)
    pool.run(done.set)
    return done.wait(PATIENCE_S)


def test_as_many_calls_run_at_once_as_there_are_threads() -> None:
    functions, orchestrators = ThreadPool("function", 3), ThreadPool("orchestrator", 1)
    blocked = [Blocked() for _ in range(5)]
    for each in blocked:
        functions.run(each)
    assert has_run(orchestrators), "functions that block keep no orchestrator waiting"
    assert [each.began.wait(PATIENCE_S) for each in blocked[:3]] == [True] * 3
    assert [each.began.is_set() for each in blocked[3:]] == [False] * 2
    for each in blocked:
        each.go.set()
    assert all(each.ended.wait(PATIENCE_S) for each in blocked)
    assert has_run(functions)


def test_calls_keep_their_order() -> None:
    pool, first, order = ThreadPool("function", 1), Blocked(), list[int]()
    pool.run(first)
    for number in range(20):
        pool.run(order.append, number)
    first.go.set()
    assert has_run(pool)
    assert order == list(range(20))


@pytest.mark.parametrize(("setting", "count"), [("1", 1), ("32", 32), ("007", 7), ("1000000", calls.MOST_THREADS)])
def test_there_are_as_many_threads_as_the_setting_says(setting: str, count: int) -> None:
    assert thread_count(setting) == count


@pytest.mark.parametrize("setting", [None, "", "0", "00", "-1", "2.5", "many", " 3", "٣", "9" * 40])
def test_what_is_no_number_of_threads_leaves_as_many_as_azure_has(setting: str | None) -> None:
    assert thread_count(setting) == thread_count(None) >= 5


def test_the_worker_reads_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, int] = {}
    monkeypatch.setattr(calls, "ThreadPool", lambda name, threads: started.update({name: threads}))
    monkeypatch.setenv(calls.THREADS, "3")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        calls.Calls(nothing, 1)._loop.close()
    assert started["function"] == 3
