"""What steps leave to the next write: each fact once, and none over a later one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from activities.order_notes import close_and_claim, together, with_notes
from models.messages import Note
from models.money import Total
from models.order_record import Change, OrderRecord, claim_confirmation, note_charged
from models.view import fresh_view

EARLIER = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOTAL = Total(amount_minor=25800, currency="gbp")


def record(**facts: Any) -> OrderRecord:
    fields = {"order_id": "order-1", "state": "running", "body_hash": "0", "accepted_at": EARLIER, "sent": "{}"}
    return OrderRecord.model_validate({**fields, "total": TOTAL, **facts})


def note(event: str, value: str = "") -> Note:
    return Note(event=event, at=EARLIER, value=value)


def events(change: Change | None) -> list[str]:
    return [each.event for each in change.each] if change else []


ALREADY: dict[str, tuple[dict[str, Any], Note]] = {
    "reserved": ({"goods": "reserved"}, note("goods_reserved")),
    "sold since": ({"goods": "sold"}, note("goods_reserved")),
    "released since": ({"goods": "released"}, note("goods_reserved")),
    "released": ({"goods": "released"}, note("goods_released")),
    "labelled": ({"tracking_number": "TRACK"}, note("label_issued", "TRACK")),
    "sent": ({"confirmation": "sent"}, note("confirmation_sent")),
    "never claimed": ({}, note("confirmation_sent")),
    "a later version's": ({}, note("parcel_weighed", "2 kg")),
}


@pytest.mark.parametrize("case", ALREADY)
def test_a_note_that_the_record_is_past_is_not_written(case: str) -> None:
    facts, late = ALREADY[case]
    assert events(with_notes(record(**facts), [late], note_charged)) == ["payment_charged"]


def test_notes_come_before_the_change_that_writes_them_with_their_own_time() -> None:
    change = with_notes(record(), [note("goods_reserved"), note("label_issued", "TRACK")], note_charged)
    assert change is not None
    assert [(each.event, each.at) for each in change.each] == [
        ("goods_reserved", EARLIER),
        ("label_issued", EARLIER),
        ("payment_charged", None),
    ]


def test_notes_are_written_also_when_the_rule_itself_has_nothing_to_write() -> None:
    assert events(with_notes(record(cancel_requested=True), [note("goods_reserved")], claim_confirmation)) == [
        "goods_reserved"
    ]
    assert with_notes(record(cancel_requested=True), [], claim_confirmation) is None


def test_a_rule_sees_the_record_with_its_notes() -> None:
    change = with_notes(
        record(confirmation="sending"), [note("confirmation_sent")], close_and_claim, ended("completed"), 0
    )
    assert events(change) == ["confirmation_sent", "closed"]


@pytest.mark.parametrize("status", ["compensated", "cancelled"])
def test_the_end_of_an_undone_order_claims_its_mail_in_the_same_write(status: str) -> None:
    assert events(close_and_claim(record(), ended(status), 0)) == ["closed", "farewell_claimed"]


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        ("completed", {}),
        ("needs_attention", {}),
        ("compensated", {"total": None}),
        ("compensated", {"sent": ""}),
        ("compensated", {"cancellation_notice": "claimed"}),
    ],
)
def test_nobody_else_is_mailed(status: str, facts: dict[str, Any]) -> None:
    assert events(close_and_claim(record(**facts), ended(status), 1)) == ["closed"]


def test_changes_become_one_write_in_their_order() -> None:
    one, other, third = Change("one", {"goods": "reserved"}), Change("other", {}), Change("third", {})
    assert events(together(together(one, None, other), third)) == ["one", "other", "third"]
    assert together(None, None) is None


def ended(status: Any) -> dict[str, Any]:
    return fresh_view("order-1", status).as_json()
