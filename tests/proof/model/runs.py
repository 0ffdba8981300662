"""The saga as a machine of decisions: one order, one plan of what goes wrong, every invariant after every commit.

A `Run` drives the real orchestrator over the real activities and the real adapters, which stand on a pure world
(`tests.support.pure_world`). Everything that an order asks of the outside has a number, and so has every turn of the
saga; a plan says for some of these numbers what happens there (`FATES`): the request is lost before or after it is
done, or arrives later; the process dies, and the activity is run again; the activity outlives its deadline and goes on
behind the saga's back; the customer cancels; the orchestration is terminated and healed. Same plan, same run.

What is not modelled: several orders at once (the concurrency run does that), and the durable engine itself (the crash
matrix and the replay tests do). Rejected: fakes of the records and the stock. They would be a second copy of the rules,
and the model would prove the copy.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import function_app
from activities.validation import Policy
from bootstrap import Services
from models.errors import Conflict
from models.messages import SAGA_VERSION
from models.money import Total
from models.order_parts import Line
from models.order_record import decide_approval, erase, request_cancel, request_retry, resolve, start
from models.order_request import Decision, Evidence, OrderRequest, Reason
from models.stock import InventoryUpdate
from orchestrators.order_saga import order_saga
from services import blob_labels
from services.tables.recent_orders import RecentOrders
from services.tables.recent_rows import RecentRows
from tests.support.shop_in_memory import TRACKING, ShopInMemory
from tests.support.steps import STEPS, UNDO

ORDER, SKU, OTHER = "order-1", "CRUNCHY-ARMCHAIR", "SMALL-TABLE"
PRICE = 12900
TOTAL = 2 * PRICE + PRICE
LIMITS = {"step_retry_s": 3, "undo_retry_s": 3}
# More than any order of these scenarios needs: one that takes longer goes in circles.
MAX_TURNS = 250
UNDOS = tuple(reversed(UNDO.values()))
FINAL = {"completed", "rejected", "compensated", "cancelled"}
# Of these an order's audit trail has one at most.
ONCE = ("goods_reserved", "goods_released", "payment_charged", "label_issued", "confirmation_sent", "farewell_claimed")

logging.getLogger("activities").setLevel(logging.CRITICAL)


class Died(BaseException):
    """The process is killed here."""


@dataclass(frozen=True)
class Scenario:
    """An order, what the world is like for it, and how it ends when nothing goes wrong.

    `outage`: calls that fail until the operator has acted so many times. `decisions`: what approvers do each time that
    the order waits. `operator`: what is done about each undo that was parked. `validated_before`: by older code, which
    took what today's validation refuses. `beside`: what a second operator asks for at the same moment, and
    `stands_at`: the request ("read" or "write" of the record) before which that one is held up. `on_hand`: units of
    each SKU.
    """

    ends: str = "completed"
    body: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    outage: Mapping[str, int] = field(default_factory=dict)
    decisions: tuple[str, ...] = ()
    operator: str = "retry"
    webhooks: bool = False
    validated_before: bool = False
    beside: str = ""
    stands_at: str = ""
    on_hand: int = 5

    @property
    def needs_approval(self) -> bool:
        return bool(self.decisions)


ADDRESS = {"name": "Ada Lovelace", "line1": "12 St James Sq", "city": "London", "postal_code": "SW1Y 4LB"}
BODY: dict[str, Any] = {
    "customer": {"id": "cust-42", "name": "Ada", "email": "ada@example.com"},
    "items": [{"sku": SKU, "quantity": 2}, {"sku": OTHER, "quantity": 1}],
    "payment_method": "pm_card_visa",
    "shipping_address": {**ADDRESS, "country": "GB"},
}
BOUNCING = {"customer": {**BODY["customer"], "email": "ada@bounce.invalid"}}
PO_BOX = {"shipping_address": {**BODY["shipping_address"], "line1": "PO Box 7"}}

SCENARIOS: dict[str, Scenario] = {
    "completed": Scenario(),
    "completed with webhooks": Scenario(webhooks=True),
    "the last ones": Scenario(on_hand=2),
    "unknown sku": Scenario("rejected", {"items": [{"sku": "NOBODY-SELLS-THIS", "quantity": 1}]}),
    "card declined": Scenario("compensated", {"payment_method": "pm_card_visa_chargeDeclined"}),
    "3-D Secure": Scenario("compensated", {"payment_method": "pm_card_authenticationRequired"}),
    "po box": Scenario("rejected", PO_BOX),
    "po box, validated by older code": Scenario("compensated", PO_BOX, validated_before=True),
    "mailbox refused": Scenario("compensated", BOUNCING),
    "mailbox refused and ignored": Scenario("completed", BOUNCING, {"confirmation_failure": "ignore"}),
    "refunds down": Scenario("compensated", BOUNCING, outage={"refunds.create": 2}),
    "refunds down, resolved": Scenario("compensated", BOUNCING, outage={"refunds.create": 2}, operator="resolve"),
    "labels down": Scenario("compensated", outage={"labels.write": 1}),
    "stock down": Scenario("compensated", BOUNCING, outage={"stock.write": 1}),
    "approved": Scenario(decisions=("nothing", "approve")),
    "not approved": Scenario("rejected", decisions=("reject",)),
}


# Two operators who look at one parked order at the same moment, and the second is held up.
TWO_OPERATORS: dict[str, Scenario] = {
    f"a {second} beside a {first}, held up at its {request}": Scenario(
        "compensated", BOUNCING, outage={"refunds.create": 1}, operator=first, beside=second, stands_at=request
    )
    for first, second in (("retry", "resolve"), ("resolve", "retry"), ("resolve", "resolve"))
    for request in ("read", "write")
}


def _page(*_: object) -> bytes:
    """Labels are not looked at here, and drawing one takes longer than an order."""
    return b"page"


class Run:
    """One order under one plan. `play` returns what was violated; `trace` tells what happened at each number."""

    def __init__(self, scenario: Scenario, plan: Mapping[int, str], late: int = 0) -> None:
        """`late`: after how many turns a request or activity that is under way behind the saga's back arrives."""
        self.scenario, self.plan, self.late = scenario, dict(plan), late
        self.trace: list[str] = []
        self.violations: list[str] = []
        self.numbers = itertools.count()
        self.calm = False
        self.cancel_promised = self.resolved = False
        self.operated = self.decided = self.heard = 0
        self.under_way: list[tuple[int, Callable[[], None]]] = []
        self.turns = 0
        self.away = False
        self.output: Any = None
        self._build()
        self._accept()

    def _build(self) -> None:
        shop = ShopInMemory(self)
        self.orders_table, self.stock_table = shop.tables["orders"], shop.tables["stock"]
        self.blobs, self.mail, self.push, self.stripe = shop.blobs, shop.mail, shop.push, shop.stripe
        self.orders, self.stock, self.labels = shop.orders, shop.stock, shop.labels
        # The activity that stands still may do so in another process, where this one's lock holds nobody up.
        vars(self.stock)["_one_writer"] = contextlib.nullcontext()
        self.another_memory: tuple[Any, Any] = (RecentOrders(), RecentRows())
        threshold = 0 if self.scenario.needs_approval else None
        given: Any = {
            "orders": self.orders,
            "stock": self.stock,
            "payments": shop.payments,
            "labels": self.labels,
            "mailer": self.mail,
            "push": self.push,
            "policy": Policy(frozenset({"GB"}), threshold, 3600),
            "tracking": TRACKING,
            **dict.fromkeys(("order_index", "events", "signatures", "reconciler", "sweeps", "limits", "alerts")),
        }
        function_app._built = Services(**given)

    def _accept(self) -> None:
        with Calm(self):
            self._stock_up(0)
            self.move()
            self._stock_up(self.scenario.on_hand)  # by the other process: this one remembers empty shelves
            self.move()
            body = {**BODY, **self.scenario.body}
            order = self.orders.accept(ORDER, OrderRequest.model_validate_json(json.dumps(body))).record
            self.inserted = order
            self.etag: str | None = order.etag
            if self.scenario.validated_before:
                lines = tuple(Line(**item, price_minor=PRICE) for item in body["items"])
                self.orders.change(order, start, lines, Total(amount_minor=TOTAL, currency="gbp"), None)

    def _stock_up(self, on_hand: int) -> None:
        for sku in (SKU, OTHER):
            self.stock.put(sku, InventoryUpdate(on_hand=on_hand, price_minor=PRICE, currency="gbp"))

    # Playing.

    def play(self) -> list[str]:
        drawn, drawing = dict.fromkeys(("issued_label", "void_label", "erased_label"), _page), vars(blob_labels)
        saved = {name: drawing[name] for name in drawn}
        drawing.update(drawn)
        try:
            self.output = Saga(self).play()
            if not self.violations:
                self._arrive(everything=True)
                self._judge_the_end(self.output)
        except Stuck as stuck:
            self.violate(f"the order does not end: {stuck}")
        finally:
            drawing.update(saved)
            self.drop_what_is_under_way()
        return self.violations

    def _judge_the_end(self, output: Any) -> None:
        record = self.record()
        self.check(output)
        self.demand(record["State"] in FINAL, f"the order ended {record['State']}")
        self.demand(output == json.loads(record.get("Outcome", "{}")), "the output is not what was recorded")
        expected = {"cancelled"} if self.cancel_promised else self._endings()
        self.demand(record["State"] in expected, f"it ended {record['State']}, not {' or '.join(sorted(expected))}")
        before = self._world()
        with Calm(self):
            again = Saga(self)
            self.demand(again.play() == output, "run again, the order ended otherwise")
        self.demand(again.calls == ["validate_order"], f"run again, an ended order called {again.calls}")
        self.demand(self._world() == before, "run again, an ended order changed the world")
        self._judge_the_trail(record)
        self._erase()

    def _erase(self) -> None:
        """What the customer sent goes; what the books and the warehouse need stays."""
        self.label = label = self.blobs.status(ORDER)
        outcome, hashed = self.record()["Outcome"], self.record()["BodyHash"]
        with Calm(self):
            record = self.orders.change(ORDER, erase, b"thrown away")
            self.labels.erase(ORDER)
        self.demand(record.is_erased and self.record()["Outcome"] == outcome, "erasing took the outcome")
        self.demand(hashed not in self.record()["BodyHash"], "the hash of what was erased can confirm a guess")
        kept = "erased" if label == "issued" else label
        self.demand(self.blobs.status(ORDER) == kept, f"a label that was {label} is {self.blobs.status(ORDER)}, erased")

    def _judge_the_trail(self, record: Mapping[str, Any]) -> None:
        """Each event of the order is in its audit trail, once, whichever write has brought it there."""
        trail = Counter(row["Event"] for key, row in sorted(self.orders_table.rows.items()) if "audit:" in key[1])
        self.demand(trail.total() == record["Audits"], "the audit trail has a gap")
        for event in ONCE:
            self.demand(trail[event] <= 1, f"{event} is in the audit trail {trail[event]} times")
        told = {"confirmation_sent"} if any(".confirmation" in mail.key for mail in self.mail.accepted) else set()
        for event in {"goods_reserved", "payment_charged", "label_issued"} | told if self._is_completed() else ():
            self.demand(trail[event] == 1, f"{event} is not in the audit trail")
        if self._goods() == "released":
            self.demand(record.get("Goods") == "released", "goods were released, and the record does not say so")

    def _endings(self) -> set[str]:
        """One thing that goes wrong is a delay. Several may use up a step's patience, and then the order is undone."""
        return {self.scenario.ends} | ({"compensated", "rejected"} if len(self.plan) > 1 else set())

    def _is_completed(self) -> bool:
        return bool(self.record()["State"] == "completed")

    def _world(self) -> Any:
        stock = {key: {**row, "etag": None} for key, row in self.stock_table.rows.items()}
        return stock, [*self.stripe.ledger.rows], self.blobs.status(ORDER), [*self.mail.accepted], self.record()["etag"]

    # The wire: every request has a number.

    def call(
        self,
        name: str,
        perform: Callable[[], Any],
        lost: Callable[[], Exception],
        *,
        writes: bool,
        stored_failure: Callable[[], Any] | None = None,
    ) -> Any:
        Overdue.stop_at(self, name)
        perform = partial(self._watched, name, perform, writes)
        if self.calm:
            return perform()
        fate = self.plan.get(self.number(f"{name}{'!' if writes else ''}"))
        if fate is None and self.scenario.outage.get(name, 0) > self.operated:
            raise lost()
        request = Request(self, name, perform, lost, stored_failure)
        return FATES.get(fate or "", Request.done)(request)

    def _watched(self, name: str, perform: Callable[[], Any], writes: bool) -> Any:
        """A step that has read that its order is being undone asks no provider for an effect."""
        here = Overdue.here
        if name == "orders.read":
            here.knows_of_undo = "Undoing" in self.orders_table.rows.get((ORDER, "order"), {})
        elif writes and not name.startswith("order") and getattr(here, "step", None) in STEPS:
            self.demand(not here.knows_of_undo, f"{here.step} acts although it has read that its order is undone")
        return perform()

    def number(self, what: str) -> int:
        self.trace.append(what)
        return next(self.numbers)

    def turn(self, activity: str) -> str | None:
        """A moment of the saga between two activities: the fate of it."""
        self.turns += 1
        if self.turns > MAX_TURNS:
            raise Stuck(f"{activity} after {MAX_TURNS} turns")
        self._arrive()
        fate = self.plan.get(self.number(f"turn:{activity}")) if not self.calm else None
        if fate == "cancel":
            self.cancel()
        if (fate == "elsewhere") != self.away:
            self.move()
        return fate

    # The processes: each remembers what it has lately read or written.

    def move(self) -> None:
        """The next activity runs in the other process, and the one after it in this one again."""
        self.away = not self.away
        orders, stock = vars(self.orders), vars(self.stock)
        here = orders["_recent"], stock["_memory"]
        orders["_recent"], stock["_memory"] = self.another_memory
        self.another_memory = here

    def start_late(self) -> None:
        """The start that the order's own POST asked for comes only now, in the process that accepted the order."""
        vars(self.orders)["_recent"] = RecentOrders()
        vars(self.orders)["_recent"].remember(self.inserted)
        self.etag = self.inserted.etag

    def die(self) -> None:
        """The process is dead, and with it what it remembers and what it was doing."""
        vars(self.orders)["_recent"], vars(self.stock)["_memory"] = RecentOrders(), RecentRows()
        self.drop_what_is_under_way()

    # What is under way behind the saga's back.

    def later(self, arrive: Callable[[], None]) -> None:
        self.under_way.append((self.turns + self.late, arrive))

    def _arrive(self, *, everything: bool = False) -> None:
        due = [arrive for turn, arrive in self.under_way if everything or turn < self.turns]
        self.under_way = [(turn, arrive) for turn, arrive in self.under_way if not everything and turn >= self.turns]
        with Calm(self):
            for arrive in due:
                arrive()
                self.check(None)

    def drop_what_is_under_way(self) -> None:
        """The process is dead: what it was doing is not done. Requests that have left it still arrive."""
        for overdue in Overdue.alive:
            overdue.die()
        Overdue.alive.clear()
        self.under_way = [(turn, arrive) for turn, arrive in self.under_way if not isinstance(arrive, Overdue)]

    # Customers, approvers, operators: as the edge does it, the record first and then the event.

    def cancel(self) -> None:
        with Calm(self):
            try:
                record = self.orders.change(ORDER, request_cancel)
            except Conflict:
                return
            self.cancel_promised = True
            if record.state == "awaiting_approval" and record.approval is not None:
                Saga.running.raise_event(record.approval.wake)

    def decide(self) -> None:
        with Calm(self):
            record = self.orders.read(ORDER)
            decision = self.scenario.decisions[min(self.decided, len(self.scenario.decisions) - 1)]
            self.decided += 1
            if decision != "nothing" and not record.cancel_requested:
                decided = Decision(approved=decision == "approve", approver="Olu")
                self.orders.change(record, decide_approval, decided, datetime.now(UTC))
            assert record.approval is not None
            Saga.running.raise_event(record.approval.wake)

    def operate(self) -> None:
        """Somebody looks at a parked order, has repaired one thing more, and acts on every undo that waits."""
        with Calm(self):
            self.operated += 1
            record = self.orders.read(ORDER)
            waits = record.parked_compensations
            self.demand(bool(waits), "parked, and nothing waits for its operator")
            if self.scenario.beside:
                Overdue(partial(self._second_operator, waits[0])).start()
            # A retry is about all that waits.
            for compensation in waits if self.scenario.operator == "resolve" else waits[:1]:
                self.demand(self._ask_for(self.scenario.operator, compensation), "nobody is heard who should be")
            Saga.running.raise_event(f"attention:{record.attention}")

    def _second_operator(self, compensation: str) -> None:
        """Looks at the same parked order, is held up, and is too late."""
        Overdue.here.stands_at = f"orders.{self.scenario.stands_at}"
        self._ask_for(self.scenario.beside, compensation)

    def _ask_for(self, verb: str, compensation: str) -> bool:
        """As the edge does it. False: 409."""
        try:
            if verb == "resolve":
                evidence = Evidence(by="Olu", reason="by hand", reference="bank 7")
                self.orders.change(ORDER, resolve, compensation, evidence)
                self.resolved = True
            else:
                self.orders.change(ORDER, request_retry, compensation, Reason(by="Olu", reason="it is up again"))
        except Conflict:
            return False
        self.heard += 1
        return True

    # Invariants.

    def record(self) -> dict[str, Any]:
        return self.orders_table.rows[ORDER, "order"]

    def violate(self, what: str) -> None:
        if what not in self.violations:
            self.violations.append(what)

    def demand(self, kept: bool, what: str) -> None:
        if not kept:
            self.violate(what)

    def check(self, view: Mapping[str, Any] | None) -> None:
        """After every commit, and (with a view) whenever the customer is shown something."""
        money, goods = self._money(), self._goods()
        record = self.record()
        self._check_provider(record)
        self._check_record(record, money, goods)
        if view is not None:
            self._check_view(view, money, goods)

    def _money(self) -> int:
        return self.stripe.amount("payment_intent.succeeded") - self.stripe.amount("refund.succeeded")

    def _chargeable(self) -> bool:
        """Whether a late confirmation could charge. An intent whose id nobody ever learnt holds no money."""
        return self.record().get("PaymentIntentId") in self.stripe.chargeable()

    def _goods(self) -> str | None:
        """The state of the reservation, after counting every unit."""
        rows = {key[1]: row for key, row in self.stock_table.rows.items()}
        reservation = rows.get(f"order:{ORDER}")
        state = reservation["State"] if reservation else None
        lines = {line["sku"]: line["quantity"] for line in json.loads(reservation["Lines"])} if reservation else {}
        wanted = {item["sku"]: item["quantity"] for item in BODY["items"]} if state in {"reserved", "sold"} else lines
        self.demand(lines == wanted, f"{state} are {lines}")
        for sku in (SKU, OTHER):
            held, sold = (lines.get(sku, 0) if state == wanted else 0 for wanted in ("reserved", "sold"))
            counted = (rows[f"sku:{sku}"]["OnHand"], rows[f"sku:{sku}"]["Reserved"])
            self.demand(
                counted == (self.scenario.on_hand - sold, held), f"{sku}: {counted} on hand and reserved, order {state}"
            )
        return state

    def _check_provider(self, record: Mapping[str, Any]) -> None:
        charged, refunded = (self.stripe.amount(event) for event in ("payment_intent.succeeded", "refund.succeeded"))
        self.demand(charged in (0, TOTAL), f"charged {charged}")
        self.demand(refunded <= charged, f"refunded {refunded} of {charged}")
        self.demand(self.stripe.count("charge.failed") <= 1, "a declined card was asked twice")
        self.demand(len({mail.key for mail in self.mail.accepted}) <= 2, "a mail has two Message-IDs")
        confirmations = {mail.key for mail in self.mail.accepted if ".confirmation" in mail.key}
        self.demand(len(confirmations) <= 1, "the confirmation has two Message-IDs")
        self.demand(len(self.push.accepted) <= 1, "a push was sent twice")
        self.demand(sum(".farewell" in mail.key for mail in self.mail.accepted) <= 1, "a farewell was sent twice")
        self.demand(not (confirmations and self.cancel_promised), "a confirmation although a cancel was promised")
        if self.scenario.beside:
            self.demand(not (self.resolved and refunded), "paid back by hand and by the provider")
            self.demand(self.heard <= self.operated, "two operators were heard about one undo")
        if record.get("RefundId"):
            self.demand(refunded == charged > 0, "a refund was noted that the provider does not know")

    def _check_record(self, record: Mapping[str, Any], money: int, goods: str | None) -> None:
        if record["State"] == "completed":
            self.demand(money == TOTAL, f"completed, and {money} is paid")
            self.demand(goods == "sold", f"completed, and the goods are {goods}")
            self.demand(self.blobs.status(ORDER) == "issued", "completed without a label")
            self.demand(self._is_told(record), "completed without a confirmation")
            self.demand(not self.cancel_promised, "completed although a cancel was promised")
        if record["State"] in {"compensated", "cancelled", "rejected"}:
            self._check_undone(record["State"], money, goods)
        if "Approval" in record and json.loads(record["Approval"])["verdict"] != "approved":
            untouched = goods in (None, "released") and not self.stripe.count("payment_intent.succeeded")
            self.demand(untouched, "money or goods moved before the approval")

    def _is_told(self, record: Mapping[str, Any]) -> bool:
        ignored = self.scenario.limits.get("confirmation_failure") == "ignore"
        return ignored or any(".confirmation" in mail.key for mail in self.mail.accepted)

    def _check_undone(self, said: str, money: int, goods: str | None) -> None:
        self.demand(money == 0 or self.resolved, f"{said}, and {money} is still held")
        self.demand(not self._chargeable(), f"{said}, and the card can still be charged")
        self.demand(goods in (None, "released"), f"{said}, and the goods are {goods}")
        self.demand(self.blobs.status(ORDER) in (None, "void"), f"{said}, and the label is valid")

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
            self.demand(money == 0 or self.resolved, "refund_payment is done, and money is held")
            self.demand(not self._chargeable(), "refund_payment is done, and the card can still be charged")
        if "release_inventory" in undone or steps["reserve_inventory"] == "undone":
            self.demand(goods == "released", f"release_inventory is done, and the goods are {goods}")
        if "cancel_shipment" in undone or steps["create_shipment"] == "undone":
            self.demand(self.blobs.status(ORDER) == "void", "cancel_shipment is done, and the label is not void")
        if steps["process_payment"] == "done" and not view["compensations"]:
            self.demand(money == TOTAL, "process_payment is done, and nothing is paid")

    def check_mail(self, name: str) -> None:
        """When a mail is asked for: its fact is there."""
        record, money = self.record(), self._money()
        if name == "email.confirmation":
            shipped = self.blobs.status(ORDER) == "issued"
            self.demand(money == TOTAL and shipped, "a confirmation before its charge and label")
            self.demand(
                record.get("Confirmation") in {"sending", "sent"}, "a confirmation that did not claim the order"
            )
        if name == "email.farewell":
            self.demand(money == 0 or self.resolved, "a farewell before the refund")
            self.demand(
                record["State"] in {"compensated", "cancelled"}, f"a farewell to an order that is {record['State']}"
            )


