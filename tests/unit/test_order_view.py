"""What the API tells of an order: the saga's view, and what the record has beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from models.order_parts import Line
from models.order_record import OrderRecord
from models.view import OrderView, detailed, fresh_view, view_of
from reconciliation.sweep import parked_view
from tests.support.steps import ALL_UNDOS, STEPS
from tests.unit.orders import running_order

NINE = datetime(2026, 1, 1, 9, 0, 7, 900_000, tzinfo=UTC)


def shown(order: OrderRecord) -> dict[str, Any]:
    return detailed(view_of(order, None), order).as_json()


def test_the_records_facts_stand_beside_the_view() -> None:
    order = running_order(charged_minor=25800, refunded_minor=800, tracking_number="ABC", ended_at=NINE)
    view = shown(order)
    assert view.items() >= view_of(order, None).as_json().items()
    assert view["accepted_at"] == "2026-01-01T12:00:00Z"
    assert view["ended_at"] == "2026-01-01T09:00:07Z"
    assert view["payment"] == {"charged_minor": 25800, "refunded_minor": 800}
    assert view["tracking_number"] == "ABC"
    assert view["lines"] == [{"sku": "CRUNCHY-ARMCHAIR", "quantity": 2, "price_minor": 12900}]


def test_lines_have_no_price_before_validation() -> None:
    order = running_order(state="accepted", lines=(), total=None)
    assert shown(order)["lines"] == [{"sku": "CRUNCHY-ARMCHAIR", "quantity": 2, "price_minor": None}]


def test_priced_lines_outlive_the_personal_data() -> None:
    lines = (Line(sku="LAMP", quantity=1, price_minor=5),)
    assert shown(running_order(state="completed", sent="", lines=lines))["lines"] == [
        {"sku": "LAMP", "quantity": 1, "price_minor": 5}
    ]


def test_erasing_changes_no_view() -> None:
    rejected = running_order(state="rejected", lines=(), total=None)
    assert shown(rejected)["lines"] == []
    assert shown(rejected) == shown(rejected.model_copy(update={"sent": ""}))


def test_what_cannot_be_read_hides_no_order() -> None:
    assert shown(running_order(sent='{"items": 7}', lines=()))["lines"] == []


def test_an_outcome_of_older_code_is_shown_with_the_records_facts() -> None:
    outcome = {"order_id": "order-1", "status": "completed", "steps": [], "compensations": []}
    view = shown(running_order(state="completed", outcome=outcome))
    assert (view["status"], view["ended_at"]) == ("completed", None)
    assert OrderView.model_validate(outcome).as_json().keys() < view.keys()


@pytest.mark.parametrize("state", ["running", "awaiting_approval", "compensating", "needs_attention"])
def test_without_the_saga_s_view_an_order_has_the_state_and_the_total_of_its_record(state: str) -> None:
    view = shown(running_order(state=state))
    assert (view["status"], view["total"]) == (state, {"amount_minor": 25800, "currency": "gbp"})


def test_a_parked_order_shows_the_undos_that_wait_whatever_its_saga_last_said() -> None:
    outcome = parked_view(running_order()).as_json()
    order = running_order(state="needs_attention", outcome=outcome)
    assert view_of(order, fresh_view("order-1", "running").as_json()).as_json()["compensations"] == [
        {"name": name, "status": "failed"} for name in ALL_UNDOS
    ]


def test_a_refusal_keeps_its_code_and_its_skus() -> None:
    failure = {"step": "validate_order", "reason": "unknown_sku", "skus": ["LAMP"]}
    outcome = {**fresh_view("order-1", "rejected").as_json(), "failure": failure}
    assert shown(running_order(state="rejected", outcome=outcome))["failure"] == failure


def test_nothing_of_the_customer_is_shown() -> None:
    assert not {"Ada", "ada@example.com", "pm_card_visa", "London"} & set(str(shown(running_order())).split("'"))


def test_an_order_that_is_cancelled_at_its_approval_was_validated() -> None:
    outcome = fresh_view("order-1", "cancelled").as_json()
    priced = shown(running_order(state="cancelled", cancel_requested=True, outcome=outcome))
    expected = {**dict.fromkeys(STEPS, "pending"), "validate_order": "done"}
    assert {step["name"]: step["status"] for step in priced["steps"]} == expected
    unpriced = shown(running_order(state="cancelled", cancel_requested=True, outcome=outcome, lines=(), total=None))
    assert {step["status"] for step in unpriced["steps"]} == {"pending"}


def test_a_validation_that_refused_is_shown_so() -> None:
    outcome = fresh_view("order-1", "rejected").as_json()
    outcome["steps"][0]["status"] = "refused"
    assert shown(running_order(state="rejected", outcome=outcome))["steps"] == outcome["steps"]
