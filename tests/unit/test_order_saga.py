"""The saga's decisions, without a host: the generator is driven by hand and every outcome is scripted.

What the orchestrator calls, in which order, and what the customer is told meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrators.order_saga import order_saga
from orchestrators.steps import step_retry, undo_retry

DONE: dict[str, Any] = {"kind": "done"}
PRICED = {"kind": "done", "total": {"amount_minor": 25800, "currency": "gbp"}}
REFUSED = {"kind": "refused", "reason": "because"}
UNKNOWN = {"kind": "unknown"}
FAULT = RuntimeError("Activity function 'x' failed:  Unavailable: storage did not answer")

STEPS = ["validate_order", "reserve_inventory", "process_payment", "create_shipment", "send_confirmation"]
UNDO = {
    "reserve_inventory": "release_inventory",
    "process_payment": "refund_payment",
    "create_shipment": "cancel_shipment",
}


class Theatre:
    """A durable context that answers each activity from a script: a list of outcomes, its last one repeated."""

    def __init__(self, script: dict[str, list[Any]] | None = None, limits: dict[str, Any] | None = None) -> None:
        self.script = defaultdict(lambda: [DONE], {"validate_order": [PRICED]}, **(script or {}))
        self.limits = {"step_retry_s": 30, "undo_retry_s": 900, **(limits or {})}
        self.current_utc_datetime = datetime(2026, 1, 1, tzinfo=UTC)
        self.calls: list[str] = []
        self.tasks: dict[str, list[Any]] = defaultdict(list)
        self.waits: list[float] = []
        self.published: list[dict[str, Any]] = []

    def get_input(self) -> dict[str, Any]:
        return {"order_id": "order-1", "limits": self.limits}

    def call_activity(self, name: str, task: Any) -> tuple[str, str]:
        self.calls.append(name)
        self.tasks[name].append(task)
        return ("activity", name)

    def create_timer(self, at: datetime) -> tuple[str, datetime]:
        self.waits.append((at - self.current_utc_datetime).total_seconds())
        return ("timer", at)

    def set_custom_status(self, status: dict[str, Any]) -> None:
        self.published.append(status)

    def play(self) -> dict[str, Any]:
        saga = order_saga(self)
        asked = next(saga)
        while True:
            try:
                asked = self._answer(saga, asked)
            except StopIteration as end:
                return dict(end.value)

    def _answer(self, saga: Any, asked: Any) -> Any:
        kind, what = asked
        if kind == "timer":
            self.current_utc_datetime = what
            return saga.send(None)
        outcomes = self.script[what]
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, Exception):
            return saga.throw(outcome)
        return saga.send(outcome)


def expected_undo(failed_at: str, *, own: bool) -> list[str]:
    begun = STEPS[: STEPS.index(failed_at) + (1 if own else 0)]
    return [UNDO[step] for step in reversed(begun) if step in UNDO]


def statuses(view: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["status"] for step in view["steps"]}


def test_an_order_goes_through_all_five_steps_and_is_closed() -> None:
    theatre = Theatre()
    outcome = theatre.play()
    assert theatre.calls == [*STEPS, "close_order"]
    assert outcome["status"] == "completed"
    assert outcome["total"] == PRICED["total"]
    assert set(statuses(outcome).values()) == {"done"}
    assert outcome["failure"] is None
    assert outcome["compensations"] == []


@pytest.mark.parametrize("step", STEPS)
def test_a_refusal_is_asked_for_once_and_undoes_what_came_before_it_in_reverse(step: str) -> None:
    theatre = Theatre({step: [REFUSED]})
    outcome = theatre.play()
    undone = expected_undo(step, own=False)
    assert theatre.calls == [*STEPS[: STEPS.index(step) + 1], *undone, "close_order"]
    assert outcome["status"] == ("rejected" if step == "validate_order" else "compensated")
    assert outcome["failure"] == {"step": step, "reason": "because"}
    assert [entry["name"] for entry in outcome["compensations"]] == undone
    assert statuses(outcome)[step] == "refused"
    for before in STEPS[: STEPS.index(step)]:
        assert statuses(outcome)[before] == ("undone" if before in UNDO else "done")
    for after in STEPS[STEPS.index(step) + 1 :]:
        assert statuses(outcome)[after] == "pending"


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("answer", "shown"), [(FAULT, "failed"), (UNKNOWN, "unknown"), ({"kind": "?"}, "failed")])
def test_a_fault_or_unknown_outcome_is_retried_to_its_limit_and_then_undoes_the_step_itself_too(
    step: str, answer: Any, shown: str
) -> None:
    theatre = Theatre({step: [answer]})
    outcome = theatre.play()
    attempts = theatre.calls.count(step)
    assert attempts == len(list(step_retry(30).delays())) + 1
    assert [name for name in theatre.calls if name in UNDO.values()] == expected_undo(step, own=True)
    assert outcome["status"] == ("rejected" if step == "validate_order" else "compensated")
    assert statuses(outcome)[step] == shown
    reason = "outcome_unknown" if shown == "unknown" else "service_unavailable"
    assert outcome["failure"] == {"step": step, "reason": reason}


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_that_passes_is_only_a_delay(step: str) -> None:
    answer = PRICED if step == "validate_order" else DONE
    theatre = Theatre({step: [FAULT, UNKNOWN, answer]})
    assert theatre.play()["status"] == "completed"
    assert theatre.calls.count(step) == 3
    assert theatre.waits == [1, 2]


def test_every_attempt_of_a_step_and_its_undo_carry_the_same_operation_id() -> None:
    theatre = Theatre({"process_payment": [FAULT]})
    theatre.play()
    task = {"order_id": "order-1", "operation_id": "order-1:pay"}
    assert theatre.tasks["process_payment"] == [task] * theatre.calls.count("process_payment")
    assert theatre.tasks["refund_payment"] == [task]


def test_no_two_steps_share_an_operation_id() -> None:
    theatre = Theatre()
    theatre.play()
    ids = [theatre.tasks[step][0]["operation_id"] for step in STEPS]
    assert len(set(ids)) == len(STEPS)


def test_an_undo_that_cannot_be_confirmed_does_not_keep_the_others_from_running() -> None:
    theatre = Theatre({"send_confirmation": [REFUSED], "refund_payment": [FAULT]})
    outcome = theatre.play()
    assert outcome["status"] == "needs_attention"
    assert outcome["compensations"] == [
        {"name": "cancel_shipment", "status": "done"},
        {"name": "refund_payment", "status": "failed"},
        {"name": "release_inventory", "status": "done"},
    ]
    assert statuses(outcome)["process_payment"] == "done"
    assert theatre.calls[-1] == "close_order"


def test_an_undo_is_retried_for_at_least_a_quarter_of_an_hour_and_looks_again_every_twenty_seconds() -> None:
    delays = list(undo_retry(900).delays())
    assert sum(delays) >= 900
    assert delays[:5] == [1, 2, 4, 8, 16]
    assert set(delays[5:]) == {20}


def test_a_step_gives_up_within_a_minute_by_default() -> None:
    assert list(step_retry(30).delays()) == [1, 2, 4, 8, 16]


def test_a_rejected_confirmation_leaves_the_order_completed_when_the_shop_chose_so() -> None:
    theatre = Theatre({"send_confirmation": [REFUSED]}, {"confirmation_failure": "ignore"})
    outcome = theatre.play()
    assert outcome["status"] == "completed"
    assert statuses(outcome)["send_confirmation"] == "refused"
    assert outcome["failure"] == {"step": "send_confirmation", "reason": "because"}
    assert theatre.calls == [*STEPS, "close_order"]


def test_an_order_that_ended_before_returns_its_outcome_and_calls_nothing_else() -> None:
    recorded = {"order_id": "order-1", "status": "compensated", "steps": [], "compensations": []}
    theatre = Theatre({"validate_order": [{"kind": "final", "outcome": recorded}]})
    assert theatre.play() == recorded
    assert theatre.calls == ["validate_order"]


@pytest.mark.parametrize("script", [{}, {"create_shipment": [REFUSED]}, {"validate_order": [REFUSED]}])
def test_an_ending_is_published_only_after_the_record_holds_it(script: dict[str, list[Any]]) -> None:
    theatre = Theatre({**script, "close_order": [FAULT, FAULT, DONE]})
    outcome = theatre.play()
    assert theatre.published[-1] == outcome
    assert all(view["status"] in {"running", "compensating"} for view in theatre.published[:-1])


def test_what_is_closed_is_what_is_published() -> None:
    theatre = Theatre({"create_shipment": [REFUSED]})
    outcome = theatre.play()
    closed = theatre.tasks["close_order"][0]["outcome"]
    assert closed == {**outcome, "total": outcome["total"]}


def test_an_outcome_that_cannot_be_recorded_fails_the_orchestration_in_the_open() -> None:
    with pytest.raises(RuntimeError, match="could not be closed"):
        Theatre({"close_order": [FAULT]}, {"undo_retry_s": 1}).play()


def test_the_custom_status_stays_far_below_its_limit() -> None:
    theatre = Theatre({"send_confirmation": [{**REFUSED, "reason": "r" * 60, "decline_code": "d" * 60}]})
    theatre.play()
    assert max(len(str(view).encode("utf-16")) for view in theatre.published) < 16 * 1024 / 4


def test_waits_are_durable_timers_from_the_orchestrations_own_clock() -> None:
    theatre = Theatre({"reserve_inventory": [FAULT]})
    theatre.play()
    assert theatre.current_utc_datetime == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=31)


EACH_STEP_WITH_EACH_UNDO = [(step, undo) for step in STEPS[1:] for undo in expected_undo(step, own=True)]


@pytest.mark.parametrize(("step", "undo"), EACH_STEP_WITH_EACH_UNDO)
def test_whichever_undo_fails_after_whichever_step_every_other_undo_still_runs(step: str, undo: str) -> None:
    theatre = Theatre({step: [FAULT], undo: [FAULT]}, {"step_retry_s": 1, "undo_retry_s": 1})
    outcome = theatre.play()
    assert outcome["status"] == "needs_attention"
    assert [entry["name"] for entry in outcome["compensations"]] == expected_undo(step, own=True)
    assert [entry["name"] for entry in outcome["compensations"] if entry["status"] == "failed"] == [undo]