class Calm:
    """For the length of a block nothing goes wrong."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        self._before, self._run.calm = self._run.calm, True

    def __exit__(self, *_: object) -> None:
        self._run.calm = self._before


class Stuck(Exception):
    """The saga goes in circles, or waits for what does not come."""


@dataclass
class Request:
    """One request at the moment of its fate."""

    run: Run
    name: str
    perform: Callable[[], Any]
    lost: Callable[[], Exception]
    stored_failure: Callable[[], Any] | None

    def done(self) -> Any:
        self.run.check_mail(self.name)
        try:
            return self.perform()
        finally:
            self.run.check(None)

    def never_sent(self) -> Any:
        raise self.lost()

    def answer_lost(self) -> Any:
        self.done()
        raise self.lost()

    def failure_stored(self) -> Any:
        if self.stored_failure is None:
            return self.answer_lost()
        answer = self.stored_failure()
        self.run.check(None)
        return answer

    def arrives_late(self) -> Any:
        self.run.check_mail(self.name)
        self.run.later(self._arrive)
        raise self.lost()

    def _arrive(self) -> None:
        try:
            self.perform()
        except Exception as refused:  # nobody listens any more
            self.run.trace.append(f"a late {self.name} was refused: {type(refused).__name__}")

    def dies_before(self) -> Any:
        raise Died

    def dies_after(self) -> Any:
        self.done()
        raise Died

    def outlives_its_deadline(self) -> Any:
        Overdue.suspend(self.run)
        return self.done()

    def cancelled_meanwhile(self) -> Any:
        self.run.cancel()
        return self.done()

    def lost_and_cancelled(self) -> Any:
        self.done()
        self.run.cancel()
        raise self.lost()


FATES: dict[str, Callable[[Request], Any]] = {
    "down": Request.never_sent,
    "lost": Request.answer_lost,
    "500": Request.failure_stored,
    "late": Request.arrives_late,
    "dies": Request.dies_before,
    "died": Request.dies_after,
    "overdue": Request.outlives_its_deadline,
    "cancel": Request.cancelled_meanwhile,
    "lost, cancel": Request.lost_and_cancelled,
}


class Overdue:
    """An activity in a thread of its own, so that it can stand still while the saga goes on."""

    alive: list[Overdue] = []  # noqa: RUF012 - the one process of this model
    here = threading.local()

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._stopped, self._goes_on = threading.Event(), threading.Event()
        self._dead = False
        self.result: Any = None
        self.finished = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._stopped.wait()

    def _run(self) -> None:
        Overdue.here.activity = self
        try:
            self.result = self._work()
        except BaseException as end:  # handed over to whoever waits
            self.result = end
        self.finished = True
        self._stopped.set()

    @staticmethod
    def stop_at(run: Run, name: str) -> None:
        """Stand still before the request at which this thread is to, once."""
        if getattr(Overdue.here, "stands_at", None) == name:
            Overdue.here.stands_at = None
            Overdue.suspend(run)

    @staticmethod
    def suspend(run: Run) -> None:
        overdue: Overdue = Overdue.here.activity
        Overdue.alive.append(overdue)
        run.under_way.append((run.turns + run.late, overdue))
        overdue._stopped.set()
        overdue._goes_on.wait()
        if overdue._dead:
            raise Died

    def __call__(self) -> None:
        """Its moment has come: it goes on to its end, and nobody is told."""
        self._goes_on.set()
        self._thread.join()
        Overdue.alive.remove(self)

    def die(self) -> None:
        self._dead = True
        self._goes_on.set()
        self._thread.join()


class Asked:
    """A task that the saga has made."""

    def __init__(self, kind: str, what: Any, task: Any = None) -> None:
        self.kind, self.what, self.task = kind, what, task
        self.result: Any = None

    def cancel(self) -> None:
        """A timer that is not needed any more."""


class Saga:
    """The durable context of one instance. Events are as the SDK has them: one that came is there for every wait."""

    running: Saga

    def __init__(self, run: Run) -> None:
        Saga.running = self
        self._run = run
        self.current_utc_datetime = datetime.now(UTC)
        self.calls: list[str] = []
        self._etag, run.etag = run.etag, None  # given to the saga that the order's own POST starts, and to no other
        self._refused: set[str] = set()
        self._events: set[str] = set()

    # What the orchestrator asks of its context.

    def get_input(self) -> dict[str, Any]:
        limits = {**LIMITS, **self._run.scenario.limits}
        return {"order_id": ORDER, "limits": limits, "version": SAGA_VERSION, "etag": self._etag}

    def call_activity(self, name: str, task: Any) -> Asked:
        return Asked("activity", name, task)

    def create_timer(self, at: datetime) -> Asked:
        return Asked("timer", at)

    def wait_for_external_event(self, name: str) -> Asked:
        return Asked("event", name)

    def task_any(self, tasks: list[Asked]) -> list[Asked]:
        return tasks

    def set_custom_status(self, view: Mapping[str, Any]) -> None:
        self._run.check(view)

    def raise_event(self, name: str) -> None:
        self._events.add(name)

    # Playing.

    def play(self) -> Any:
        """The output. A terminated instance is healed: a new one takes its place, and what ran goes on."""
        saga = order_saga(self)
        asked: Any = next(saga)
        while not self._run.violations:
            tasks = asked if isinstance(asked, list) else [asked]
            fate = self._run.turn(str(tasks[0].what))
            if fate == "started late":
                self._run.start_late()
            if fate in {"terminate", "started late"}:
                return Saga(self._run).play()
            try:
                asked = saga.send(self._answer(tasks))
            except StopIteration as end:
                return end.value
        return None

    def _answer(self, tasks: list[Asked]) -> Any:
        first = tasks[0]
        winner = ANSWERS[first.kind](self, first, tasks[1] if len(tasks) > 1 else None)
        return winner if len(tasks) > 1 else winner.result

    def _answer_activity(self, asked: Asked, deadline: Asked | None) -> Asked:
        self._note_call(asked.what)
        outcome = self._perform(asked)
        if outcome is LATE:
            assert deadline is not None, "an activity without a deadline outlived it"
            return self._fire(deadline)
        self._note_outcome(asked.what, outcome)
        asked.result = outcome
        return asked

    def _perform(self, asked: Asked) -> Any:
        """What the activity returned or raised, after as many deaths as the plan wants; LATE when it stands still."""
        while True:
            try:
                return self._perform_once(asked)
            except Died:
                self._run.die()

    def _perform_once(self, asked: Asked) -> Any:
        activity = getattr(function_app, asked.what)

        def work() -> Any:
            Overdue.here.step, Overdue.here.knows_of_undo = asked.what, False
            try:
                result = activity(json.loads(json.dumps(asked.task)))
            except Exception as fault:
                return fault
            finally:
                Overdue.here.step = None
            if self._run.calm:
                return result
            if self._run.plan.get(self._run.number(f"answer:{asked.what}")) == "died":
                raise Died
            return result

        if "overdue" not in self._run.plan.values():
            return work()
        overdue = Overdue(work)
        overdue.start()
        if not overdue.finished:
            return LATE
        if isinstance(overdue.result, Died):
            raise overdue.result
        return overdue.result

    def _note_call(self, name: str) -> None:
        self.calls.append(name)
        self._run.demand(name not in self._refused, f"{name} was refused and is asked again")
        first = [undo for undo in dict.fromkeys(self.calls) if undo in UNDOS]
        self._run.demand(first == [undo for undo in UNDOS if undo in first], f"undone in the order {first}")
        steps = [step for step in dict.fromkeys(self.calls) if step in STEPS]
        self._run.demand(steps == list(STEPS[: len(steps)]), f"done in the order {steps}")
        self._run.demand(not first or name not in STEPS, f"{name} after {first}")

    def _note_outcome(self, name: str, outcome: Any) -> None:
        if name in STEPS and isinstance(outcome, dict) and outcome["kind"] == "refused":
            self._refused.add(name)

    def _answer_event(self, asked: Asked, timer: Asked | None) -> Asked:
        kind = asked.what.partition(":")[0]
        if asked.what not in self._events:
            self._somebody_acts(kind)
        if asked.what in self._events:
            return asked
        if timer is None:
            raise Stuck(f"nobody can wake it from {asked.what}")
        return self._fire(timer)

    def _somebody_acts(self, kind: str) -> None:
        if kind == "attention":
            if self._run.operated > 5:
                raise Stuck("the operator has acted five times")
            self._run.operate()
        elif kind == "decision":
            self._run.decide()
        elif kind == "payment" and self._run.scenario.webhooks:
            self.raise_event(str(self._run.record()["PaymentWake"]))

    def _answer_timer(self, asked: Asked, _: Asked | None) -> Asked:
        return self._fire(asked)

    def _fire(self, timer: Asked) -> Asked:
        self.current_utc_datetime = max(timer.what, self.current_utc_datetime + timedelta(milliseconds=1))
        return timer


LATE = object()
ANSWERS: dict[str, Callable[[Saga, Asked, Asked | None], Asked]] = {
    "activity": Saga._answer_activity,
    "event": Saga._answer_event,
    "timer": Saga._answer_timer,
}


# Exploring.

WRITE_FATES = ("down", "lost", "late", "dies", "died", "overdue", "cancel", "lost, cancel")
READ_FATES = ("down", "dies", "overdue", "cancel")
TURN_FATES = ("cancel", "terminate", "elsewhere", "started late")


def fates_of(what: str) -> tuple[str, ...]:
    if what.startswith("turn:"):
        return TURN_FATES
    if what.startswith("answer:"):
        return ("died",)
    stored = ("500",) if what.startswith(("payment_intents", "refunds")) and what.endswith("!") else ()
    return (*WRITE_FATES, *stored) if what.endswith("!") else READ_FATES


def singles(scenario: Scenario) -> Iterator[tuple[dict[int, str], int]]:
    """Every plan of one thing that goes wrong, with how late the late arrive."""
    quiet = Run(scenario, {})
    assert quiet.play() == [], quiet.violations
    for number, what in enumerate(quiet.trace):
        for fate in fates_of(what):
            for late in (1, MAX_TURNS) if fate in {"late", "overdue"} else (0,):
                yield {number: fate}, late


def explored(scenario: Scenario, every: int = 1) -> tuple[Counter[str], list[str]]:
    """How many orders ended how under all plans (or each of so many), and every violation with its plan."""
    endings, violations = Counter[str](), []
    for plan, late in itertools.islice(singles(scenario), 0, None, every):
        run = Run(scenario, plan, late)
        violations += [f"{what} ({plan} at {at(run)}, late {late})" for what in run.play()]
        endings[run.record()["State"]] += 1
    return endings, violations


def at(run: Run) -> list[str]:
    return [run.trace[number] for number in run.plan if number < len(run.trace)]


def main() -> int:
    """Every plan of every scenario: `python -m tests.proof.model.runs`. Exit status 1 when a rule was broken."""
    broken = 0
    for name, scenario in SCENARIOS.items():
        endings, violations = explored(scenario)
        ended = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
        print(f"{name}: {sum(endings.values())} plans, {ended}, {len(violations)} violations", flush=True)
        print(*violations, sep="\n", end="\n" if violations else "")
        broken += len(violations)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
