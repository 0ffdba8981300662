"""The demo's verdict: every promise holds for a good story, and each is seen to be broken when it is."""

import copy
import dataclasses
from typing import Any

import pytest

from devtools.demo.promises import PROMISED_OF_THE_COMPLETED, PROMISED_OF_THE_DECLINED, broken_promises
from devtools.demo.retelling import table
from devtools.demo.story import Story
from tests.support.steps import STEPS, statuses_at, undone_by, undos_after, up_to

STOCK = {"on_hand": 50, "reserved": 0, "available": 50, "price_minor": 12900, "currency": "gbp"}
SOLD = {**STOCK, "on_hand": 48, "available": 48}


def history(*activities: str) -> list[dict[str, Any]]:
    rows = [{"EventType": "OrchestratorStarted"}, {"EventType": "ExecutionStarted"}]
    rows += [{"EventType": "TaskScheduled", "Name": name} for name in activities]
    return [*rows, {"EventType": "ExecutionCompleted"}, {"EventType": "OrchestratorCompleted"}]


def steps(statuses: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "status": status} for name, status in statuses.items()]


ALL_DONE = dict.fromkeys(STEPS, "done")


COMPLETED = Story(
    answered=202,
    runtime_status="Completed",
    view={"status": "completed", "steps": steps(ALL_DONE), "failure": None, "compensations": []},
    stock_before=STOCK,
    stock_after=SOLD,
    ledger=[{"event": "payment_intent.succeeded", "amount_minor": 25800}],
    messages=[{"kind": "email"}, {"kind": "push"}],
    labels=["labels/1.pdf"],
    history=history(*STEPS, "close_order"),
)
CALLED = up_to("process_payment")
DECLINED = Story(
    answered=202,
    runtime_status="Completed",
    view={
        "status": "compensated",
        "steps": steps(statuses_at("process_payment")),
        "failure": {"step": "process_payment", "reason": "card_declined"},
        "compensations": [{"name": name, "status": status} for name, status in undone_by("process_payment")],
    },
    stock_before=STOCK,
    stock_after=STOCK,
    ledger=[{"event": "charge.failed", "amount_minor": 25800}],
    messages=[{"kind": "email"}],
    labels=[],
    history=history(*CALLED, *undos_after("process_payment"), "close_order"),
)


def test_a_good_story_breaks_no_promise() -> None:
    assert broken_promises(COMPLETED, PROMISED_OF_THE_COMPLETED) == []
    assert broken_promises(DECLINED, PROMISED_OF_THE_DECLINED) == []


PAID = {"event": "payment_intent.succeeded", "amount_minor": 25800}


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"answered": 200}, "the order was accepted with 202"),
        ({"runtime_status": "Failed"}, "its orchestration completed"),
        ({"history": []}, "its history begins and ends"),
        ({"stock_after": {**SOLD, "reserved": 2}}, "no unit of it is still reserved"),
        ({"stock_after": STOCK}, "stock fell by what was bought"),
        ({"ledger": [PAID, PAID]}, "one payment, of the catalogue's price"),
        ({"ledger": [{**PAID, "amount_minor": 1}]}, "one payment, of the catalogue's price"),
        ({"ledger": [PAID, {**PAID, "event": "refund.succeeded"}]}, "nothing was refunded"),
        ({"labels": []}, "one label"),
        ({"messages": [{"kind": "email"}] * 2}, "one mail and one push"),
        ({"view": {}}, "the customer sees it completed"),
    ],
)
def test_a_promise_to_a_completed_order_is_seen_to_be_broken(change: dict[str, Any], broken: str) -> None:
    story = dataclasses.replace(COMPLETED, **change)
    assert broken in broken_promises(story, PROMISED_OF_THE_COMPLETED)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"stock_after": SOLD}, "stock is back where it was"),
        ({"ledger": [PAID]}, "the money taken is nil"),
        ({"ledger": []}, "the provider declined the charge"),
        ({"labels": ["labels/1.pdf"]}, "no label, no push, and one mail that says how it ended"),
        ({"messages": [{"kind": "email"}, {"kind": "push"}]}, "no label, no push, and one mail that says how it ended"),
        (
            {"history": history(*CALLED, "close_order")},
            "the undo ran after the refused step, then close_order",
        ),
    ],
)
def test_a_promise_about_a_declined_card_is_seen_to_be_broken(change: dict[str, Any], broken: str) -> None:
    story = dataclasses.replace(DECLINED, **change)
    assert broken in broken_promises(story, PROMISED_OF_THE_DECLINED)


@pytest.mark.parametrize(
    ("part", "value", "broken"),
    [
        ("status", "completed", "the customer sees it compensated"),
        ("failure", None, "the customer sees that the card was declined"),
        ("steps", steps(ALL_DONE), "the steps show it"),
        ("compensations", [], "the completed steps were undone, in reverse"),
    ],
)
def test_a_wrong_view_of_a_declined_card_breaks_its_promise(part: str, value: object, broken: str) -> None:
    view = {**copy.deepcopy(DECLINED.view), part: value}
    story = dataclasses.replace(DECLINED, view=view)
    assert broken_promises(story, PROMISED_OF_THE_DECLINED) == [broken]


def test_a_table_has_its_columns_under_each_other() -> None:
    assert table(("a", "bb"), [(1, None), ("long", 22)]) == "a     bb\n1\nlong  22"
    assert table(("a", "bb"), []) == "none"
