"""The undo log of one order, and the ways to call an activity: do a step, undo what was registered, close.

Rules that this file keeps, in the order in which they matter:

1. An undo is registered before its do, under an operation id known beforehand (`on_failure` stands on the line before
   `do`). Registered after, it would miss the step that acted and whose answer was lost.
2. A typed refusal proves that nothing happened: its own undo is dropped. A fault, an unknown outcome and a cancel keep
   it.
3. A refusal is never retried. A fault is a delay: it is retried with backoff on durable timers.
4. Every registered undo runs, in reverse, also when one before it could not be confirmed. Such an order is parked as
   `needs_attention` and stays alive until an operator retries or resolves its undos; `compensated` is said only
   when all undos are confirmed.
5. An event only wakes the saga. The order's record, which the next activity reads, decides what happens. Every wait has
   an event name of its own, because the SDK gives a buffered event to every later wait of the same name.

Rejected: `call_activity_with_retry`. It has no backoff and no filter by error in SDK 1.x, and inside task_any/task_all
its ids differ between the SDK and the extension. Rejected too: branching on the text of an exception. An exception of
an activity is a fault; every other result is returned.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from datetime import datetime, timedelta
from typing import Any

from models.messages import (
    CloseTask,
    Left,
    OrderFinal,
    OrderUndoing,
    Outcome,
    SagaInput,
    StepCancelled,
    StepDone,
    StepRefused,
    StepTask,
    StepUnknown,
    StepWaiting,
    UndoTask,
    read_outcome,
    wire,
)
from models.states import CompensationStatus, StepStatus
from models.view import CompensationView, Failure, StepView, fresh_view
from orchestrators.steps import CLOSE_ORDER, Retry, Step, step_retry, steps_of, undo_retry

Turns = Generator[Any, Any, Any]
LONGEST_TIMER_S = 6 * 24 * 3600
SETTLED = (StepDone, StepRefused, StepCancelled, StepWaiting, OrderUndoing, OrderFinal)


class StepFailed(Exception):
    """A step is not done: refused, cancelled, or still failing or unknown when its retries ended."""


class OrderAlreadyFinal(Exception):
    """The order's record says that it ended before. `outcome` is what was recorded."""

    def __init__(self, outcome: dict[str, Any]) -> None:
        super().__init__("the order ended before")
        self.outcome = outcome


