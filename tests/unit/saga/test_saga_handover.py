"""What an activity leaves, its state and its notes, is given to the next one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.steps import STEPS, undos_after, up_to
from tests.unit.saga.fake_durable_context import (
    CANCELLED,
    DONE,
    FAULT,
    LATE,
    PRICED,
    REFUSED,
    TOTAL,
    UNKNOWN,
    FakeDurableContext,
    waiting,
)

RESERVED = {"event": "goods_reserved", "at": "2026-01-01T00:00:01Z", "value": ""}
BEFORE = up_to("process_payment")[-2]


def left(etag: str | None, *notes: dict[str, str]) -> dict[str, Any]:
    """What an activity leaves, as it stands in the history."""
    return {"notes": list(notes)} if etag is None else {"etag": etag, "notes": list(notes)}


def leaving(left: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**DONE, "left": left, **more}


def lefts(context: FakeDurableContext, activity: str) -> list[dict[str, Any]]:
    return [task["left"] for task in context.tasks[activity]]


def test_what_an_activity_leaves_is_given_to_the_next_one() -> None:
    *first, silent, last = STEPS
    without_notes = ("validate_order", first[-1])
    told = {step: left(step) if step in without_notes else left(step, RESERVED) for step in first}
    context = FakeDurableContext({step: [leaving(told[step], total=TOTAL)] for step in first})
    context.play()
    assert [lefts(context, step) for step in (*first, silent)] == [[left(None)], *([told[step]] for step in first)]
    assert lefts(context, last) == [left(None)], "an activity that left no state"


def test_the_saga_that_the_order_s_own_post_starts_is_given_the_state_that_it_inserted() -> None:
    context = FakeDurableContext({"validate_order": [FAULT, PRICED]}, etag="0")
    context.play()
    assert lefts(context, "validate_order") == [left("0"), left(None)]


@pytest.mark.parametrize("answer", [FAULT, UNKNOWN, LATE, waiting(1)])
def test_a_retry_is_given_the_notes_and_no_guess(answer: Any) -> None:
    context = FakeDurableContext({BEFORE: [leaving(left("1", RESERVED))], "process_payment": [answer, DONE]})
    context.play()
    assert lefts(context, "process_payment") == [left("1", RESERVED), left(None, RESERVED)]


@pytest.mark.parametrize("answer", [REFUSED, CANCELLED, FAULT, UNKNOWN])
def test_what_a_failed_step_may_not_have_written_is_given_to_the_first_undo(answer: Any) -> None:
    undone = {"event": "goods_released", "at": "2026-01-01T00:00:09Z", "value": ""}
    context = FakeDurableContext({BEFORE: [leaving(left("1", RESERVED))], "process_payment": [answer]})
    first, *others = undos_after("process_payment", own=answer != REFUSED)
    context.script.update({undo: [leaving(left(None))] for undo in (first, *others)})
    context.script[[first, *others][-1]] = [leaving(left(None, undone))]
    context.play()
    assert lefts(context, first) == [left(None, RESERVED)]
    assert [lefts(context, undo) for undo in others] == [[left(None)] for _ in others]
    assert lefts(context, "close_order") == [left(None, undone)]
