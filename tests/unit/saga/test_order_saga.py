"""The saga's decisions, without a host: the generator is driven by hand and every outcome is scripted.

What the orchestrator calls, in which order, what it waits for, and what the customer is told meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.messages import SAGA_VERSION
from orchestrators import steps
from orchestrators.order_saga import order_saga
from orchestrators.steps import CLOSE_ORDER, step_retry, undo_retry
from tests.support.steps import STEPS, UNDO

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
TOTAL = {"amount_minor": 25800, "currency": "gbp"}
DONE: dict[str, Any] = {"kind": "done"}
RESOLVED = {"kind": "done", "resolved": True}
PRICED = {"kind": "done", "total": TOTAL}
REFUSED = {"kind": "refused", "reason": "because"}
UNKNOWN = {"kind": "unknown"}
CANCELLED = {"kind": "cancelled"}
FAULT = RuntimeError("Activity function 'x' failed:  Unavailable: storage did not answer")
# The activity does not answer before its deadline.
LATE = "late"

ALL_UNDOS = tuple(reversed(UNDO.values()))
ROWS = (*steps.STEPS, CLOSE_ORDER)
DEADLINE = {row.activity: row.deadline_s for row in ROWS} | {row.undo: row.deadline_s for row in ROWS if row.undo}


def waiting(asked: int, seconds: float = 60) -> dict[str, Any]:
    """What an order says that waits for a decision, the `asked`th time that it was asked."""
    deadline = (BEGINNING + timedelta(seconds=seconds)).isoformat()
    return {"kind": "waiting", "total": TOTAL, "deadline": deadline, "wake": f"decision:{asked}"}


class Asked:
    """A task that the saga has made: an activity, a timer or a wait for an event."""

    def __init__(self, kind: str, what: Any) -> None:
        self.kind, self.what, self.result = kind, what, None
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Parked(Exception):
    """The saga waits for an event that does not come."""


class FakeDurableContext:
    """A durable context that answers each activity from a script: a list of outcomes, its last one repeated.

    `events`: what comes as soon as it is waited for, by name, with what it changes in the context; else a timer fires.
    """

    def __init__(
        self,
        script: dict[str, list[Any]] | None = None,
        limits: dict[str, Any] | None = None,
        events: Mapping[str, Callable[[FakeDurableContext], object]] | None = None,
        version: int | None = SAGA_VERSION,
        etag: str | None = None,
    ) -> None:
        self.script = defaultdict(lambda: [DONE], {"validate_order": [PRICED]}, **(script or {}))
        self.limits = {"step_retry_s": 30, "undo_retry_s": 900, **(limits or {})}
        self.events = events or {}
        self.version, self.etag = version, etag
        self.current_utc_datetime = BEGINNING
        self.calls: list[str] = []
        self.tasks: dict[str, list[Any]] = defaultdict(list)
        self.timers: list[Asked] = []
        self.fired: list[float] = []
        self.deadlines: list[tuple[str, float]] = []
        self.waited_for: list[str] = []
        self.published: list[dict[str, Any]] = []

    # The context.

    def get_input(self) -> dict[str, Any]:
        given = {"order_id": "order-1", "limits": self.limits, **({"etag": self.etag} if self.etag else {})}
        return given if self.version is None else {**given, "version": self.version}

    def call_activity(self, name: str, task: Any) -> Asked:
        self.calls.append(name)
        self.tasks[name].append(task)
        return Asked("activity", name)

    def create_timer(self, at: datetime) -> Asked:
        self.timers.append(Asked("timer", at))
        return self.timers[-1]

    def wait_for_external_event(self, name: str) -> Asked:
        self.waited_for.append(name)
        return Asked("event", name)

    def task_any(self, tasks: list[Asked]) -> list[Asked]:
        first, timer = tasks
        if first.kind == "activity":
            self.deadlines.append((first.what, self._until(timer)))
        return tasks

    def set_custom_status(self, status: dict[str, Any]) -> None:
        self.published.append(status)

    # Playing.

    def play(self) -> dict[str, Any]:
        """The saga's output. Raises Parked."""
        saga = order_saga(self)
        asked: Any = next(saga)
        while True:
            try:
                asked = self._answer_any(saga, asked) if isinstance(asked, list) else self._answer_one(saga, asked)
            except StopIteration as end:
                return dict(end.value)

    def park(self) -> dict[str, Any]:
        """The view of a saga that waits for its operator."""
        with pytest.raises(Parked):
            self.play()
        return self.published[-1]

    @property
    def waits(self) -> list[float]:
        """Seconds of each timer that fired."""
        return self.fired

    def _until(self, timer: Asked) -> float:
        return float((timer.what - self.current_utc_datetime).total_seconds())

    def _answer_any(self, saga: Any, tasks: list[Asked]) -> Any:
        """The activity or event, or the timer that goes with it."""
        first, timer = tasks
        first.result = self._outcome(first.what) if first.kind == "activity" else None
        came = first.result != LATE if first.kind == "activity" else self._comes(first.what)
        if not came:
            self._fire(timer)
        return saga.send(first if came else timer)

    def _answer_one(self, saga: Any, asked: Asked) -> Any:
        if asked.kind == "timer":
            self._fire(asked)
            return saga.send(None)
        if asked.kind == "event":
            if not self._comes(asked.what):
                raise Parked(asked.what)
            return saga.send("{}")
        outcome = self._outcome(asked.what)
        return saga.throw(outcome) if isinstance(outcome, Exception) else saga.send(outcome)

    def _fire(self, timer: Asked) -> None:
        self.fired.append(self._until(timer))
        self.current_utc_datetime = max(timer.what, self.current_utc_datetime)

    def _comes(self, event: str) -> bool:
        if event in self.events:
            self.events[event](self)
        return event in self.events

    def _outcome(self, name: str) -> Any:
        outcomes = self.script[name]
        return outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]


