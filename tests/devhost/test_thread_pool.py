"""The worker's threads: at most so many calls at once, the others in their order."""

import threading
from collections.abc import Callable

from devhost.worker.calls import ThreadPool

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
