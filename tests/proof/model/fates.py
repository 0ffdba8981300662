"""What may happen to one request of an activity, and to one turn of the saga."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.proof.model.checks import Checks
from tests.proof.model.schedule import Died, Overdue, Schedule


@dataclass
class PlannedRequest:
    """One request at the moment of its fate. `cancel`: the customer cancels the order."""

    schedule: Schedule
    checks: Checks
    cancel: Callable[[], None]
    name: str
    perform: Callable[[], Any]
    lost: Callable[[], Exception]
    stored_failure: Callable[[], Any] | None

    def done(self) -> Any:
        self.checks.check_mail(self.name)
        try:
            return self.perform()
        finally:
            self.checks.check()

    def never_sent(self) -> Any:
        raise self.lost()

    def answer_lost(self) -> Any:
        self.done()
        raise self.lost()

    def failure_stored(self) -> Any:
        if self.stored_failure is None:
            return self.answer_lost()
        answer = self.stored_failure()
        self.checks.check()
        return answer

    def arrives_late(self) -> Any:
        self.checks.check_mail(self.name)
        self.schedule.later(self._arrive)
        raise self.lost()

    def _arrive(self) -> None:
        try:
            self.perform()
        except Exception as refused:  # its caller does not wait any more
            self.schedule.trace.append(f"a late {self.name} was refused: {type(refused).__name__}")

    def dies_before(self) -> Any:
        raise Died

    def dies_after(self) -> Any:
        self.done()
        raise Died

    def outlives_its_deadline(self) -> Any:
        Overdue.stop(self.schedule)
        return self.done()

    def cancelled_meanwhile(self) -> Any:
        self.cancel()
        return self.done()

    def lost_and_cancelled(self) -> Any:
        self.done()
        self.cancel()
        raise self.lost()


FATES: dict[str, Callable[[PlannedRequest], Any]] = {
    "down": PlannedRequest.never_sent,
    "lost": PlannedRequest.answer_lost,
    "500": PlannedRequest.failure_stored,
    "late": PlannedRequest.arrives_late,
    "dies": PlannedRequest.dies_before,
    "died": PlannedRequest.dies_after,
    "overdue": PlannedRequest.outlives_its_deadline,
    "cancel": PlannedRequest.cancelled_meanwhile,
    "lost, cancel": PlannedRequest.lost_and_cancelled,
}
WRITE_FATES = ("down", "lost", "late", "dies", "died", "overdue", "cancel", "lost, cancel")
READ_FATES = ("down", "dies", "overdue", "cancel")
TURN_FATES = ("cancel", "terminate", "elsewhere", "started late")


def fates_of(moment: str) -> tuple[str, ...]:
    """All that the plans try at a moment of the trace."""
    if moment.startswith("turn:"):
        return TURN_FATES
    if moment.startswith("answer:"):
        return ("died",)
    stored = ("500",) if moment.startswith(("payment_intents", "refunds")) and moment.endswith("!") else ()
    return (*WRITE_FATES, *stored) if moment.endswith("!") else READ_FATES
