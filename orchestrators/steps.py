"""The table of the saga: what each step is called, its operation, its undo, and how long its faults are retried.

These names stand in the history of every order in flight. Changing one breaks those orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Step(NamedTuple):
    """`operation` names the effect in its operation id; `undo` is the compensating activity, if there is one."""

    activity: str
    operation: str
    undo: str | None

    def operation_id(self, order_id: str) -> str:
        """The id of this step's one effect for this order: known before the call, the same in every attempt."""
        return f"{order_id}:{self.operation}"


# It changes nothing, so there is nothing to undo.
VALIDATE_ORDER = Step("validate_order", "validate", undo=None)
RESERVE_INVENTORY = Step("reserve_inventory", "reserve", undo="release_inventory")
PROCESS_PAYMENT = Step("process_payment", "pay", undo="refund_payment")
CREATE_SHIPMENT = Step("create_shipment", "ship", undo="cancel_shipment")
# A sent message cannot be unsent. It comes last, so that nothing is announced that could still be undone.
SEND_CONFIRMATION = Step("send_confirmation", "notify", undo=None)

CLOSE_ORDER = "close_order"


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
    """An undo's faults: somebody's money or goods are held, so go on for long, but look again every 20 seconds."""
    return Retry(first_s=1, cap_s=20, limit_s=limit_s)