def comes(context: FakeDurableContext) -> None:
    """An event that changes nothing."""


def then(**script: list[Any]) -> Callable[[FakeDurableContext], object]:
    """An event after which activities answer otherwise."""
    return lambda context: context.script.update(script)


def expected_undo(failed_at: str, *, own: bool) -> list[str]:
    begun = STEPS[: STEPS.index(failed_at) + (1 if own else 0)]
    return [UNDO[step] for step in reversed(begun) if step in UNDO]


def statuses(view: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["status"] for step in view["steps"]}


def test_an_order_goes_through_all_steps_and_is_closed() -> None:
    context = FakeDurableContext()
    outcome = context.play()
    assert context.calls == [*STEPS, "close_order"]
    assert outcome["status"] == "completed"
    assert outcome["total"] == PRICED["total"]
    assert set(statuses(outcome).values()) == {"done"}
    assert outcome["failure"] is None
    assert outcome["compensations"] == []


@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_is_asked_for_once_and_undoes_what_came_before_it_in_reverse(step: str) -> None:
    context = FakeDurableContext({step: [REFUSED]})
    outcome = context.play()
    undone = expected_undo(step, own=False)
    assert context.calls == [*STEPS[: STEPS.index(step) + 1], *undone, "close_order"]
    assert outcome["status"] == ("rejected" if step == "validate_order" else "compensated")
    assert outcome["failure"] == {"step": step, "reason": "because"}
    assert [entry["name"] for entry in outcome["compensations"]] == undone
    assert statuses(outcome)[step] == "refused"
    for before in STEPS[: STEPS.index(step)]:
        assert statuses(outcome)[before] == ("undone" if before in UNDO else "done")
    for after in STEPS[STEPS.index(step) + 1 :]:
        assert statuses(outcome)[after] == "pending"


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("answer", "shown"), [(FAULT, "failed"), (UNKNOWN, "unknown"), ({"kind": "?"}, "failed"), (LATE, "unknown")]
)
def test_a_fault_or_unknown_outcome_is_retried_to_its_limit_and_then_undoes_the_step_itself_too(
    step: str, answer: Any, shown: str
) -> None:
    context = FakeDurableContext({step: [answer]})
    outcome = context.play()
    attempts = context.calls.count(step)
    assert attempts == len(list(step_retry(30).delays())) + 1
    assert [name for name in context.calls if name in UNDO.values()] == expected_undo(step, own=True)
    assert outcome["status"] == ("rejected" if step == "validate_order" else "compensated")
    assert statuses(outcome)[step] == shown
    reason = "outcome_unknown" if shown == "unknown" else "service_unavailable"
    assert outcome["failure"] == {"step": step, "reason": reason}


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"skus": ["OAK-SHELF", "LAST-LAMP"]}, {"skus": ["OAK-SHELF", "LAST-LAMP"]}),
        ({"skus": []}, {}),
        ({"skus": None}, {}),
        ({}, {}),
        ({"decline_code": "lost_card"}, {"decline_code": "lost_card"}),
        ({"a_later_field": 7}, {}),
    ],
)
def test_the_failure_names_the_lines_that_a_refusal_is_about(told: dict[str, Any], shown: dict[str, Any]) -> None:
    outcome = FakeDurableContext({"validate_order": [{**REFUSED, **told}]}).play()
    assert outcome["failure"] == {"step": "validate_order", "reason": "because", **shown}


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_that_passes_is_only_a_delay(step: str) -> None:
    answer = PRICED if step == "validate_order" else DONE
    context = FakeDurableContext({step: [FAULT, UNKNOWN, answer]})
    assert context.play()["status"] == "completed"
    assert context.calls.count(step) == 3
    assert context.waits == [1, 2]


