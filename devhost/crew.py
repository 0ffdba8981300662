"""The worker's threads: whoever has read a call runs it, and another one reads on.

Handing each call over to a pool wakes one thread more, and to wake a thread takes longer than a short call. Here the
thread that the call's arrival has woken is the one that runs it; the next reader gets up meanwhile.
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


class Crew:
    """As many threads as there are calls that run, and one more. `read` waits for the next call; it is called by one
    thread at a time. Neither it nor a call may raise.
    """

    def __init__(self, read: Callable[[], tuple[Pool, Call]]) -> None:
        self._read = read
        self._reading, self._counts = threading.Lock(), threading.Lock()
        self._free = self._threads = 0

    def start(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name=f"calls_{self._threads}", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._counts:
                self._free += 1
            with self._reading:
                pool, call = self._taken()
                with self._counts:
                    self._free -= 1
                    is_last = not self._free
                if is_last:
                    self.start()
            while call:
                call()
                call = self._next(pool)

    def _taken(self) -> tuple[Pool, Call | None]:
        """The next call that has a place."""
        while True:
            pool, call = self._read()
            with self._counts:
                if pool.running < pool.places:
                    pool.running += 1
                    return pool, call
                pool.waiting.append(call)

    def _next(self, pool: Pool) -> Call | None:
        """What has waited for the place that is free now."""
        with self._counts:
            if pool.waiting:
                return pool.waiting.popleft()
            pool.running -= 1
        return None
