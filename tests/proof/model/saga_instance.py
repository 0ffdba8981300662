"""One instance of the orchestration: the durable context of the real orchestrator, and how it is played."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import function_app
from models.messages import SAGA_VERSION
from orchestrators.order_saga import order_saga
from tests.proof.model.checks import Checks
from tests.proof.model.one_order import OneOrder
from tests.proof.model.people import People
from tests.proof.model.scenarios import LIMITS, ORDER, Scenario
from tests.proof.model.schedule import Died, Overdue, Schedule, Stuck
from tests.support.steps import STEPS, UNDO

UNDOS = tuple(reversed(UNDO.values()))
LATE = object()


class ModelTask:
    """A task that the saga has made. `target`: the activity's or the event's name, or the time of the timer."""

    def __init__(self, kind: str, target: Any, input_: Any = None) -> None:
        self.kind, self.target, self.input = kind, target, input_
        self.result: Any = None

    def cancel(self) -> None:
        """A timer that is not needed any more."""


class RunParts(NamedTuple):
    """What a run consists of."""

    scenario: Scenario
    order: OneOrder
    schedule: Schedule
    checks: Checks
    people: People


class SagaInstance:
    """Events are as the SDK has them: one that was raised is there for every wait. `calls`: activities, in order."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts
        self._scenario, self._order, self._schedule, self._checks, self._people = parts
        self._people.meet_new_instance()
        self.current_utc_datetime = datetime.now(UTC)
        self.calls: list[str] = []
        self._etag = self._order.take_etag()
        self._refused: set[str] = set()

    # What the orchestrator asks of its context.

    def get_input(self) -> dict[str, Any]:
        limits = {**LIMITS, **self._scenario.limits}
        return {"order_id": ORDER, "limits": limits, "version": SAGA_VERSION, "etag": self._etag}

    def call_activity(self, name: str, input_: Any) -> ModelTask:
        return ModelTask("activity", name, input_)

    def create_timer(self, at: datetime) -> ModelTask:
        return ModelTask("timer", at)

    def wait_for_external_event(self, name: str) -> ModelTask:
        return ModelTask("event", name)

    def task_any(self, tasks: list[ModelTask]) -> list[ModelTask]:
        return tasks

    def set_custom_status(self, view: Mapping[str, Any]) -> None:
        self._checks.check(view)

    # Playing.

    def play(self) -> Any:
        """The output. A terminated instance is healed: a new one takes its place, and what ran goes on."""
        saga = order_saga(self)
        yielded: Any = next(saga)
        while not self._checks.violations:
            tasks = yielded if isinstance(yielded, list) else [yielded]
            fate = self._turn(str(tasks[0].target))
            if fate == "started late":
                self._order.start_late()
            if fate in {"terminate", "started late"}:
                return SagaInstance(self._parts).play()
            try:
                yielded = saga.send(self._answer(tasks))
            except StopIteration as end:
                return end.value
            except RuntimeError as failure:  # its record could not be closed: the sweep starts another
                self._checks.demand(
                    len(self._schedule.plan) > 1, f"one thing goes wrong, and the saga fails: {failure}"
                )
                return SagaInstance(self._parts).play()
        return None

    def _turn(self, activity: str) -> str | None:
        """A moment of the saga between two activities: the fate of it."""
        self._schedule.next_turn(activity)
        self._schedule.deliver(self._checks.check)
        fate = self._schedule.fate_at(f"turn:{activity}")
        if fate == "cancel":
            self._people.cancel()
        if (fate == "elsewhere") != self._order.away:
            self._order.move()
        return fate

    def _answer(self, tasks: list[ModelTask]) -> Any:
        first = tasks[0]
        winner = ANSWERS[first.kind](self, first, tasks[1] if len(tasks) > 1 else None)
        return winner if len(tasks) > 1 else winner.result

    def _answer_activity(self, task: ModelTask, deadline: ModelTask | None) -> ModelTask:
        self._note_call(task.target)
        outcome = self._perform(task)
        if outcome is LATE:
            assert deadline is not None, "an activity without a deadline outlived it"
            return self._fire(deadline)
        self._note_outcome(task.target, outcome)
        task.result = outcome
        return task

    def _perform(self, task: ModelTask) -> Any:
        """What the activity returned or raised, after as many deaths as the plan wants; LATE when it is held up."""
        while True:
            try:
                return self._perform_once(task)
            except Died:
                self._order.forget()
                self._schedule.drop_activities()

    def _perform_once(self, task: ModelTask) -> Any:
        activity = getattr(function_app, task.target)

        def work() -> Any:
            Overdue.here.step, Overdue.here.knows_of_undo = task.target, False
            try:
                result = activity(json.loads(json.dumps(task.input)))
            except Exception as fault:
                return fault
            finally:
                Overdue.here.step = None
            if self._schedule.fate_at(f"answer:{task.target}") == "died":
                raise Died
            return result

        if "overdue" not in self._schedule.plan.values():
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
        demand = self._checks.demand
        demand(name not in self._refused, f"{name} was refused and is asked again")
        undos = [undo for undo in dict.fromkeys(self.calls) if undo in UNDOS]
        demand(undos == [undo for undo in UNDOS if undo in undos], f"undone in the order {undos}")
        steps = [step for step in dict.fromkeys(self.calls) if step in STEPS]
        demand(steps == list(STEPS[: len(steps)]), f"done in the order {steps}")
        demand(not undos or name not in STEPS, f"{name} after {undos}")

    def _note_outcome(self, name: str, outcome: Any) -> None:
        if name in STEPS and isinstance(outcome, dict) and outcome["kind"] == "refused":
            self._refused.add(name)

    def _answer_event(self, task: ModelTask, timer: ModelTask | None) -> ModelTask:
        if task.target not in self._people.events:
            self._people.act_on(task.target)
        if task.target in self._people.events:
            return task
        if timer is None:
            raise Stuck(f"nobody can wake it from {task.target}")
        return self._fire(timer)

    def _answer_timer(self, timer: ModelTask, _: ModelTask | None) -> ModelTask:
        return self._fire(timer)

    def _fire(self, timer: ModelTask) -> ModelTask:
        self.current_utc_datetime = max(timer.target, self.current_utc_datetime + timedelta(milliseconds=1))
        return timer


ANSWERS: dict[str, Callable[[SagaInstance, ModelTask, ModelTask | None], ModelTask]] = {
    "activity": SagaInstance._answer_activity,
    "event": SagaInstance._answer_event,
    "timer": SagaInstance._answer_timer,
}