def test_every_attempt_of_a_step_and_its_undo_carry_the_same_operation_id() -> None:
    context = FakeDurableContext({"process_payment": [FAULT]})
    context.play()
    task = {"order_id": "order-1", "operation_id": "order-1:pay", "left": {"notes": []}}
    assert context.tasks["process_payment"] == [task] * context.calls.count("process_payment")
    failure = {"step": "process_payment", "reason": "service_unavailable"}
    assert context.tasks["refund_payment"] == [{**task, "failure": failure, "attention": 0}]


RESERVED = {"event": "goods_reserved", "at": "2026-01-01T00:00:01Z", "value": ""}


def left(etag: str | None, *notes: dict[str, str]) -> dict[str, Any]:
    """What an activity leaves, as it stands in the history."""
    return {"notes": list(notes)} if etag is None else {"etag": etag, "notes": list(notes)}


def leaving(left: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**DONE, "left": left, **more}


def lefts(context: FakeDurableContext, activity: str) -> list[dict[str, Any]]:
    return [task["left"] for task in context.tasks[activity]]


def test_what_an_activity_leaves_is_given_to_the_next_one() -> None:
    context = FakeDurableContext(
        {"validate_order": [leaving(left("1"), total=TOTAL)], "reserve_inventory": [leaving(left("1", RESERVED))]}
    )
    context.script["process_payment"] = [leaving(left("2"))]
    context.play()
    assert lefts(context, "validate_order") == [left(None)]
    assert lefts(context, "reserve_inventory") == [left("1")]
    assert lefts(context, "process_payment") == [left("1", RESERVED)]
    assert lefts(context, "create_shipment") == [left("2")]
    assert lefts(context, "send_confirmation") == [left(None)], "an activity that left no state"


def test_the_saga_that_the_order_s_own_post_starts_is_given_the_state_that_it_inserted() -> None:
    context = FakeDurableContext({"validate_order": [FAULT, PRICED]}, etag="0")
    context.play()
    assert lefts(context, "validate_order") == [left("0"), left(None)]


