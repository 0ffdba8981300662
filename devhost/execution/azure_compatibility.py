"""Warns of runs that Azure's host would take differently, by the order in which tasks are invoked.

The SDK gives numbers to tasks as the orchestrator yields them, and devhost follows it. The extension of the real host
walks the list of yielded actions: it invokes a step, awaits it, invokes the next, and numbers in that order, in every
replay anew. Mostly the numbers are the same. They differ

- where the orchestrator resumed before the extension's wait ends: after the failure of one task of a `task_all`, which
  the extension awaits to the end, or by a winner of a `task_any` that an earlier step had yielded already;
- where the extension's wait ends before the SDK's, because one of its timers is cancelled, and a retry has taken
  numbers since: the next step then gets one of those numbers.

`AzureCompatibility` reads the facts that the task table lists of each turn, in moments (one an event), and keeps the
first difference as a sentence. It decides nothing. An execution that is read from its history is not watched: a history
does not say when a wait for an event began. Rejected: a second walk over the whole history in every turn, which would
cost as much as the replays that warm executions save; here a step costs the same however many steps came before.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from devhost.execution.actions import CONTINUE, NUMBERED, SIGNAL, WAIT, Action, Task, describe
from devhost.execution.task_table import EventTaken, Fact, TaskYielded, TimerCancelled

ALL, ANY = 12, 11
NOT_YET = math.inf


@dataclass(eq=False)
class Leaf:
    """One activity, timer, sub-orchestration or wait of a step, and the moment at which it was over."""

    description: str
    step: int
    over: float = NOT_YET


@dataclass
class Step:
    """One yield. `yielded`: its moment; `number`: the first number that it took, if any."""

    action: Action
    yielded: int
    leaves: list[Leaf] = field(default_factory=list)
    number: int | None = None


class AzureCompatibility:
    """Watches one execution from its start. `difference` is a sentence once the real host would go another way."""

    def __init__(self) -> None:
        self.difference = ""
        self._moment = 0
        self._steps: list[Step] = []
        self._ends: list[float] = []  # of the first steps, as far as the moments are known
        self._open: dict[int, Leaf] = {}
        self._waits: dict[str, list[Leaf]] = defaultdict(list)
        self._raised: dict[str, deque[int]] = defaultdict(deque)
        self._last_retry = 0

    def hear(self, facts: list[Fact], *, has_ended: bool) -> None:
        """Read the facts of a turn, in their order; `has_ended`: the orchestrator ended in it."""
        for fact in facts:
            match fact:
                case EventTaken(raised, ended, again):
                    self._moment += 1
                    if raised is not None:
                        self._event_raised(raised)
                    if ended is not None:
                        self._task_ended(ended, again)
                case TaskYielded(step, whole, task):
                    self._task_yielded(step, whole, task)
                case TimerCancelled(number):
                    self._timer_cancelled(number)
        if has_ended and self._invoked(len(self._steps)) == NOT_YET:
            self._differs(f"it ended {self._too_early('the instance')}")

    def _event_raised(self, name: str) -> None:
        """An event ends the newest wait of its name, or is kept for the next one."""
        waits = self._waits[name.casefold()]
        if waits:
            waits.pop().over = self._moment
        else:
            self._raised[name.casefold()].append(self._moment)

    def _task_ended(self, number: int, again: int | None) -> None:
        leaf = self._open.pop(number, None)
        if leaf is None:
            return
        if again is None:
            leaf.over = min(leaf.over, self._moment)
        else:
            self._open[again] = leaf
            self._last_retry = self._moment

    def _task_yielded(self, number: int, whole: Action, task: Task) -> None:
        """A task of the next step, or of a known one."""
        if number == len(self._steps):
            self._steps.append(Step(whole, self._moment))
        leaf, step = Leaf(describe(task.kind, task.name), number), self._steps[number]
        step.action = whole
        step.leaves.append(leaf)
        if task.kind == WAIT:
            self._wait(leaf, task.name)
        if task.kind in NUMBERED:
            self._open[task.id] = leaf
            step.number = task.id if step.number is None else step.number
            self._compare(number, leaf.description)
        if task.kind in (CONTINUE, SIGNAL):  # no task waits for it
            leaf.over = 0

    def _wait(self, leaf: Leaf, name: str) -> None:
        kept = self._raised[name.casefold()]
        if kept:
            leaf.over = kept.popleft()
        else:
            self._waits[name.casefold()].append(leaf)

    def _timer_cancelled(self, number: int) -> None:
        """From now on the extension's wait for this timer ends as soon as it starts."""
        leaf = self._open.get(number)
        if leaf is None:
            return
        leaf.over = 0
        del self._ends[leaf.step :]
        for later in range(leaf.step + 1, len(self._steps)):
            if self._steps[later].number is not None:
                self._compare(later, self._steps[later].leaves[0].description)

    def _compare(self, step: int, description: str) -> None:
        invoked, yielded = self._invoked(step), self._steps[step].yielded
        if invoked == NOT_YET:
            self._differs(f"{description} began {self._too_early(description)}")
        elif invoked < self._last_retry <= yielded:
            self._differs(
                f"{description} took number {self._steps[step].number}, after a retry beside a timer that was "
                f"cancelled. There the cancelled timer ends the wait for both at once, {description} takes the retry's "
                "number, and the instance fails as non-deterministic"
            )

    def _too_early(self, description: str) -> str:
        step = self._steps[len(self._ends)]
        names = ", ".join(leaf.description for leaf in step.leaves if leaf.over == NOT_YET)
        if step.action["actionType"] == ALL:
            return (
                f"after a failure in a task_all and before the end of {names}. There {description} waits for that end, "
                "and if a retry takes a number until then, the instance hangs or fails as non-deterministic"
            )
        return (
            f"although what was yielded last, {names}, has not ended: what ended had been yielded before. There "
            f"{description} waits for {names}, for ever if that never ends"
        )

    def _differs(self, how: str) -> None:
        self.difference = self.difference or how

    def _invoked(self, step: int) -> float:
        """The moment at which the extension, replaying the facts so far, would invoke a step."""
        while len(self._ends) < step:
            before = self._ends[-1] if self._ends else 0
            known = self._steps[len(self._ends)]
            end = max(before, _end(known.action, iter(known.leaves)))
            if end == NOT_YET:
                return NOT_YET
            self._ends.append(end)
        return self._ends[step - 1] if step else 0


def _end(action: Action, leaves: Iterator[Leaf]) -> float:
    """The moment at which the extension's wait for an action ends; an empty task_any ends at once."""
    if action["actionType"] not in (ALL, ANY):
        return next(leaves).over
    ends = [_end(child, leaves) for child in action["compoundActions"]]
    return (max if action["actionType"] == ALL else min)(ends, default=0)