class Saga:
    """One order's undo log, with the customer's view of it, which every change publishes as the custom status."""

    def __init__(self, context: Any) -> None:
        saga_input = SagaInput.model_validate(context.get_input())
        self.limits = saga_input.limits
        self._version = saga_input.version
        self._steps = steps_of(saga_input.version)
        self._context = context
        self._order_id = saga_input.order_id
        self._undo_log: list[Step] = []
        self._view = fresh_view(saga_input.order_id, "running", [step.activity for step in self._steps])
        self._attention = 0
        self._resumed = False
        # What earlier activities have left to write. Before version 3 each wrote its own facts at once.
        self._left = Left(etag=saga_input.etag) if saga_input.version >= 3 else None

    def on_failure(self, step: Step) -> None:
        """Register the undo of `step`, before `do(step)`: the order of these two lines is the safety argument."""
        if step in self._steps and step not in self._undo_log:
            self._undo_log.append(step)

    def do(self, step: Step, *, best_effort: bool = False) -> Turns:
        """Run a step until it is done. Raises StepFailed when it is not, unless it is `best_effort`.

        An order whose version lacks the step skips it.
        """
        if step not in self._steps:
            return
        self._show_step(step, "running")
        answer = yield from self._do(step)
        while isinstance(answer, StepWaiting):
            yield from self._wait_for_a_decision(answer)
            answer = yield from self._do(step)
        if isinstance(answer, StepDone):
            self._view.total = answer.total or self._view.total
            if answer.resumed:
                self._resumed, self._undo_log = True, _with_undo(self._steps)
            self._show_step(step, "done")
            return
        self._note_ending(step, answer)
        if not best_effort or isinstance(answer, StepCancelled | OrderUndoing):
            raise StepFailed(step.activity)

    def compensate(self) -> Turns:
        """Run every registered undo in reverse, and again those that an operator retries, until all are confirmed.

        An undo that cannot be confirmed does not keep the others from running. If an activity of an earlier
        orchestration has ended the order meanwhile, nothing more is undone, and `close` returns that end.
        """
        outstanding = self._undo_log[::-1]
        while outstanding:
            self._view.status = "compensating"
            try:
                outstanding = yield from self._undo_all(outstanding)
            except OrderAlreadyFinal:
                return
            if outstanding:
                self._view.status = "needs_attention"
                if self._version < 2:  # version 1 ended here
                    return
                yield from self._wait_for_an_operator()
        self._view.status = "rejected" if self._failed_at_validation() else "compensated"

    def complete(self) -> None:
        self._view.status = "completed"

    def close(self) -> Turns:
        """Have the outcome recorded, and only then publish it. Returns it: the orchestration's output."""
        task = CloseTask(order_id=self._order_id, outcome=self._view, attention=self._attention, left=self._left)
        answer = yield from self._call(CLOSE_ORDER.activity, task, CLOSE_ORDER, undo_retry(self.limits.undo_retry_s))
        if isinstance(answer, OrderFinal):  # the record decides: it may hold a promised cancel
            self._context.set_custom_status(answer.outcome)
            return answer.outcome
        if isinstance(answer, StepDone):
            return self._publish()
        raise RuntimeError(f"order {self._order_id} ended {self._view.status}, but its record could not be closed")

    # Steps.

    def _do(self, step: Step) -> Generator[Any, Any, Outcome | None]:
        task = StepTask(order_id=self._order_id, operation_id=step.operation_id(self._order_id), left=self._left)
        return (yield from self._call(step.activity, task, step, step_retry(self.limits.step_retry_s)))

    def _note_ending(self, step: Step, answer: Outcome | None) -> None:
        """Show why a step is not done, and keep or drop its own undo."""
        if isinstance(answer, OrderFinal):
            raise OrderAlreadyFinal(answer.outcome)
        if isinstance(answer, OrderUndoing):
            self._resume_undoing(answer)
        elif isinstance(answer, StepCancelled):
            self._show_step(step, "pending")
        else:
            status, self._view.failure = _why(step, answer)
            if status == "refused" and not self._resumed:  # else the orchestration before may have done it
                self._undo_log = [registered for registered in self._undo_log if registered != step]
            self._show_step(step, status)

    def _resume_undoing(self, answer: OrderUndoing) -> None:
        """Register all undos: each one is safe when its do never happened."""
        self._view.total, self._view.failure = answer.total, answer.failure
        self._undo_log = _with_undo(self._steps)
        self._attention = answer.attention
        for step in self._view.steps:
            step.status = "pending"
        self._publish()

    def _failed_at_validation(self) -> bool:
        return self._view.failure is not None and self._view.failure.step == self._view.steps[0].name

    # Undos.

    def _undo_all(self, steps: list[Step]) -> Generator[Any, Any, list[Step]]:
        """Returns the steps whose undo could not be confirmed, in the same order."""
        unconfirmed = []
        for step in steps:
            if not (yield from self._undo(step)):
                unconfirmed.append(step)
        return unconfirmed

    def _undo(self, step: Step) -> Generator[Any, Any, bool]:
        assert step.undo is not None, f"{step.activity} has no undo to register"
        shown = self._shown_compensation(step.undo)
        self._show_compensation(shown, "running")
        answer = yield from self._call(step.undo, self._undo_task(step), step, undo_retry(self.limits.undo_retry_s))
        if isinstance(answer, OrderFinal):
            raise OrderAlreadyFinal(answer.outcome)
        if not isinstance(answer, StepDone):
            self._show_compensation(shown, "failed")
            return False
        if self._shown(step).status == "done":
            self._shown(step).status = "undone"
        self._show_compensation(shown, "resolved" if answer.resolved else "done")
        return True

    def _undo_task(self, step: Step) -> StepTask:
        task = StepTask(order_id=self._order_id, operation_id=step.operation_id(self._order_id), left=self._left)
        if self._version < 2:
            return task
        return UndoTask(**task.model_dump(), failure=self._view.failure, attention=self._attention)

    def _wait_for_an_operator(self) -> Turns:
        """Wait for an operator. Each wait has its own event name `attention:<n>`; the record holds the current n."""
        self._attention += 1
        yield from self.close()
        yield self._context.wait_for_external_event(f"attention:{self._attention}")

    # Calls.

    def _call(
        self, activity: str, task: StepTask | CloseTask, step: Step, retry: Retry
    ) -> Generator[Any, Any, Outcome | None]:
        """Call an activity until its outcome is settled or the delays are used up. None: the last attempt raised."""
        answer: Outcome | None = yield from self._attempt(activity, wire(task), step)
        self._left = _left_after(answer, self._left)
        for delay in retry.delays():
            if isinstance(answer, SETTLED):
                break
            yield from self._pause(delay, answer.wake if isinstance(answer, StepUnknown) else None)
            answer = yield from self._attempt(activity, wire(task.model_copy(update={"left": self._left})), step)
            self._left = _left_after(answer, self._left)
        return answer

    def _attempt(self, activity: str, task: dict[str, Any], step: Step) -> Generator[Any, Any, Outcome | None]:
        call = self._context.call_activity(activity, task)
        try:
            result = yield from (self._within(call, step.deadline_s) if self._version >= 2 else _alone(call))
            return read_outcome(result)
        except Exception:  # an exception, or a result that is no outcome, is a fault
            return None

    def _within(self, call: Any, seconds: float) -> Turns:
        """The result of an activity, or an unknown outcome if it missed its deadline: it is still running then."""
        late = self._context.create_timer(self._in(seconds))
        winner = yield self._context.task_any([call, late])
        if winner == late:
            return wire(StepUnknown())
        _cancel(late)
        if isinstance(winner.result, Exception):  # SDK 1.x returns the exception that 2.x raises
            raise winner.result
        return winner.result

    def _pause(self, seconds: float, wake: str | None) -> Turns:
        timer = self._context.create_timer(self._in(seconds))
        if wake is None:
            yield timer
            return
        event = self._context.wait_for_external_event(wake)
        if (yield self._context.task_any([event, timer])) == event:
            _cancel(timer)

    def _wait_for_a_decision(self, waiting: StepWaiting) -> Turns:
        self._view.status, self._view.total = "awaiting_approval", waiting.total
        self._publish()
        event = self._context.wait_for_external_event(waiting.wake)
        # At least a second: if the clock of the activities is behind ours, they do not see the deadline pass yet.
        # At most what one timer can last: SDK 1.x makes several of a longer one, and cannot cancel them.
        timer = self._context.create_timer(min(max(waiting.deadline, self._in(1)), self._in(LONGEST_TIMER_S)))
        if (yield self._context.task_any([event, timer])) == event:
            _cancel(timer)
        self._view.status = "running"
        self._publish()

    def _in(self, seconds: float) -> datetime:
        now: datetime = self._context.current_utc_datetime
        return now + timedelta(seconds=seconds)

    # The view.

    def _shown(self, step: Step) -> StepView:
        return next(shown for shown in self._view.steps if shown.name == step.activity)

    def _show_step(self, step: Step, status: StepStatus) -> None:
        self._shown(step).status = status
        self._publish()

    def _shown_compensation(self, name: str) -> CompensationView:
        """The entry of this undo: a new one, or the old one when it is tried again."""
        for shown in self._view.compensations:
            if shown.name == name:
                return shown
        self._view.compensations.append(CompensationView(name=name, status="running"))
        return self._view.compensations[-1]

    def _show_compensation(self, shown: CompensationView, status: CompensationStatus) -> None:
        shown.status = status
        self._publish()

    def _publish(self) -> dict[str, Any]:
        view = self._view.as_json()
        self._context.set_custom_status(view)
        return view


def _left_after(answer: Outcome | None, left: Left | None) -> Left | None:
    """What is left to write after an attempt. If the attempt has no answer, the next one reads what it wrote."""
    if left is None:
        return None
    if isinstance(answer, StepDone) and answer.left is not None:
        return answer.left
    return left.for_a_retry()


def _with_undo(steps: Iterable[Step]) -> list[Step]:
    return [step for step in steps if step.undo]


def _alone(call: Any) -> Turns:
    return (yield call)


def _cancel(timer: Any) -> None:
    """SDK 1.x refuses to cancel a timer that fired in the same turn. That timer has ended anyway."""
    with contextlib.suppress(ValueError):
        timer.cancel()


def _why(step: Step, answer: Outcome | None) -> tuple[StepStatus, Failure]:
    if isinstance(answer, StepRefused):
        details = answer.model_dump(include={"reason", "decline_code", "skus"}, exclude_none=True)
        return "refused", Failure(step=step.activity, **details)
    if isinstance(answer, StepUnknown):
        return "unknown", Failure(step=step.activity, reason="outcome_unknown")
    return "failed", Failure(step=step.activity, reason="service_unavailable")