@pytest.mark.parametrize("answer", [FAULT, UNKNOWN, LATE, waiting(1)])
def test_a_retry_is_given_the_notes_and_no_guess(answer: Any) -> None:
    context = FakeDurableContext(
        {"reserve_inventory": [leaving(left("1", RESERVED))], "process_payment": [answer, DONE]}
    )
    context.play()
    assert lefts(context, "process_payment") == [left("1", RESERVED), left(None, RESERVED)]


@pytest.mark.parametrize("answer", [REFUSED, CANCELLED, FAULT, UNKNOWN])
def test_what_a_failed_step_may_not_have_written_is_given_to_the_first_undo(answer: Any) -> None:
    undone = {"event": "goods_released", "at": "2026-01-01T00:00:09Z", "value": ""}
    context = FakeDurableContext({"reserve_inventory": [leaving(left("1", RESERVED))], "process_payment": [answer]})
    context.script["refund_payment"] = [leaving(left(None))]
    context.script["release_inventory"] = [leaving(left(None, undone))]
    context.play()
    first, last = ("refund_payment", "release_inventory") if answer != REFUSED else ("release_inventory",) * 2
    assert lefts(context, first) == [left(None, RESERVED)]
    assert lefts(context, last) == [left(None) if answer != REFUSED else left(None, RESERVED)]
    assert lefts(context, "close_order") == [left(None, undone)]


def test_no_two_steps_share_an_operation_id() -> None:
    context = FakeDurableContext()
    context.play()
    ids = [context.tasks[step][0]["operation_id"] for step in STEPS]
    assert len(set(ids)) == len(STEPS)


def test_an_undo_that_cannot_be_confirmed_does_not_keep_the_others_from_running() -> None:
    context = FakeDurableContext({"send_confirmation": [REFUSED], "refund_payment": [FAULT]})
    outcome = context.park()
    assert outcome["status"] == "needs_attention"
    assert {entry["name"]: entry["status"] for entry in outcome["compensations"]} == {
        **dict.fromkeys(ALL_UNDOS, "done"),
        "refund_payment": "failed",
    }
    assert statuses(outcome)["process_payment"] == "done"
    assert context.calls[-1] == "close_order"


def test_an_undo_is_retried_for_at_least_a_quarter_of_an_hour_and_looks_again_every_twenty_seconds() -> None:
    delays = list(undo_retry(900).delays())
    assert sum(delays) >= 900
    assert delays[:5] == [1, 2, 4, 8, 16]
    assert set(delays[5:]) == {20}


def test_a_step_gives_up_within_a_minute_by_default() -> None:
    assert list(step_retry(30).delays()) == [1, 2, 4, 8, 16]


def test_a_rejected_confirmation_leaves_the_order_completed_when_the_shop_chose_so() -> None:
    context = FakeDurableContext({"send_confirmation": [REFUSED]}, {"confirmation_failure": "ignore"})
    outcome = context.play()
    assert outcome["status"] == "completed"
    assert statuses(outcome)["send_confirmation"] == "refused"
    assert outcome["failure"] == {"step": "send_confirmation", "reason": "because"}
    assert context.calls == [*STEPS, "close_order"]


def test_an_order_that_ended_before_returns_its_outcome_and_calls_nothing_else() -> None:
    recorded = {"order_id": "order-1", "status": "compensated", "steps": [], "compensations": []}
    context = FakeDurableContext({"validate_order": [{"kind": "final", "outcome": recorded}]})
    assert context.play() == recorded
    assert context.calls == ["validate_order"]


@pytest.mark.parametrize("script", [{}, {"create_shipment": [REFUSED]}, {"validate_order": [REFUSED]}])
def test_an_ending_is_published_only_after_the_record_holds_it(script: dict[str, list[Any]]) -> None:
    context = FakeDurableContext({**script, "close_order": [FAULT, FAULT, DONE]})
    outcome = context.play()
    assert context.published[-1] == outcome
    assert all(view["status"] in {"running", "compensating"} for view in context.published[:-1])


