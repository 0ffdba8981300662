"""The saga as a machine of decisions: one order, one plan of what goes wrong, every invariant after every commit.

A `Run` drives the real orchestrator over the real activities and the real adapters, which work on a pure world
(`tests.support.pure_world`). Everything that an order asks of the outside has a number, and so has every turn of the
saga; a plan says for some of these numbers what happens there (`FATES`): the request is lost before or after it is
done, or arrives later; the process dies, and the activity is run again; the activity outlives its deadline and goes on
behind the saga's back; the customer cancels; the orchestration is terminated and healed. Same plan, same run.

What is not modelled: several orders at once (the concurrency run does that), and the durable engine itself (the crash
matrix and the replay tests do). Rejected: fakes of the records and the stock. They would be a second copy of the rules,
and the model would prove the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from models.order_record import erase
from models.states import FINAL_STATES
from services import blob_labels
from tests.proof.model.checks import Checks, Interventions
from tests.proof.model.fates import FATES, PlannedRequest
from tests.proof.model.one_order import OneOrder
from tests.proof.model.people import People
from tests.proof.model.saga_instance import RunParts, SagaInstance
from tests.proof.model.scenarios import ORDER, Scenario
from tests.proof.model.schedule import Overdue, Schedule, Stuck


class Run:
    """One order under one plan. `play` returns what was violated; `trace` says what happened at each number.

    It is the wire between the adapters and their world.
    """

    def __init__(self, scenario: Scenario, plan: Mapping[int, str], late: int = 0) -> None:
        """`late`: after how many turns a request or activity that is under way behind the saga's back arrives."""
        self._scenario, self.plan = scenario, dict(plan)
        self._schedule = Schedule(plan, late)
        self.trace = self._schedule.trace
        self._interventions = Interventions()
        self.order = OneOrder(self, scenario)
        self._checks = Checks(self.order, scenario, self._interventions)
        self._people = People(self.order, scenario, self._schedule, self._checks, self._interventions)
        self._parts = RunParts(scenario, self.order, self._schedule, self._checks, self._people)
        self.output: Any = None
        self.label: str | None = None
        with self._schedule.calm():
            self.order.accept()

    def call(
        self,
        name: str,
        perform: Callable[[], Any],
        lost: Callable[[], Exception],
        *,
        writes: bool,
        stored_failure: Callable[[], Any] | None = None,
    ) -> Any:
        """Fulfils `Wire`: every request has a number, and suffers what the plan has for it."""
        Overdue.stop_at(self._schedule, name)
        perform = partial(self._checks.watched, name, perform, writes)
        if self._schedule.is_calm:
            return perform()
        fate = self._schedule.fate_at(f"{name}{'!' if writes else ''}")
        if fate is None and self._scenario.outage.get(name, 0) > self._interventions.operated:
            raise lost()
        request = PlannedRequest(self._schedule, self._checks, self._people.cancel, name, perform, lost, stored_failure)
        return FATES.get(fate or "", PlannedRequest.done)(request)

    def play(self) -> list[str]:
        """What was violated, a sentence each."""
        with _labels_not_drawn():
            try:
                self.output = SagaInstance(self._parts).play()
                if not self._checks.violations:
                    self._schedule.deliver(self._checks.check, everything=True)
                    self._judge_the_end()
            except Stuck as stuck:
                self._checks.demand(False, f"the order does not end: {stuck}")
            finally:
                self._schedule.drop_activities()
        return self._checks.violations

    def _judge_the_end(self) -> None:
        state = self.order.record()["State"]
        self._checks.check(self.output)
        self._checks.demand(state in FINAL_STATES, f"the order ended {state}")
        self._checks.check_ending(self.output, self._endings())
        self._run_again()
        self._checks.check_audit_trail()
        self._erase()

    def _endings(self) -> set[str]:
        """One thing that goes wrong is a delay. Several may use up a step's patience, and then the order is undone."""
        return {self._scenario.ends} | ({"compensated", "rejected"} if len(self.plan) > 1 else set())

    def _run_again(self) -> None:
        demand, before = self._checks.demand, self.order.snapshot()
        with self._schedule.calm():
            again = SagaInstance(self._parts)
            demand(again.play() == self.output, "run again, the order ended otherwise")
        demand(again.calls == ["validate_order"], f"run again, an ended order called {again.calls}")
        demand(self.order.snapshot() == before, "run again, an ended order changed the world")

    def _erase(self) -> None:
        """What the customer sent goes; what the books and the warehouse need stays."""
        self.label = label = self.order.label()
        outcome, hashed = self.order.record()["Outcome"], self.order.record()["BodyHash"]
        with self._schedule.calm():
            erased = self.order.orders.change(ORDER, erase, b"thrown away")
            self.order.labels.erase(ORDER)
        demand, record = self._checks.demand, self.order.record()
        demand(erased.is_erased and record["Outcome"] == outcome, "erasing took the outcome")
        demand(hashed not in record["BodyHash"], "the hash of what was erased can confirm a guess")
        kept = "erased" if label == "issued" else label
        demand(self.order.label() == kept, f"a label that was {label} is {self.order.label()}, erased")


@contextmanager
def _labels_not_drawn() -> Iterator[None]:
    """Labels are not looked at here, and drawing one takes longer than an order."""
    pages, drawing = dict.fromkeys(("issued_label", "void_label", "erased_label"), _page), vars(blob_labels)
    saved = {name: drawing[name] for name in pages}
    drawing.update(pages)
    try:
        yield
    finally:
        drawing.update(saved)


def _page(*_: object) -> bytes:
    return b"page"
