"""The tour's promises about its two orders, each with a check of a story."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from devtools.demo.story import QUANTITY, Story
from models.states import CLOSE_ORDER, COMPENSATION_NAMES, PROCESS_PAYMENT, STEP_NAMES, UNDOES

# The declined order: the payment refuses it, earlier steps are undone in reverse, and the rest never begins.
BEFORE_PAYMENT = STEP_NAMES[: STEP_NAMES.index(PROCESS_PAYMENT)]
AFTER_PAYMENT = STEP_NAMES[STEP_NAMES.index(PROCESS_PAYMENT) + 1 :]
DECLINED = [
    *("undone" if step in UNDOES.values() else "done" for step in BEFORE_PAYMENT),
    *("refused", *["pending"] * len(AFTER_PAYMENT)),
]
UNDONE = [undo for undo in COMPENSATION_NAMES if UNDOES[undo] in BEFORE_PAYMENT]
Promises = Sequence[tuple[str, Callable[[Story], bool]]]
PROMISED_OF_EVERY_ORDER: Promises = (
    ("the order was accepted with 202", lambda s: s.answered == 202),
    ("its orchestration completed", lambda s: s.runtime_status == "Completed"),
    ("its history begins and ends", lambda s: _begins_and_ends([row["EventType"] for row in s.history])),
    ("no unit of it is still reserved", lambda s: s.fell("reserved") == 0),
)
PROMISED_OF_THE_COMPLETED: Promises = (
    *PROMISED_OF_EVERY_ORDER,
    ("the customer sees it completed", lambda s: s.view["status"] == "completed" and s.view["failure"] is None),
    ("every step is done", lambda s: s.statuses() == ["done"] * len(STEP_NAMES) and not s.undone()),
    ("the steps ran in order, then close_order", lambda s: s.scheduled() == [*STEP_NAMES, CLOSE_ORDER]),
    ("stock fell by what was bought", lambda s: s.fell("available") == s.fell("on_hand") == QUANTITY),
    ("one payment, of the catalogue's price", lambda s: s.payments("payment_intent.succeeded") == [s.price]),
    ("nothing was refunded", lambda s: not s.payments("refund.succeeded")),
    ("one label", lambda s: len(s.labels) == 1),
    ("one mail and one push", lambda s: s.sent("email") == s.sent("push") == 1),
)
PROMISED_OF_THE_DECLINED: Promises = (
    *PROMISED_OF_EVERY_ORDER,
    ("the customer sees it compensated", lambda s: s.view["status"] == "compensated"),
    (
        "the customer sees that the card was declined",
        lambda s: (s.view["failure"]["step"], s.view["failure"]["reason"]) == (PROCESS_PAYMENT, "card_declined"),
    ),
    ("the steps show it", lambda s: s.statuses() == DECLINED),
    ("the completed steps were undone, in reverse", lambda s: s.undone() == [(undo, "done") for undo in UNDONE]),
    (
        "the undo ran after the refused step, then close_order",
        lambda s: s.scheduled() == [*BEFORE_PAYMENT, PROCESS_PAYMENT, *UNDONE, CLOSE_ORDER],
    ),
    ("stock is back where it was", lambda s: s.fell("available") == s.fell("on_hand") == 0),
    ("the money taken is nil", lambda s: sum(s.payments("payment_intent.succeeded")) == 0),
    ("the provider declined the charge", lambda s: len(s.payments("charge.failed")) == 1),
    (
        "no label, no push, and one mail that says how it ended",
        lambda s: (len(s.labels), s.message_kinds()) == (0, ["email"]),
    ),
)


def _begins_and_ends(events: Sequence[str]) -> bool:
    return "ExecutionStarted" in events[:2] and "ExecutionCompleted" in events[-2:]


def broken_promises(story: Story, promises: Promises) -> list[str]:
    return [promise for promise, holds in promises if not _holds(holds, story)]


def _holds(promise: Callable[[Story], bool], story: Story) -> bool:
    try:
        return promise(story)
    except (KeyError, TypeError, IndexError):  # an answer without the promised part
        return False