def test_what_is_closed_is_what_is_published() -> None:
    context = FakeDurableContext({"create_shipment": [REFUSED]})
    outcome = context.play()
    closed = context.tasks["close_order"][0]["outcome"]
    assert closed == {**outcome, "total": outcome["total"]}


def test_an_outcome_that_cannot_be_recorded_fails_the_orchestration_in_the_open() -> None:
    with pytest.raises(RuntimeError, match="could not be closed"):
        FakeDurableContext({"close_order": [FAULT]}, {"undo_retry_s": 1}).play()


def test_the_custom_status_stays_far_below_its_limit() -> None:
    context = FakeDurableContext({"send_confirmation": [{**REFUSED, "reason": "r" * 60, "decline_code": "d" * 60}]})
    context.play()
    assert max(len(str(view).encode("utf-16")) for view in context.published) < 16 * 1024 / 4


def test_waits_are_durable_timers_from_the_orchestrations_own_clock() -> None:
    context = FakeDurableContext({"reserve_inventory": [FAULT]})
    context.play()
    assert context.current_utc_datetime == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=31)


EACH_STEP_WITH_EACH_UNDO = [(step, undo) for step in STEPS[1:] for undo in expected_undo(step, own=True)]


@pytest.mark.parametrize(("step", "undo"), EACH_STEP_WITH_EACH_UNDO)
def test_whichever_undo_fails_after_whichever_step_every_other_undo_still_runs(step: str, undo: str) -> None:
    context = FakeDurableContext({step: [FAULT], undo: [FAULT]}, {"step_retry_s": 1, "undo_retry_s": 1})
    outcome = context.park()
    assert outcome["status"] == "needs_attention"
    assert [entry["name"] for entry in outcome["compensations"]] == expected_undo(step, own=True)
    assert [entry["name"] for entry in outcome["compensations"] if entry["status"] == "failed"] == [undo]


# Deadlines


@pytest.mark.parametrize("step", STEPS)
def test_an_attempt_that_outlives_its_deadline_is_found_out_by_the_next_one(step: str) -> None:
    answer = PRICED if step == "validate_order" else DONE
    context = FakeDurableContext({step: [LATE, answer]})
    assert context.play()["status"] == "completed"
    assert context.calls.count(step) == 2
    assert context.fired == [DEADLINE[step], 1]


def test_every_attempt_of_every_step_and_undo_has_the_deadline_of_its_row() -> None:
    context = FakeDurableContext({"send_confirmation": [UNKNOWN, REFUSED]})
    context.play()
    assert context.deadlines == [(name, DEADLINE[name]) for name in context.calls]
    assert set(context.calls) == set(DEADLINE)


def test_every_timer_that_is_no_longer_needed_is_cancelled() -> None:
    events = {"decision:1": comes, "payment:1": comes}
    script: dict[str, list[Any]] = {
        "validate_order": [waiting(1), PRICED],
        "process_payment": [{**UNKNOWN, "wake": "payment:1"}, DONE],
        "create_shipment": [FAULT],
    }
    context = FakeDurableContext(script, events=events)
    context.play()
    assert [timer.cancelled for timer in context.timers].count(False) == len(context.fired)


def test_an_undo_that_outlives_its_deadline_is_tried_again() -> None:
    context = FakeDurableContext({"create_shipment": [REFUSED], "refund_payment": [LATE, DONE]})
    assert context.play()["status"] == "compensated"
    assert context.calls.count("refund_payment") == 2
    assert context.fired == [DEADLINE["refund_payment"], 1]


# Unknown outcomes and what wakes


def test_an_event_shortens_the_pause_before_an_unknown_outcome_is_found_out() -> None:
    unknown = [{**UNKNOWN, "wake": f"payment:{n}"} for n in (1, 2)]
    context = FakeDurableContext({"process_payment": [*unknown, DONE]}, events={"payment:1": comes})
    assert context.play()["status"] == "completed"
    assert context.waited_for == ["payment:1", "payment:2"]
    assert context.fired == [2]


