"""Customers, approvers and operators of the order: as the API does it, the record first and then the event."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from models.errors import Conflict
from models.order_record import decide_approval, request_cancel, request_retry, resolve
from models.order_request import Decision, Evidence, Reason
from tests.proof.model.checks import Checks, Interventions
from tests.proof.model.one_order import OneOrder
from tests.proof.model.scenarios import ORDER, Scenario
from tests.proof.model.schedule import Overdue, Schedule, Stuck


class People:
    """`events`: those raised for the instance of the saga that runs now."""

    def __init__(
        self, order: OneOrder, scenario: Scenario, schedule: Schedule, checks: Checks, interventions: Interventions
    ) -> None:
        self._order, self._scenario, self._schedule, self._checks = order, scenario, schedule, checks
        self._interventions = interventions
        self._decided = 0
        self.events: set[str] = set()

    def meet_new_instance(self) -> None:
        """A new instance of the saga has none of the events of the one before it."""
        self.events = set()

    def cancel(self) -> None:
        with self._schedule.calm():
            try:
                record = self._order.orders.change(ORDER, request_cancel)
            except Conflict:
                return
            self._interventions.cancel_promised = True
            if record.state == "awaiting_approval" and record.approval is not None:
                self.events.add(record.approval.wake)

    def act_on(self, event: str) -> None:
        """What the saga waits for has not come: the person acts, or the provider's webhook, who could raise it."""
        kind = event.partition(":")[0]
        if kind == "attention":
            if self._interventions.operated > 5:
                raise Stuck("the operator has acted five times")
            self._operate()
        elif kind == "decision":
            self._decide()
        elif kind == "payment" and self._scenario.webhooks:
            self.events.add(str(self._order.record()["PaymentWake"]))

    def _decide(self) -> None:
        with self._schedule.calm():
            record = self._order.orders.read(ORDER)
            decision = self._scenario.decisions[min(self._decided, len(self._scenario.decisions) - 1)]
            self._decided += 1
            if decision != "nothing" and not record.cancel_requested:
                decided = Decision(approved=decision == "approve", approver="Olu")
                self._order.orders.change(record, decide_approval, decided, datetime.now(UTC))
            assert record.approval is not None
            self.events.add(record.approval.wake)

    def _operate(self) -> None:
        """An operator looks at a parked order, has repaired one thing more, and acts on every undo that waits."""
        with self._schedule.calm():
            self._interventions.operated += 1
            record = self._order.orders.read(ORDER)
            shown = (record.outcome or {}).get("compensations", [])
            failed = {entry["name"] for entry in shown if entry["status"] == "failed"}
            if record.state == "compensating" and failed <= record.resolved.keys():  # the sweep wakes the saga
                self.events.add(f"attention:{record.attention}")
                return
            waits = record.parked_compensations
            self._checks.demand(bool(waits), "parked, and nothing waits for its operator")
            if self._scenario.beside:
                Overdue(partial(self._second_operator, waits[0])).start()
            # A retry is about all that waits.
            for compensation in waits if self._scenario.operator == "resolve" else waits[:1]:
                accepted = self._ask_for(self._scenario.operator, compensation)
                self._checks.demand(accepted, "nobody is heard who should be")
            self.events.add(f"attention:{record.attention}")

    def _second_operator(self, compensation: str) -> None:
        """Looks at the same parked order, is held up, and is too late."""
        Overdue.here.held_up_at = f"orders.{self._scenario.held_up_at}"
        self._ask_for(self._scenario.beside, compensation)

    def _ask_for(self, verb: str, compensation: str) -> bool:
        """As the API does it. False: 409."""
        orders = self._order.orders
        try:
            if verb == "resolve":
                evidence = Evidence(by="Olu", reason="by hand", reference="bank 7")
                orders.change(ORDER, resolve, compensation, evidence)
                self._interventions.resolved = True
            else:
                orders.change(ORDER, request_retry, compensation, Reason(by="Olu", reason="it is up again"))
        except Conflict:
            return False
        self._interventions.accepted += 1
        return True
