"""Every place of a document that lists the steps or their undos lists all of them, in the order of the saga.

How many there are is compared in test_figures.py. What no test finds is named in CONTRIBUTING.md, "Add a step".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from devtools.places import ROOT
from models.states import CLOSE_ORDER, COMPENSATION_NAMES, HELD, OPERATIONS, STEP_NAMES, UNDOES
from models.view import REASONS_FOR_CUSTOMERS
from orchestrators import steps
from tests.support.documents import examples, rows, text_of
from tests.support.steps import statuses_at, undos_after

ACTIVITIES = [*STEP_NAMES, CLOSE_ORDER]
UNDO_WORDS = [undo.partition("_")[0] for undo in COMPENSATION_NAMES]
pytestmark = pytest.mark.remedy('"Add a step" in CONTRIBUTING.md says what each document has of a step.')
# Refusals of an activity that no customer and no view is shown: the order is being undone, or has been sold.
NOT_SHOWN = {"already_undone", "already_sold", "wrong_signature"}
# A view shows these reasons. The customer's page and the cancellation mail have no sentence for them.
WITHOUT_A_SENTENCE = {
    *("mixed_currencies", "currency_not_supported", "invalid_charge_amount", "amount_too_small", "amount_too_large"),
    *("payment_method_invalid", "payment_canceled", "approval_rejected", "approval_expired"),
    *("already_released", "label_voided"),
}


@pytest.mark.parametrize(
    ("document", "heads", "names"),
    [
        ("docs/architecture.md", "After", ACTIVITIES),
        ("docs/http-api.md", "Step", list(STEP_NAMES)),
        ("docs/scale.md", "Activity", ACTIVITIES),
        ("docs/decisions/0039-what-is-left-to-the-next-write.md", "Activity", ACTIVITIES),
    ],
)
def test_a_table_has_a_row_for_each_activity_in_order(document: str, heads: str, names: list[str]) -> None:
    quoted = [name for row in rows(document, heads) for name in re.findall(r"`(\w+)`", " ".join(row[:2]))]
    assert [name for name in quoted if name in ACTIVITIES] == names


def test_the_readme_lists_the_steps_as_the_saga_has_them() -> None:
    named = [step for step in vars(steps).values() if isinstance(step, steps.Step)]
    in_order = [step for step in named if step != steps.CLOSE_ORDER]
    listed = rows("README.md", "Step | Activity")
    assert len(listed) == len(in_order)
    for step, (_, activity, undo, operation, deadline) in zip(in_order, listed, strict=True):
        assert activity == f"`{step.activity}`"
        assert undo.startswith(f"`{step.undo}`" if step.undo else "none: ")
        assert operation == f"`{step.operation_id('<order id>')}`"
        assert deadline == f"{step.deadline_s:.0f} s"


def test_the_drawing_of_the_path_has_each_step_and_each_undo_in_order() -> None:
    text = text_of("docs/architecture.md")
    assert " ──> ".join([*OPERATIONS.values(), "close: completed"]) in text
    assert " <─ ".join(reversed(UNDO_WORDS)) in text


def test_the_picture_has_a_box_for_each_step_and_each_undo_in_order() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "order-saga.svg").getroot()
    texts = picture.iter("{http://www.w3.org/2000/svg}text")
    from_the_left = [text.text for text in sorted(texts, key=lambda text: float(text.attrib["x"]))]
    for words in (list(OPERATIONS.values()), UNDO_WORDS[::-1]):
        assert [text for text in from_the_left if text in words] == words
    assert f"in order: {', '.join(OPERATIONS.values())}." in " ".join(text_of("docs/order-saga.svg").split())


View = dict[str, Any]


def views() -> Iterator[tuple[str, View, View | None]]:
    """The answers of the examples that are an order, and why it failed: a later answer may leave that out."""
    failures: dict[str, View | None] = {}
    for example in examples():
        answer = json.loads(example.answer)
        if isinstance(answer, dict) and "compensations" in answer:
            failure = failures.setdefault(answer["order_id"], answer.get("failure"))
            yield example.title, answer, failure


@pytest.mark.parametrize(
    ("view", "failure"), [pytest.param(view, failure, id=title) for title, view, failure in views()]
)
def test_an_order_of_an_example_has_each_step_and_each_undo_in_order(view: View, failure: View | None) -> None:
    """An undo that is open leaves its step `done`; an order without a failure has every step done."""
    undone = {entry["name"]: entry["status"] for entry in view["compensations"]}
    assert list(undone) == (undos_after(failure["step"]) if failure else [])
    if "steps" in view:
        still_done = dict.fromkeys([UNDOES[undo] for undo, status in undone.items() if status == "failed"], "done")
        expected = {**statuses_at(failure["step"]), **still_done} if failure else dict.fromkeys(STEP_NAMES, "done")
        assert [(step["name"], step["status"]) for step in view["steps"]] == list(expected.items())


def test_the_page_of_operations_has_a_word_for_all_that_a_parked_order_holds() -> None:
    (fields,) = (row for row in rows("docs/operations.md", "Field") if row[0] == "`held`")
    assert [what for what in HELD.values() if f"`{what}`" not in fields[1]] == []


def reasons() -> dict[str, set[str]]:
    return {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows("docs/http-api.md", "Step")}


def test_the_api_s_page_has_each_reason_that_an_activity_refuses_for() -> None:
    sources = (text for room in ("activities", "services") for text in (ROOT / room).rglob("*.py"))
    raised = {why for file in sources for why in re.findall(r'Refused\(\s*"(\w+)"', file.read_text(encoding="utf-8"))}
    assert raised - NOT_SHOWN - set().union(*reasons().values()) == set()


def test_the_customer_s_page_has_a_sentence_for_each_reason_or_says_none_on_purpose() -> None:
    """`REASONS_FOR_CUSTOMERS` of models/view.py, or here `WITHOUT_A_SENTENCE`."""
    shown = set().union(*reasons().values()) - {"decline_code", "skus"}
    assert shown == set(REASONS_FOR_CUSTOMERS) | WITHOUT_A_SENTENCE
