"""What has to be true of the order: after every commit, whenever the customer is shown something, and at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.proof.model.one_order import OneOrder
from tests.proof.model.scenarios import BODY, ORDER, OTHER, SKU, TOTAL, Scenario
from tests.proof.model.schedule import Overdue
from tests.support.steps import STEPS, UNDO

# Of these an order's audit trail has one at most.
ONCE = ("goods_reserved", "goods_released", "payment_charged", "label_issued", "confirmation_sent", "farewell_claimed")


@dataclass
class Interventions:
    """What customers and operators have done so far.

    `cancel_promised`: a cancel was answered with 202. `resolved`: an undo was. `operated`: how often an operator has
    acted. `accepted`: how many of their requests were not answered with 409.
    """

    cancel_promised: bool = False
    resolved: bool = False
    operated: int = 0
    accepted: int = 0


class Checks:
    """`violations`: a sentence for each rule that was broken."""

    def __init__(self, order: OneOrder, scenario: Scenario, interventions: Interventions) -> None:
        self._order, self._scenario, self._interventions = order, scenario, interventions
        self.violations: list[str] = []

    def demand(self, kept: bool, violation: str) -> None:
        if not kept and violation not in self.violations:
            self.violations.append(violation)

    def check(self, view: Mapping[str, Any] | None = None) -> None:
        """After every commit, and (with a view) whenever the customer is shown something."""
        money, goods = self._order.money(), self._goods()
        record = self._order.record()
        self._check_providers(record)
        self._check_record(record, money, goods)
        if view is not None:
            self._check_view(view, money, goods)

    def _goods(self) -> str | None:
        """The state of the reservation, after counting every unit."""
        rows = {key[1]: row for key, row in self._order.stock_table.rows.items()}
        reservation = rows.get(f"order:{ORDER}")
        state = reservation["State"] if reservation else None
        lines = {line["sku"]: line["quantity"] for line in json.loads(reservation["Lines"])} if reservation else {}
        wanted = {item["sku"]: item["quantity"] for item in BODY["items"]} if state in {"reserved", "sold"} else lines
        self.demand(lines == wanted, f"{state} are {lines}")
        for sku in (SKU, OTHER):
            held, sold = (lines.get(sku, 0) if state == wanted else 0 for wanted in ("reserved", "sold"))
            counted = (rows[f"sku:{sku}"]["OnHand"], rows[f"sku:{sku}"]["Reserved"])
            expected = (self._scenario.on_hand - sold, held)
            self.demand(counted == expected, f"{sku}: {counted} on hand and reserved, order {state}")
        return state

    def _check_providers(self, record: Mapping[str, Any]) -> None:
        order, done = self._order, self._interventions
        charged, refunded = (order.stripe.amount(event) for event in ("payment_intent.succeeded", "refund.succeeded"))
        self.demand(charged in (0, TOTAL), f"charged {charged}")
        self.demand(refunded <= charged, f"refunded {refunded} of {charged}")
        self.demand(order.stripe.count("charge.failed") <= 1, "a declined card was asked twice")
        self.demand(len({mail.key for mail in order.mail.accepted}) <= 2, "a mail has two Message-IDs")
        self.demand(len(order.confirmations()) <= 1, "the confirmation has two Message-IDs")
        self.demand(len(order.push.accepted) <= 1, "a push was sent twice")
        self.demand(sum(".farewell" in mail.key for mail in order.mail.accepted) <= 1, "a farewell was sent twice")
        self.demand(
            not (order.confirmations() and done.cancel_promised), "a confirmation although a cancel was promised"
        )
        if self._scenario.beside:
            self.demand(not (done.resolved and refunded), "paid back by hand and by the provider")
            self.demand(done.accepted <= done.operated, "two operators were heard about one undo")
        if record.get("RefundId"):
            self.demand(refunded == charged > 0, "a refund was noted that the provider does not know")

    def _check_record(self, record: Mapping[str, Any], money: int, goods: str | None) -> None:
        if record["State"] == "completed":
            self.demand(money == TOTAL, f"completed, and {money} is paid")
            self.demand(goods == "sold", f"completed, and the goods are {goods}")
            self.demand(self._order.label() == "issued", "completed without a label")
            self.demand(self._is_confirmed(), "completed without a confirmation")
            self.demand(not self._interventions.cancel_promised, "completed although a cancel was promised")
        if record["State"] in {"compensated", "cancelled", "rejected"}:
            self._check_undone(record["State"], money, goods)
        if "Approval" in record and json.loads(record["Approval"])["verdict"] != "approved":
            untouched = goods in (None, "released") and not self._order.stripe.count("payment_intent.succeeded")
            self.demand(untouched, "money or goods moved before the approval")

    def _is_confirmed(self) -> bool:
        ignored = self._scenario.limits.get("confirmation_failure") == "ignore"
        return ignored or bool(self._order.confirmations())

    def _check_undone(self, status: str, money: int, goods: str | None) -> None:
        self.demand(money == 0 or self._interventions.resolved, f"{status}, and {money} is still held")
        self.demand(not self._order.is_chargeable(), f"{status}, and the card can still be charged")
        self.demand(goods in (None, "released"), f"{status}, and the goods are {goods}")
        self.demand(self._order.label() in (None, "void"), f"{status}, and the label is valid")

    def _check_view(self, view: Mapping[str, Any], money: int, goods: str | None) -> None:
        steps = {step["name"]: step["status"] for step in view["steps"]}
        undone = {entry["name"] for entry in view["compensations"] if entry["status"] == "done"}
        if view["status"] in {"compensated", "cancelled"}:
            self._check_undone(view["status"], money, goods)
            unsure = [entry["name"] for entry in view["compensations"] if entry["status"] in {"failed", "running"}]
            self.demand(not unsure, f"{view['status']}, and {unsure} not confirmed")
        if view["status"] == "needs_attention":
            tried = {entry["name"] for entry in view["compensations"]}
            untried = [undo for step, undo in UNDO.items() if steps[step] == "done" and undo not in tried]
            self.demand(not untried, f"parked, and {untried} was not tried")
        if "refund_payment" in undone or steps["process_payment"] == "undone":
            self.demand(money == 0 or self._interventions.resolved, "refund_payment is done, and money is held")
            self.demand(not self._order.is_chargeable(), "refund_payment is done, and the card can still be charged")
        if "release_inventory" in undone or steps["reserve_inventory"] == "undone":
            self.demand(goods == "released", f"release_inventory is done, and the goods are {goods}")
        if "cancel_shipment" in undone or steps["create_shipment"] == "undone":
            self.demand(self._order.label() == "void", "cancel_shipment is done, and the label is not void")
        if steps["process_payment"] == "done" and not view["compensations"]:
            self.demand(money == TOTAL, "process_payment is done, and nothing is paid")

    # At a request.

    def check_mail(self, request: str) -> None:
        """When a mail is asked for: its fact is there."""
        record, money = self._order.record(), self._order.money()
        if request == "email.confirmation":
            shipped = self._order.label() == "issued"
            self.demand(money == TOTAL and shipped, "a confirmation before its charge and label")
            claimed = record.get("Confirmation") in {"sending", "sent"}
            self.demand(claimed, "a confirmation that did not claim the order")
        if request == "email.farewell":
            self.demand(money == 0 or self._interventions.resolved, "a farewell before the refund")
            undone = record["State"] in {"compensated", "cancelled"}
            self.demand(undone, f"a farewell to an order that is {record['State']}")

    def watched(self, request: str, perform: Callable[[], Any], writes: bool) -> Any:
        """A step that has read that its order is being undone asks no provider for an effect."""
        here = Overdue.here
        if request == "orders.read":
            here.knows_of_undo = self._order.is_being_undone
        elif writes and not request.startswith("order") and getattr(here, "step", None) in STEPS:
            self.demand(not here.knows_of_undo, f"{here.step} acts although it has read that its order is undone")
        return perform()

    # At the end.

    def check_ending(self, output: Any, endings: set[str]) -> None:
        record = self._order.record()
        self.demand(output == json.loads(record.get("Outcome", "{}")), "the output is not what was recorded")
        expected = {"cancelled"} if self._interventions.cancel_promised else endings
        self.demand(record["State"] in expected, f"it ended {record['State']}, not {' or '.join(sorted(expected))}")

    def check_audit_trail(self) -> None:
        """Each event of the order is in its audit trail, once, whichever write has brought it there."""
        order, record = self._order, self._order.record()
        trail = Counter(row["Event"] for key, row in sorted(order.orders_table.rows.items()) if "audit:" in key[1])
        self.demand(trail.total() == record["Audits"], "the audit trail has a gap")
        for event in ONCE:
            self.demand(trail[event] <= 1, f"{event} is in the audit trail {trail[event]} times")
        sent = {"confirmation_sent"} if order.confirmations() else set()
        for event in {"goods_reserved", "payment_charged", "label_issued"} | sent if order.is_completed else ():
            self.demand(trail[event] == 1, f"{event} is not in the audit trail")
        if self._goods() == "released":
            self.demand(record.get("Goods") == "released", "goods were released, and the record does not say so")
