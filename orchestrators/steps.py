"""The table of the saga: what each step is called, its operation, its undo, its deadline, and how long faults are
retried.

These names are in the history of every order in flight. Changing one breaks those orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from models import states


class Step(NamedTuple):
    """One row.

    `operation` names the effect in its operation id; `undo` is the compensating activity, if there is one. `since` is
    the version of the saga that brought the step: orders of older versions do without it. After
    `deadline_s` seconds an attempt, of the step or of its undo, counts as unknown: the next one finds out what became
    of it, and an effect that comes late finds a reservation, an intent, a label or a tombstone of its own id.
    """

    activity: str
    operation: str
    undo: str | None
    deadline_s: float
    since: int = 1

    def operation_id(self, order_id: str) -> str:
        """The id of this step's one effect for this order: known before the call, the same in every attempt."""
        return f"{order_id}:{self.operation}"


# It changes nothing, so there is nothing to undo.
VALIDATE_ORDER = Step(states.VALIDATE_ORDER, states.OPERATIONS[states.VALIDATE_ORDER], undo=None, deadline_s=20)
RESERVE_INVENTORY = Step(
    states.RESERVE_INVENTORY, states.OPERATIONS[states.RESERVE_INVENTORY], undo=states.RELEASE_INVENTORY, deadline_s=20
)
PROCESS_PAYMENT = Step(
    states.PROCESS_PAYMENT, states.OPERATIONS[states.PROCESS_PAYMENT], undo=states.REFUND_PAYMENT, deadline_s=45
)
CREATE_SHIPMENT = Step(
    states.CREATE_SHIPMENT, states.OPERATIONS[states.CREATE_SHIPMENT], undo=states.CANCEL_SHIPMENT, deadline_s=20
)
# A sent message cannot be unsent. It comes last, so that nothing is announced that could still be undone.
SEND_CONFIRMATION = Step(
    states.SEND_CONFIRMATION, states.OPERATIONS[states.SEND_CONFIRMATION], undo=None, deadline_s=45
)
# The last activity of every path. It has no operation of its own: closing twice is closing once.
CLOSE_ORDER = Step(states.CLOSE_ORDER, "close", undo=None, deadline_s=45)

# In the order in which they run; `models.states.STEP_NAMES` has their names in the same order.
STEPS = (VALIDATE_ORDER, RESERVE_INVENTORY, PROCESS_PAYMENT, CREATE_SHIPMENT, SEND_CONFIRMATION)


def steps_of(version: int) -> tuple[Step, ...]:
    """The steps of an order of that version of the saga."""
    return tuple(step for step in STEPS if step.since <= version)


class Retry(NamedTuple):
    """Exponential backoff: `first_s`, doubled each time up to `cap_s`, until at least `limit_s` seconds were waited."""

    first_s: float
    cap_s: float
    limit_s: float

    def delays(self) -> Iterator[float]:
        """Seconds to wait after each failed attempt. One attempt more than there are delays."""
        waited, delay = 0.0, self.first_s
        while waited < self.limit_s:
            yield delay
            waited += delay
            delay = min(delay * 2, self.cap_s)


def step_retry(limit_s: float) -> Retry:
    """A step's faults: a customer is waiting, so give up within the limit and undo."""
    return Retry(first_s=1, cap_s=16, limit_s=limit_s)


def undo_retry(limit_s: float) -> Retry:
    """An undo's faults: somebody's money or goods are held, so retry for long, and every 20 seconds."""
    return Retry(first_s=1, cap_s=20, limit_s=limit_s)
