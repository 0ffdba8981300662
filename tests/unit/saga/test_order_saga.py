"""The saga's decisions, without a host: the generator is driven by hand and every outcome is scripted.

What the orchestrator calls, in which order, what it waits for, and what the customer is shown meanwhile.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrators.steps import step_retry, undo_retry
from tests.support.steps import ALL_UNDOS, STEPS, UNDO, statuses_at, undos_after, up_to
from tests.unit.saga.fake_durable_context import (
    DONE,
    FAULT,
    LATE,
    PRICED,
    REFUSED,
    UNKNOWN,
    FakeDurableContext,
    statuses,
)


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
    undone = undos_after(step)
    assert context.calls == [*up_to(step), *undone, "close_order"]
    assert outcome["status"] == ("rejected" if step == "validate_order" else "compensated")
    assert outcome["failure"] == {"step": step, "reason": "because"}
    assert [entry["name"] for entry in outcome["compensations"]] == undone
    assert statuses(outcome) == statuses_at(step)


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
    assert [name for name in context.calls if name in UNDO.values()] == undos_after(step, own=True)
    assert outcome["status"] == ("rejected" if step == "validate_order" else "compensated")
    assert statuses(outcome)[step] == shown
    reason = "outcome_unknown" if shown == "unknown" else "service_unavailable"
    assert outcome["failure"] == {"step": step, "reason": reason}


@pytest.mark.parametrize(
    ("refusal", "shown"),
    [
        ({"skus": ["OAK-SHELF", "LAST-LAMP"]}, {"skus": ["OAK-SHELF", "LAST-LAMP"]}),
        ({"skus": []}, {}),
        ({"skus": None}, {}),
        ({}, {}),
        ({"decline_code": "lost_card"}, {"decline_code": "lost_card"}),
        ({"a_later_field": 7}, {}),
    ],
)
def test_the_failure_names_the_lines_that_a_refusal_is_about(refusal: dict[str, Any], shown: dict[str, Any]) -> None:
    outcome = FakeDurableContext({"validate_order": [{**REFUSED, **refusal}]}).play()
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


EACH_STEP_WITH_EACH_UNDO = [(step, undo) for step in STEPS[1:] for undo in undos_after(step, own=True)]


@pytest.mark.parametrize(("step", "undo"), EACH_STEP_WITH_EACH_UNDO)
def test_whichever_undo_fails_after_whichever_step_every_other_undo_still_runs(step: str, undo: str) -> None:
    context = FakeDurableContext({step: [FAULT], undo: [FAULT]}, {"step_retry_s": 1, "undo_retry_s": 1})
    outcome = context.park()
    assert outcome["status"] == "needs_attention"
    assert [entry["name"] for entry in outcome["compensations"]] == undos_after(step, own=True)
    assert [entry["name"] for entry in outcome["compensations"] if entry["status"] == "failed"] == [undo]
