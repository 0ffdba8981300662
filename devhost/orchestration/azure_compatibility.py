"""Where Azure's host would go another way: a watch over the order in which tasks are invoked.

The SDK gives numbers to tasks as the orchestrator yields them, and devhost follows it. The extension of the real host
walks the list of what was yielded: it invokes a step, awaits it, invokes the next, and numbers in that order, in every
replay anew. Mostly that comes to the same. It does not

- where the orchestrator went on before the extension's wait is over: after the failure of one of a `task_all`, which
  the extension waits for to the end, or by a winner of a `task_any` that an earlier step had yielded already;
- where that wait is over earlier than the SDK's, because a timer of it is cancelled, and a retry has taken numbers
  since: the next step then gets one of those.

`InvocationOrder` is told what the task table is told, in moments (one an event), and keeps the first difference as a
sentence. It decides nothing. Rejected: a second walk over the whole history in every turn, which would cost as much as
the replays that warm executions save; here a step costs the same however many came before it.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Action = dict[str, Any]
ALL, ANY = 12, 11
NOT_YET = math.inf


@dataclass(eq=False)
class Leaf:
    """One activity, timer, sub-orchestration or wait of a step, and the moment at which it was over."""

    what: str
    step: int
    over: float = NOT_YET


@dataclass
class Step:
    """One yield. `yielded`: the moment; `number`: the first that it took, if any."""

    action: Action
    yielded: int
    leaves: list[Leaf] = field(default_factory=list)
    number: int | None = None


class InvocationOrder:
    """`quiet` when it was told of the past from a history, which does not say when a wait for an event began."""

    def __init__(self) -> None:
        self.difference, self.quiet = "", False
        self._moment = 0
        self._steps: list[Step] = []
        self._ends: list[float] = []  # of the first steps, as far as they are known
        self._open: dict[int, Leaf] = {}
        self._waits: dict[str, list[Leaf]] = defaultdict(list)
        self._raised: dict[str, deque[int]] = defaultdict(deque)
        self._last_retry = 0

    @property
    def steps(self) -> int:
        return len(self._steps)

    # --- what the task table tells ---

    def next_moment(self) -> None:
        self._moment += 1

    def raised(self, name: str) -> None:
        """An event from outside: it ends the newest wait for it, or is kept for the next one."""
        waits = self._waits[name.casefold()]
        if waits:
            waits.pop().over = self._moment
        else:
            self._raised[name.casefold()].append(self._moment)

    def ended(self, number: int, again: int | None) -> None:
        """A task ended; `again` is the number that its retry has taken, if there is one."""
        leaf = self._open.pop(number, None)
        if leaf is None:
            return
        if again is None:
            leaf.over = min(leaf.over, self._moment)
        else:
            self._open[again] = leaf
            self._last_retry = self._moment

    def yielded(self, step: int, action: Action, what: str) -> Leaf:
        """A task of a step, which is the next one or one that is known."""
        if step == len(self._steps):
            self._steps.append(Step(action, self._moment))
        leaf = Leaf(what, step)
        self._steps[step].action = action
        self._steps[step].leaves.append(leaf)
        return leaf

    def waits(self, leaf: Leaf, name: str) -> None:
        kept = self._raised[name.casefold()]
        if kept:
            leaf.over = kept.popleft()
        else:
            self._waits[name.casefold()].append(leaf)

    def numbered(self, leaf: Leaf, number: int) -> None:
        """The leaf took a number."""
        self._open[number] = leaf
        step = self._steps[leaf.step]
        step.number = number if step.number is None else step.number
        self._compare(leaf.step, leaf.what)

    def cancelled(self, number: int) -> None:
        """A timer is cancelled: from now on the extension's wait for it ends as soon as it starts."""
        leaf = self._open.get(number)
        if leaf is None:
            return
        leaf.over = 0
        del self._ends[leaf.step :]
        for later in range(leaf.step + 1, len(self._steps)):
            if self._steps[later].number is not None:
                self._compare(later, self._steps[later].leaves[0].what)

    def over_at_once(self, leaf: Leaf) -> None:
        """Nobody waits for the leaf: it is a signal, or it ends the list."""
        leaf.over = 0

    def concludes(self) -> None:
        """The orchestrator has ended, in whatever way."""
        if self._invoked(len(self._steps)) == NOT_YET:
            self._differs(f"it ended {self._too_early('the instance')}")

    # --- the result ---

    def _compare(self, step: int, what: str) -> None:
        invoked, yielded = self._invoked(step), self._steps[step].yielded
        if invoked == NOT_YET:
            self._differs(f"{what} began {self._too_early(what)}")
        elif invoked < self._last_retry <= yielded:
            self._differs(
                f"{what} took number {self._steps[step].number}, after a retry beside a timer that was cancelled. "
                f"There the cancelled timer ends the wait for both at once, {what} takes the retry's number, and the "
                "instance fails as non-deterministic"
            )

    def _too_early(self, what: str) -> str:
        step = self._steps[len(self._ends)]
        names = ", ".join(leaf.what for leaf in step.leaves if leaf.over == NOT_YET)
        if step.action["actionType"] == ALL:
            return (
                f"after a failure in a task_all and before the end of {names}. There {what} waits for that end, and if "
                "a retry takes a number until then, the instance hangs or fails as non-deterministic"
            )
        return (
            f"although what was yielded last, {names}, has not ended: what ended had been yielded before. There "
            f"{what} waits for {names}, for ever if that never ends"
        )

    def _differs(self, how: str) -> None:
        if not self.quiet:
            self.difference = self.difference or how

    def _invoked(self, step: int) -> float:
        """The moment at which the extension, replaying what is known now, would invoke a step."""
        while len(self._ends) < step:
            before = self._ends[-1] if self._ends else 0
            known = self._steps[len(self._ends)]
            end = max(before, _end(known.action, iter(known.leaves)))
            if end == NOT_YET:
                return NOT_YET
            self._ends.append(end)
        return self._ends[step - 1] if step else 0


def _end(action: Action, leaves: Iterator[Leaf]) -> float:
    """When the extension's wait for an action is over; of an empty task_any it is over at once."""
    if action["actionType"] not in (ALL, ANY):
        return next(leaves).over
    ends = [_end(child, leaves) for child in action["compoundActions"]]
    return (max if action["actionType"] == ALL else min)(ends, default=0)