def test_without_its_event_an_unknown_outcome_is_found_out_all_the_same() -> None:
    unknown = [{**UNKNOWN, "wake": f"payment:{n}"} for n in (1, 2, 3)]
    context = FakeDurableContext({"process_payment": [*unknown, DONE]})
    assert context.play()["status"] == "completed"
    assert context.fired == [1, 2, 4]


# Cancels


@pytest.mark.parametrize("step", STEPS)
def test_a_cancel_found_at_a_step_keeps_the_undo_of_that_step_too(step: str) -> None:
    context = FakeDurableContext({step: [CANCELLED]})
    outcome = context.play()
    undone = expected_undo(step, own=True)
    assert context.calls == [*STEPS[: STEPS.index(step) + 1], *undone, "close_order"]
    assert outcome["failure"] is None
    assert statuses(outcome)[step] == "pending"
    assert [context.tasks[undo][0].get("failure") for undo in undone] == [None] * len(undone)


def test_a_cancel_is_no_confirmation_that_failed() -> None:
    context = FakeDurableContext({"send_confirmation": [CANCELLED]}, {"confirmation_failure": "ignore"})
    context.play()
    assert context.calls[len(STEPS) :] == [*ALL_UNDOS, "close_order"]


@pytest.mark.parametrize("script", [{}, {"create_shipment": [CANCELLED]}])
def test_the_record_has_the_last_word_about_how_the_order_ended(script: dict[str, list[Any]]) -> None:
    recorded = {"order_id": "order-1", "status": "cancelled", "steps": [], "compensations": []}
    context = FakeDurableContext({**script, "close_order": [{"kind": "final", "outcome": recorded}]})
    assert context.play() == recorded
    assert context.published[-1] == recorded


# Approval


def test_an_order_that_waits_for_a_decision_moves_nothing_before_it_comes() -> None:
    seen: list[list[str]] = []
    context = FakeDurableContext(
        {"validate_order": [waiting(1), PRICED]}, events={"decision:1": lambda context: seen.append([*context.calls])}
    )
    assert context.play()["status"] == "completed"
    assert seen == [["validate_order"]]
    assert [view["status"] for view in context.published[:3]] == ["running", "awaiting_approval", "running"]
    assert context.published[1]["total"] == TOTAL


@pytest.mark.parametrize("answer", [REFUSED, CANCELLED])
def test_a_decision_against_the_order_ends_it_with_nothing_to_undo(answer: dict[str, Any]) -> None:
    context = FakeDurableContext({"validate_order": [waiting(1), answer]}, events={"decision:1": comes})
    outcome = context.play()
    assert context.calls == ["validate_order", "validate_order", "close_order"]
    assert outcome["total"] == TOTAL
    assert outcome["compensations"] == []


def test_without_a_decision_the_order_is_asked_again_at_its_deadline() -> None:
    context = FakeDurableContext({"validate_order": [waiting(1), {**REFUSED, "reason": "approval_expired"}]})
    outcome = context.play()
    assert context.fired == [60]
    assert outcome["status"] == "rejected"
    assert outcome["failure"] == {"step": "validate_order", "reason": "approval_expired"}


def test_a_wait_whose_deadline_has_passed_asks_again_at_once() -> None:
    context = FakeDurableContext({"validate_order": [waiting(1, seconds=-60), REFUSED]})
    context.play()
    assert context.fired == [0]


def test_each_wait_for_a_decision_has_an_event_of_its_own() -> None:
    """An event that came for nothing must not satisfy the next wait: the SDK hands it to every wait of its name."""
    asked = [waiting(n) for n in (1, 2, 3)]
    events = {"decision:1": comes, "decision:2": comes}
    context = FakeDurableContext({"validate_order": [*asked, PRICED]}, events=events)
    assert context.play()["status"] == "completed"
    assert context.waited_for == ["decision:1", "decision:2", "decision:3"]
    assert context.fired == [60]


