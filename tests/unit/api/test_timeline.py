"""The timeline: attempts and waits of the Durable history, the next thing that happens, and nothing personal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.money import Total
from models.operations.timeline import Due, attempts, due, references, time_of, waits
from models.order_parts import Approval
from models.order_record import OrderRecord
from models.states import OrderStatus

START = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
TOTAL = Total(amount_minor=12900, currency="gbp")


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def ended(name: str, begin: float, end: float, **result: Any) -> dict[str, Any]:
    """An entry of a task that has ended, as the durable client returns it."""
    return {
        "EventType": "TaskCompleted",
        "FunctionName": name,
        "ScheduledTime": at(begin),
        "Timestamp": at(end),
        "Result": result,
    }


def record(state: OrderStatus = "running", **facts: Any) -> OrderRecord:
    return OrderRecord(order_id="order-1", state=state, body_hash="x", accepted_at=START, **facts)


def test_each_attempt_has_its_number_its_path_and_its_result() -> None:
    history = [
        {"EventType": "ExecutionStarted", "FunctionName": "order_saga", "Timestamp": at(0)},
        ended("process_payment", 0, 1, kind="unknown"),
        ended("process_payment", 2, 3, kind="refused", reason="card_declined", decline_code="expired_card"),
        ended("release_inventory", 3, 4, kind="done"),
        ended("close_order", 4, 5, kind="final", outcome={"status": "compensated"}),
    ]
    rows = [(each.activity, each.path, each.number, each.result, each.reason) for each in attempts(history)]
    assert rows == [
        ("process_payment", "step", 1, "unknown", None),
        ("process_payment", "step", 2, "refused", "expired_card"),
        ("release_inventory", "undo", 1, "done", None),
        ("close_order", "close", 1, "done", "compensated"),
    ]


def test_an_attempt_that_still_runs_has_no_end() -> None:
    (attempt,) = attempts([{"EventType": "TaskScheduled", "Name": "validate_order", "Timestamp": at(1)}])
    assert (attempt.started_at, attempt.ended_at, attempt.result) == (START + timedelta(seconds=1), None, None)


def test_an_attempt_that_raised_has_failed_and_its_text_is_not_shown() -> None:
    failed = {
        "EventType": "TaskFailed",
        "FunctionName": "send_confirmation",
        "ScheduledTime": at(0),
        "Timestamp": at(1),
        "Reason": "ada@example.com could not be spoken to",
    }
    (attempt,) = attempts([failed])
    assert (attempt.result, attempt.reason) == ("failed", None)


@pytest.mark.parametrize(
    "entry", [{}, {"EventType": "TaskCompleted"}, {"EventType": "TaskCompleted", "FunctionName": 7}]
)
def test_an_entry_that_is_no_attempt_is_left_out(entry: dict[str, Any]) -> None:
    assert attempts([entry]) == []


def test_a_result_that_is_a_text_is_read_too() -> None:
    entry = ended("validate_order", 0, 1) | {"Result": '{"kind": "refused", "reason": "unknown_sku"}'}
    assert attempts([entry])[0].reason == "unknown_sku"


def test_what_lies_between_two_attempts_is_shown_as_a_wait() -> None:
    done = attempts([ended("refund_payment", 0, 1, kind="unknown"), ended("refund_payment", 3, 4, kind="done")])
    (wait,) = waits(record("compensating"), done)
    assert (wait.reason, wait.since, wait.until) == ("retry", done[0].ended_at, done[1].started_at)


def test_a_parked_order_waits_for_its_operator_until_now() -> None:
    done = attempts([ended("close_order", 0, 1, kind="final", outcome={"status": "needs_attention"})])
    (wait,) = waits(record("needs_attention"), done)
    assert (wait.reason, wait.until) == ("operator", None)


def test_an_ended_order_waits_for_nothing() -> None:
    done = attempts([ended("close_order", 0, 1, kind="final", outcome={"status": "completed"})])
    assert waits(record("completed"), done) == []


def test_between_attempts_the_next_retry_is_due_and_during_one_its_deadline() -> None:
    timers = [{"EventType": "TimerCreated", "FireAt": at(20)}, {"EventType": "TimerCreated", "FireAt": at(8)}]
    tried = ended("refund_payment", 0, 1, kind="unknown")
    running = {"EventType": "TaskScheduled", "FunctionName": "refund_payment", "Timestamp": at(2)}
    for history, kind in (([tried, *timers], "retry"), ([tried, *timers, running], "deadline")):
        next_due = due(record("compensating"), history, attempts(history), START + timedelta(seconds=2))
        assert next_due == Due(kind, START + timedelta(seconds=8))


def test_a_timer_of_the_past_and_an_ended_order_have_nothing_due() -> None:
    timers = [{"EventType": "TimerCreated", "FireAt": at(8)}]
    assert due(record("compensating"), timers, [], START + timedelta(seconds=9)) is None
    assert due(record("completed"), timers, [], START) is None


def test_an_approval_is_due_at_its_deadline() -> None:
    approval = Approval(deadline=START + timedelta(days=3), total=TOTAL)
    assert due(record("awaiting_approval", approval=approval), [], [], START) == Due("approval", approval.deadline)


def test_an_effect_is_shown_with_its_key_and_the_provider_s_reference() -> None:
    effects = references(record(payment_intent_id="pi_1", refund_id="re_1", tracking_number="P0"))
    assert effects["process_payment"] == {"key": "order-1:pay", "reference": "pi_1"}
    assert effects["refund_payment"] == {"key": "order-1:refund", "reference": "re_1"}
    assert effects["create_shipment"] == {"key": "order-1:ship", "reference": "P0"}
    assert effects["reserve_inventory"] == {"key": "order-1:reserve"}


@pytest.mark.parametrize(
    ("text", "microseconds"), [("2026-11-26T09:30:00Z", 0), ("2026-11-26T09:30:00.1234567Z", 123456)]
)
def test_the_history_s_times_may_have_seven_digits_or_none(text: str, microseconds: int) -> None:
    assert time_of(text) == START.replace(microsecond=microseconds)


def test_what_is_no_time_is_none() -> None:
    assert time_of("yesterday") is None and time_of(None) is None
