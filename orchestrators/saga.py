"""The undo log of one order, and the two ways to call an activity: do a step, undo what was registered.

Rules that this file keeps, in the order in which they matter:

1. An undo is registered before its do, under an operation id known beforehand (`on_failure` stands on the line before
   `do`). Registered after, it would miss the step that acted and whose answer was lost.
2. A typed refusal proves that nothing happened: its own undo is dropped. A fault or an unknown outcome keeps it.
3. A refusal is never retried. A fault is a delay: it is retried with backoff on durable timers.
4. Every registered undo runs, in reverse, also when one before it could not be confirmed. `compensated` is said only
   when all were.

Rejected: `call_activity_with_retry`. It has no backoff and no filter by error in SDK 1.x, and inside task_any/task_all
its ids differ between the SDK and the extension. Rejected too: branching on the text of an exception. Whatever an
activity raises is a fault; what it wants to be understood, it returns.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

from models.results import (
    CloseTask,
    OrderFinal,
    SagaInput,
    StepDone,
    StepRefused,
    StepTask,
    StepUnknown,
    read_outcome,
    wire,
)
from models.status import CompensationView, Failure, FinalStatus, StepStatus, StepView, fresh_view
from orchestrators.steps import CLOSE_ORDER, Retry, Step, step_retry, undo_retry

Turns = Generator[Any, Any, Any]
Answer = StepDone | StepRefused | StepUnknown | OrderFinal | None


class StepFailed(Exception):
    """A step did not come to be: refused, or still failing or unknown when its retries ended."""


class OrderAlreadyFinal(Exception):
    """The order's record says that it ended before. `outcome` is what was recorded."""

    def __init__(self, outcome: dict[str, Any]) -> None:
        super().__init__("the order ended before")
        self.outcome = outcome


class Saga:
    """One order's undo log, with the customer's view of it, which every change publishes as the custom status."""

    def __init__(self, context: Any) -> None:
        given = SagaInput.model_validate(context.get_input())
        self.limits = given.limits
        self._context = context
        self._order_id = given.order_id
        self._undo_log: list[Step] = []
        self._view = fresh_view(given.order_id, "running")

    def on_failure(self, step: Step) -> None:
        """Register the undo of `step`, before `do(step)`: the order of these two lines is the safety argument."""
        self._undo_log.append(step)

    def do(self, step: Step, *, best_effort: bool = False) -> Turns:
        """Run a step until it is done. Raises StepFailed when it is not, unless it is `best_effort`."""
        self._show_step(step, "running")
        answer = yield from self._call(step.activity, self._task(step), step_retry(self.limits.step_retry_s))
        if isinstance(answer, OrderFinal):
            raise OrderAlreadyFinal(answer.outcome)
        if isinstance(answer, StepDone):
            self._view.total = answer.total or self._view.total
            self._show_step(step, "done")
            return
        self._note_failure(step, answer)
        if not best_effort:
            raise StepFailed(step.activity)

    def compensate(self) -> Turns:
        """Run every registered undo in reverse. One that cannot be confirmed does not keep the others from running."""
        confirmed = True
        if self._undo_log:
            self._view.status = "compensating"
        for step in reversed(self._undo_log):
            confirmed = (yield from self._undo(step)) and confirmed
        self._view.status = self._ending(confirmed)

    def complete(self) -> None:
        self._view.status = "completed"

    def close(self) -> Turns:
        """Have the outcome recorded, and only then publish it. Returns it: the orchestration's output."""
        task = wire(CloseTask(order_id=self._order_id, outcome=self._view))
        answer = yield from self._call(CLOSE_ORDER, task, undo_retry(self.limits.undo_retry_s))
        if not isinstance(answer, StepDone):
            raise RuntimeError(f"order {self._order_id} ended {self._view.status}, but its record could not be closed")
        return self._publish()

    def _undo(self, step: Step) -> Generator[Any, Any, bool]:
        assert step.undo is not None, f"{step.activity} has no undo to register"
        shown = CompensationView(name=step.undo, status="running")
        self._view.compensations.append(shown)
        self._publish()
        answer = yield from self._call(step.undo, self._task(step), undo_retry(self.limits.undo_retry_s))
        confirmed = isinstance(answer, StepDone)
        shown.status = "done" if confirmed else "failed"
        if confirmed and self._shown(step).status == "done":
            self._show_step(step, "undone")
        self._publish()
        return confirmed

    def _call(self, activity: str, task: dict[str, Any], retry: Retry) -> Generator[Any, Any, Answer]:
        """Call until it is done or refused, or the delays are used up. None: the last attempt raised."""
        answer = yield from self._attempt(activity, task)
        for delay in retry.delays():
            if isinstance(answer, StepDone | StepRefused | OrderFinal):
                break
            yield self._context.create_timer(self._context.current_utc_datetime + timedelta(seconds=delay))
            answer = yield from self._attempt(activity, task)
        return answer

    def _attempt(self, activity: str, task: dict[str, Any]) -> Generator[Any, Any, Answer]:
        try:
            return read_outcome((yield self._context.call_activity(activity, task)))
        except Exception:  # whatever crosses the boundary as an exception, or as no outcome at all, is a fault
            return None

    def _task(self, step: Step) -> dict[str, Any]:
        return wire(StepTask(order_id=self._order_id, operation_id=step.operation_id(self._order_id)))

    def _note_failure(self, step: Step, answer: Answer) -> None:
        status, reason, decline_code = _why(answer)
        if status == "refused":
            self._undo_log = [registered for registered in self._undo_log if registered != step]
        self._view.failure = Failure(step=step.activity, reason=reason, decline_code=decline_code)
        self._show_step(step, status)

    def _ending(self, confirmed: bool) -> FinalStatus:
        if not confirmed:
            return "needs_attention"
        failed_at_validation = self._view.failure is not None and self._view.failure.step == self._view.steps[0].name
        return "rejected" if failed_at_validation else "compensated"

    def _shown(self, step: Step) -> StepView:
        return next(shown for shown in self._view.steps if shown.name == step.activity)

    def _show_step(self, step: Step, status: StepStatus) -> None:
        self._shown(step).status = status
        self._publish()

    def _publish(self) -> dict[str, Any]:
        view = self._view.as_json()
        self._context.set_custom_status(view)
        return view


def _why(answer: Answer) -> tuple[StepStatus, str, str | None]:
    if isinstance(answer, StepRefused):
        return "refused", answer.reason, answer.decline_code
    if isinstance(answer, StepUnknown):
        return "unknown", "outcome_unknown", None
    return "failed", "service_unavailable", None
