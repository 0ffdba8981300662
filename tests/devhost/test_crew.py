"""The worker's threads: calls within their places and in their order, and always somebody who reads on."""

import threading
from queue import SimpleQueue

from devhost.worker.threads import Call, Crew, Pool

PATIENCE_S = 60


class Arrivals:
    """Calls that a crew reads as a test lets them arrive."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Pool, Call]] = SimpleQueue()
        self._lane: SimpleQueue[tuple[Pool, Call]] = SimpleQueue()
        self._crew = Crew(self._calls.get, self._lane.get)
        self._crew.start()
        self.threads: set[int] = set()

    def run(self, pool: Pool, call: Call, by_lane: bool = False) -> None:
        def noted() -> None:
            self.threads.add(threading.get_ident())
            call()

        (self._lane if by_lane else self._calls).put((pool, noted))


class Blocked:
    """A call that runs until it is let go."""

    def __init__(self) -> None:
        self.began, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.began.set()
        assert self.go.wait(PATIENCE_S)
        self.ended.set()


def runs(arrivals: Arrivals, pool: Pool, by_lane: bool = False) -> bool:
    done = threading.Event()
    arrivals.run(pool, done.set, by_lane)
    return done.wait(PATIENCE_S)


def test_calls_that_block_keep_no_other_pool_waiting() -> None:
    arrivals, activities, turns = Arrivals(), Pool(3), Pool(1)
    blocked = [Blocked() for _ in range(5)]
    for each in blocked:
        arrivals.run(activities, each)
    assert runs(arrivals, turns)
    assert [each.began.wait(PATIENCE_S) for each in blocked[:3]] == [True] * 3
    assert [each.began.is_set() for each in blocked[3:]] == [False] * 2
    for each in blocked:
        each.go.set()
    assert all(each.ended.wait(PATIENCE_S) for each in blocked)
    assert runs(arrivals, activities)
    assert activities.running == 0


def test_what_waits_for_a_place_keeps_its_order() -> None:
    arrivals, pool, first = Arrivals(), Pool(1), Blocked()
    order: list[int] = []
    arrivals.run(pool, first)
    for number in range(20):
        arrivals.run(pool, lambda number=number: order.append(number))  # type: ignore[misc]
    first.go.set()
    assert runs(arrivals, pool)
    assert order == list(range(20))


def test_there_are_no_more_threads_than_places_and_one_that_reads() -> None:
    arrivals, pool = Arrivals(), Pool(2)
    assert all(runs(arrivals, pool) for _ in range(200))
    assert len(arrivals.threads) <= 3


def test_what_comes_by_the_lane_runs_in_one_thread() -> None:
    arrivals, pool = Arrivals(), Pool(2)
    assert all(runs(arrivals, pool, by_lane=True) for _ in range(50))
    assert len(arrivals.threads) == 1


def test_a_call_that_blocks_in_the_lane_keeps_no_other_waiting() -> None:
    arrivals, pool, blocked = Arrivals(), Pool(2), Blocked()
    arrivals.run(pool, blocked, by_lane=True)
    assert blocked.began.wait(PATIENCE_S)
    assert runs(arrivals, pool)
    blocked.go.set()
    assert runs(arrivals, pool, by_lane=True)


def test_what_comes_by_the_lane_takes_a_place_like_all_others() -> None:
    arrivals, pool, blocked = Arrivals(), Pool(1), Blocked()
    done = threading.Event()
    arrivals.run(pool, blocked)
    assert blocked.began.wait(PATIENCE_S)
    arrivals.run(pool, done.set, by_lane=True)
    assert runs(arrivals, Pool(1), by_lane=True)  # so that the lane has been read before
    assert not done.is_set()
    blocked.go.set()
    assert done.wait(PATIENCE_S)


def test_the_lane_is_read_on_however_many_wait_for_the_place_of_its_call() -> None:
    arrivals, pool, first, waiting = Arrivals(), Pool(1), Blocked(), Blocked()
    arrivals.run(pool, first, by_lane=True)
    assert first.began.wait(PATIENCE_S)
    arrivals.run(pool, waiting)
    assert runs(arrivals, Pool(1))  # so that the one that waits has been read before
    first.go.set()
    assert waiting.began.wait(PATIENCE_S)
    assert runs(arrivals, Pool(1), by_lane=True)
    waiting.go.set()
    assert runs(arrivals, pool)
