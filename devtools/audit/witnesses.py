"""The witnesses of an order: the providers' facts, and the public API's view."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from models.states import COMPENSATION_NAMES, FINAL_STATES, STEP_NAMES, UNDOES

UNDONE = FINAL_STATES - {"completed"}
ENDED = FINAL_STATES | {"needs_attention"}
STEPS_IN_ORDER, IN_REVERSE = list(STEP_NAMES), list(COMPENSATION_NAMES)
UNDO_OF = {step: undo for undo, step in UNDOES.items()}

Row = Mapping[str, Any]


class Facts(NamedTuple):
    """The providers' facts of one order. `goods` and `label` are None where there are none."""

    ledger: tuple[Row, ...]
    messages: tuple[Row, ...]
    goods: Row | None
    label: Row | None

    @property
    def charged(self) -> int:
        return sum_of(self.ledger, "payment_intent.succeeded")

    @property
    def given_back(self) -> int:
        return sum_of(self.ledger, "refund.succeeded")

    @property
    def net(self) -> int:
        return self.charged - self.given_back

    @property
    def stock(self) -> str:
        return str(self.goods["State"]) if self.goods else "untouched"

    @property
    def shipping(self) -> str:
        return str(self.label["status"]) if self.label else "none"

    def mails(self, kind: str) -> list[Row]:
        return [row for row in self.messages if f".{kind}@" in (row["message_id"] or "")]

    @property
    def pushes(self) -> list[Row]:
        return [row for row in self.messages if row["kind"] == "push"]


class ApiOrder(NamedTuple):
    """The public API's view of one order."""

    order_id: str
    status: str
    total: int | None
    steps: Mapping[str, str]
    undos: Mapping[str, str]

    def stands(self, step: str) -> bool:
        """The step is shown as done, and its undo has not begun."""
        return self.steps[step] == "done" and UNDO_OF.get(step) not in self.undos

    def vouched(self, undo: str) -> bool:
        """An operator resolved this undo on evidence: the providers need not agree."""
        return self.undos.get(undo) == "resolved"


NOTHING = Facts((), (), None, None)


def sum_of(ledger: Iterable[Row], event: str) -> int:
    return sum(row["amount_minor"] for row in ledger if row["event"] == event)


def charged_at(facts: Facts, moment: str) -> int:
    return sum_of((row for row in facts.ledger if row["at"] <= moment), "payment_intent.succeeded")


def net_at(facts: Facts, moment: str) -> int:
    """The net amount at a moment. Both ledgers have times of one machine's clock, in the same notation."""
    given_back = sum_of((row for row in facts.ledger if row["at"] <= moment), "refund.succeeded")
    return charged_at(facts, moment) - given_back


def order_of(message: Row) -> str | None:
    """The order of a message: from a mail's Message-ID, or a push's properties."""
    if message["kind"] == "push":
        return str(json.loads(message["text"]).get("order_id"))
    match = re.match(r"<([A-Za-z0-9-]+)\.", message["message_id"] or "")
    return match[1] if match else None


def by_order(rows: Iterable[Row], belongs_to: Callable[[Row], str | None]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        order_id = belongs_to(row)
        if order_id is not None:
            grouped[order_id].append(row)
    return grouped


def held_by_orders(rows: Mapping[str, Row]) -> Counter[tuple[str, str]]:
    """Units by (state of the reservation, SKU)."""
    held: Counter[tuple[str, str]] = Counter()
    for key, row in rows.items():
        if key.startswith("order:"):
            for line in json.loads(row["Lines"]):
                held[row["State"], line["sku"]] += line["quantity"]
    return held


def doubled(labels: Iterable[tuple[str, Row]]) -> list[str]:
    """A sentence for each order with two labels, which the names of the blobs should make impossible."""
    counts = Counter(order_id for order_id, _ in labels)
    return [f"order {order_id} has two labels" for order_id, count in counts.items() if count > 1]


def impossible(key: str, row: Row) -> str | None:
    if not key.startswith("sku:"):
        return None
    on_hand, reserved = row["OnHand"], row["Reserved"]
    return None if 0 <= reserved <= on_hand else f"has {on_hand} on hand and {reserved} of them reserved"
