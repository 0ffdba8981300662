"""The moments of a run: each has a number, a plan says what goes wrong at some, and what is under way arrives later."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# More than any order of these scenarios needs: one that takes longer goes in circles.
MAX_TURNS = 250


class Died(BaseException):
    """The process is killed here."""


class Stuck(Exception):
    """The saga goes in circles, or waits for what does not come."""


class Schedule:
    """`trace`: what happened at each number. `is_calm`: nothing goes wrong and nothing is numbered."""

    def __init__(self, plan: Mapping[int, str], late: int) -> None:
        """`late`: after how many turns a request or activity that is under way behind the saga's back arrives."""
        self.plan, self._late = dict(plan), late
        self.trace: list[str] = []
        self._numbers = itertools.count()
        self._turns = 0
        self.is_calm = False
        self._under_way: list[tuple[int, Callable[[], None]]] = []

    @contextmanager
    def calm(self) -> Iterator[None]:
        """For the length of a block nothing goes wrong."""
        before, self.is_calm = self.is_calm, True
        try:
            yield
        finally:
            self.is_calm = before

    def fate_at(self, moment: str) -> str | None:
        """Give this moment its number. What the plan has for it; None when it is calm."""
        if self.is_calm:
            return None
        self.trace.append(moment)
        return self.plan.get(next(self._numbers))

    def next_turn(self, activity: str) -> None:
        """A moment of the saga between two activities. Raises Stuck."""
        self._turns += 1
        if self._turns > MAX_TURNS:
            raise Stuck(f"{activity} after {MAX_TURNS} turns")

    # What is under way behind the saga's back.

    def later(self, arrive: Callable[[], None]) -> None:
        self._under_way.append((self._turns + self._late, arrive))

    def deliver(self, check: Callable[[], None], *, everything: bool = False) -> None:
        """Let arrive what is due, and check after each."""
        due = [arrive for turn, arrive in self._under_way if everything or turn < self._turns]
        self._under_way = [(turn, arrive) for turn, arrive in self._under_way if not everything and turn >= self._turns]
        with self.calm():
            for arrive in due:
                arrive()
                check()

    def drop_activities(self) -> None:
        """The process is dead: what it was doing is not done. Requests that have left it still arrive."""
        for overdue in Overdue.alive:
            overdue.die()
        Overdue.alive.clear()
        self._under_way = [(turn, arrive) for turn, arrive in self._under_way if not isinstance(arrive, Overdue)]


class Overdue:
    """An activity in a thread of its own, so that it can stop while the saga goes on."""

    alive: list[Overdue] = []  # noqa: RUF012 - the one process of this model
    here = threading.local()

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._stopped, self._resumed = threading.Event(), threading.Event()
        self._dead = False
        self.result: Any = None
        self.finished = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Returns when the activity has ended or stopped."""
        self._thread.start()
        self._stopped.wait()

    def _run(self) -> None:
        Overdue.here.activity = self
        try:
            self.result = self._work()
        except BaseException as end:  # raised again by the caller of `start`
            self.result = end
        self.finished = True
        self._stopped.set()

    @staticmethod
    def stop_at(schedule: Schedule, request: str) -> None:
        """Stop before the request at which this thread is to be held up, once."""
        if getattr(Overdue.here, "held_up_at", None) == request:
            Overdue.here.held_up_at = None
            Overdue.stop(schedule)

    @staticmethod
    def stop(schedule: Schedule) -> None:
        """Stop the activity of this thread until the schedule resumes it. Raises Died."""
        overdue: Overdue = Overdue.here.activity
        Overdue.alive.append(overdue)
        schedule.later(overdue)
        overdue._stopped.set()
        overdue._resumed.wait()
        if overdue._dead:
            raise Died

    def __call__(self) -> None:
        """Resume it. It runs to its end, and nobody waits for its result."""
        self._resumed.set()
        self._thread.join()
        Overdue.alive.remove(self)

    def die(self) -> None:
        self._dead = True
        self._resumed.set()
        self._thread.join()
