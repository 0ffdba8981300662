"""What the saga waits for: deadlines of activities, unknown outcomes, cancels that it finds, and decisions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.steps import ALL_UNDOS, STEPS, undos_after, up_to
from tests.unit.saga.fake_durable_context import (
    CANCELLED,
    DEADLINE,
    DONE,
    FAULT,
    LATE,
    PRICED,
    REFUSED,
    TOTAL,
    UNKNOWN,
    FakeDurableContext,
    ignore,
    statuses,
    waiting,
)

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
    events = {"decision:1": ignore, "payment:1": ignore}
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
    context = FakeDurableContext({"process_payment": [*unknown, DONE]}, events={"payment:1": ignore})
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
    undone = undos_after(step, own=True)
    assert context.calls == [*up_to(step), *undone, "close_order"]
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
    context = FakeDurableContext({"validate_order": [waiting(1), answer]}, events={"decision:1": ignore})
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


def test_a_wait_whose_deadline_has_passed_asks_again_and_again_but_not_at_once() -> None:
    """The activity may run on a machine whose clock is behind, and say more than once that the order still waits."""
    late = [waiting(number, seconds=-60) for number in (1, 2)]
    context = FakeDurableContext({"validate_order": [*late, REFUSED]})
    context.play()
    assert context.fired == [1, 1]


def test_a_wait_is_never_longer_than_one_timer_can_be() -> None:
    """A deadline of six days by a clock that is ahead of the saga's."""
    context = FakeDurableContext(
        {"validate_order": [waiting(1, seconds=6 * 86400 + 5), waiting(2, 6 * 86400 + 5), REFUSED]}
    )
    context.play()
    assert context.fired == [6 * 86400, 5]


def test_each_wait_for_a_decision_has_an_event_of_its_own() -> None:
    """An event that came for nothing must not satisfy the next wait: the SDK hands it to every wait of its name."""
    waits = [waiting(n) for n in (1, 2, 3)]
    events = {"decision:1": ignore, "decision:2": ignore}
    context = FakeDurableContext({"validate_order": [*waits, PRICED]}, events=events)
    assert context.play()["status"] == "completed"
    assert context.waited_for == ["decision:1", "decision:2", "decision:3"]
    assert context.fired == [60]