# Parking


def test_a_parked_order_is_recorded_and_waits_for_its_operator() -> None:
    context = FakeDurableContext({"create_shipment": [REFUSED], "refund_payment": [FAULT]}, {"undo_retry_s": 1})
    view = context.park()
    assert context.waited_for == ["attention:1"]
    sent = {"order_id": "order-1", "outcome": _sent(view), "attention": 1, "left": {"notes": []}}
    assert context.tasks["close_order"] == [sent]


def _sent(view: dict[str, Any]) -> dict[str, Any]:
    """A view as it travels: without empty fields."""
    return {name: value for name, value in view.items() if value is not None}


def test_an_operator_has_only_that_tried_again_which_was_not_confirmed() -> None:
    context = FakeDurableContext(
        {"create_shipment": [REFUSED], "refund_payment": [FAULT]},
        {"undo_retry_s": 1},
        {"attention:1": comes, "attention:2": then(refund_payment=[DONE])},
    )
    outcome = context.play()
    tried = ["refund_payment"] * 2
    assert context.calls[4:] == [
        *[*tried, "release_inventory", "close_order"],
        *[*tried, "close_order"],
        *["refund_payment", "close_order"],
    ]
    assert context.waited_for == ["attention:1", "attention:2"]
    assert [task["attention"] for task in context.tasks["close_order"]] == [1, 2, 2]
    assert outcome["status"] == "compensated"
    assert [(entry["name"], entry["status"]) for entry in outcome["compensations"]] == [
        ("refund_payment", "done"),
        ("release_inventory", "done"),
    ]
    assert statuses(outcome)["process_payment"] == "undone"


def test_undos_that_are_tried_again_keep_their_order() -> None:
    script: dict[str, list[Any]] = {"send_confirmation": [REFUSED], **{undo: [FAULT] for undo in UNDO.values()}}
    events = {"attention:1": then(**{undo: [DONE] for undo in UNDO.values()})}
    context = FakeDurableContext(script, {"undo_retry_s": 0.5}, events)
    assert context.play()["status"] == "compensated"
    assert context.calls[-4:] == ["cancel_shipment", "refund_payment", "release_inventory", "close_order"]


def test_while_undos_are_tried_again_the_order_is_compensating() -> None:
    seen = []
    context = FakeDurableContext(
        {"create_shipment": [REFUSED], "refund_payment": [FAULT]},
        {"undo_retry_s": 1},
        {"attention:1": lambda context: seen.append(len(context.published))},
    )
    context.park()
    assert context.published[seen[0]]["status"] == "compensating"
    assert context.published[-1]["status"] == "needs_attention"


def test_an_undo_that_an_operator_resolved_says_so() -> None:
    context = FakeDurableContext(
        {"create_shipment": [REFUSED], "refund_payment": [FAULT]},
        {"undo_retry_s": 1},
        {"attention:1": then(refund_payment=[RESOLVED])},
    )
    outcome = context.play()
    assert outcome["status"] == "compensated"
    assert outcome["compensations"][0] == {"name": "refund_payment", "status": "resolved"}


def test_a_refused_undo_is_asked_once_a_round_and_parks_the_order() -> None:
    context = FakeDurableContext({"create_shipment": [REFUSED], "release_inventory": [REFUSED]})
    assert context.park()["status"] == "needs_attention"
    assert context.calls.count("release_inventory") == 1


# Healing


@pytest.mark.parametrize("failure", [None, {"step": "create_shipment", "reason": "because"}])
def test_a_healed_saga_goes_on_undoing_and_never_forward(failure: dict[str, str] | None) -> None:
    undoing = _sent({"kind": "undoing", "total": TOTAL, "failure": failure})
    context = FakeDurableContext({"validate_order": [undoing]})
    outcome = context.play()
    assert context.calls == ["validate_order", *ALL_UNDOS, "close_order"]
    assert outcome["status"] == "compensated"
    assert outcome["total"] == TOTAL
    assert outcome["failure"] == failure
    assert set(statuses(outcome).values()) == {"pending"}


