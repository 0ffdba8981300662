"""The worker's threads: the thread that has read a call runs it, and another thread reads the next call.

Handing each call over to a pool wakes one thread more, and to wake a thread takes longer than a short call. Here the
thread that the call's arrival has woken is the one that runs it; the next reader gets up meanwhile. Even that is saved
for one call at a time: it comes by a lane of its own, where nothing else will come before it is answered.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Call = Callable[[], object]


@dataclass
class Pool:
    """Calls of one kind: at most so many at once, the others in their order. `running` counts those that run."""

    places: int
    running: int = 0
    waiting: deque[Call] = field(default_factory=deque)


Read = Callable[[], tuple[Pool, Call]]


class Crew:
    """As many threads as there are calls that run, and one more that reads; and one for the `lane`, if there is one.

    `read` and `lane` wait for a next call; each is called by one thread at a time. The thread of the lane does not
    change: it reads on when it has run its call. Neither of them nor a call may raise.
    """

    def __init__(self, read: Read, lane: Read | None = None) -> None:
        self._read, self._lane = read, lane
        self._reading, self._counts = threading.Lock(), threading.Lock()
        self._free = self._threads = 0

    def start(self) -> None:
        self._add()
        if self._lane:
            threading.Thread(target=self._follow, args=(self._lane,), name="lane", daemon=True).start()

    def _add(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name=f"calls_{self._threads}", daemon=True).start()

    def _follow(self, lane: Read) -> None:
        while True:
            pool, call = self._taken(lane)
            call()
            # What has waited for the place is not for this thread: the next call may be in the lane already.
            if waited := self._next(pool):
                threading.Thread(target=self._run, args=(pool, waited), daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._counts:
                self._free += 1
            with self._reading:
                pool, call = self._taken(self._read)
                with self._counts:
                    self._free -= 1
                    is_last = not self._free
                if is_last:
                    self._add()
            self._run(pool, call)

    def _taken(self, read: Read) -> tuple[Pool, Call]:
        """The next call that has a place."""
        while True:
            pool, call = read()
            with self._counts:
                if pool.running < pool.places:
                    pool.running += 1
                    return pool, call
                pool.waiting.append(call)

    def _run(self, pool: Pool, call: Call | None) -> None:
        """Run a call, and what has waited for its place."""
        while call:
            call()
            call = self._next(pool)

    def _next(self, pool: Pool) -> Call | None:
        """What takes the place of a call that has ended; None leaves it free."""
        with self._counts:
            if pool.waiting:
                return pool.waiting.popleft()
            pool.running -= 1
        return None