def test_a_healed_saga_parks_like_any_other() -> None:
    context = FakeDurableContext(
        {"validate_order": [{"kind": "undoing"}], "cancel_shipment": [FAULT]}, {"undo_retry_s": 1}
    )
    view = context.park()
    assert {entry["name"]: entry["status"] for entry in view["compensations"]} == {
        **dict.fromkeys(ALL_UNDOS, "done"),
        "cancel_shipment": "failed",
    }


def test_a_healed_saga_counts_on_from_the_times_that_the_order_was_parked() -> None:
    """So its waits have names of their own, and its undos are told from those that are late."""
    healed = {"kind": "undoing", "attention": 2}
    context = FakeDurableContext({"validate_order": [healed], "cancel_shipment": [FAULT]}, {"undo_retry_s": 1})
    context.park()
    assert context.tasks["refund_payment"][0]["attention"] == 2
    assert context.waited_for == ["attention:3"]
    assert context.tasks["close_order"][0]["attention"] == 3


def test_an_undo_is_told_how_often_the_order_was_parked_before() -> None:
    events = {"attention:1": then(refund_payment=[DONE])}
    context = FakeDurableContext({"create_shipment": [REFUSED], "refund_payment": [FAULT]}, {"undo_retry_s": 1}, events)
    context.play()
    assert [task["attention"] for task in context.tasks["refund_payment"]] == [0, 0, 1]


# Version 1: orders that were begun before deadlines, approvals and parking go on by the rules of then.

first_version = pytest.mark.parametrize("version", [None, 1])


@first_version
def test_an_old_order_calls_its_activities_without_deadlines(version: int | None) -> None:
    context = FakeDurableContext({"reserve_inventory": [FAULT, DONE], "create_shipment": [REFUSED]}, version=version)
    assert context.play()["status"] == "compensated"
    assert context.deadlines == []
    assert len(context.timers) == len(context.fired) == 1


@first_version
def test_an_old_order_ends_parked(version: int | None) -> None:
    context = FakeDurableContext(
        {"create_shipment": [REFUSED], "refund_payment": [FAULT]}, {"undo_retry_s": 1}, version=version
    )
    outcome = context.play()
    assert outcome["status"] == "needs_attention"
    assert context.waited_for == []
    assert context.tasks["close_order"][0]["outcome"]["status"] == "needs_attention"


@first_version
def test_an_old_orders_undo_is_given_what_it_always_was(version: int | None) -> None:
    context = FakeDurableContext({"create_shipment": [REFUSED]}, version=version)
    context.play()
    assert context.tasks["refund_payment"] == [{"order_id": "order-1", "operation_id": "order-1:pay"}]


@first_version
@pytest.mark.parametrize("step", STEPS)
def test_an_old_order_still_undoes_in_reverse(step: str, version: int | None) -> None:
    context = FakeDurableContext({step: [FAULT]}, {"step_retry_s": 1}, version=version)
    context.play()
    old = {row.activity for row in steps.steps_of(version or 1)}
    undone = [UNDO[name] for name in reversed(STEPS[: STEPS.index(step) + 1]) if name in UNDO and name in old]
    assert [name for name in context.calls if name in UNDO.values()] == (undone if step in old else [])


@first_version
def test_an_old_order_can_be_cancelled_and_approved(version: int | None) -> None:
    script = {"validate_order": [waiting(1), PRICED], "process_payment": [CANCELLED]}
    context = FakeDurableContext(script, events={"decision:1": comes}, version=version)
    context.play()
    undone = ["refund_payment", "release_inventory"]
    assert context.calls == ["validate_order", *STEPS[:3], *undone, "close_order"]
