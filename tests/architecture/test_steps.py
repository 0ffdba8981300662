"""A step and its undo have a place in every table that lists them, and in every page that shows them."""

from __future__ import annotations

import pytest

from api.tracking import STAGES
from devtools.places import ROOT
from models.states import COMPENSATION_NAMES, OPERATIONS, STEP_NAMES, UNDOES, VALIDATE_ORDER
from orchestrators import steps


def test_the_tables_of_states_name_the_same_steps_and_undos() -> None:
    assert tuple(OPERATIONS) == STEP_NAMES, (
        "models/states.py: OPERATIONS has a row for each of STEP_NAMES, in its order"
    )
    assert tuple(UNDOES) == COMPENSATION_NAMES, "models/states.py: UNDOES has a row for each of COMPENSATION_NAMES"
    undone = [step for step in STEP_NAMES if step in UNDOES.values()]
    assert list(UNDOES.values()) == undone[::-1], "models/states.py: undos run in the reverse order of their steps"


def test_the_saga_has_these_steps_and_undos() -> None:
    assert tuple(step.activity for step in steps.STEPS) == STEP_NAMES
    assert {step.undo: step.activity for step in steps.STEPS if step.undo} == UNDOES


def test_the_customer_s_page_has_words_for_each_step() -> None:
    """The first line of the page stands for the validation: "We have your order"."""
    assert [name for name, _ in STAGES] == [name for name in STEP_NAMES if name != VALIDATE_ORDER]


@pytest.mark.parametrize("table", ["UNDO_SENTENCES", "DONE_BY_HAND"])
def test_the_dashboard_has_words_for_each_undo(table: str) -> None:
    script = (ROOT / "api" / "static" / "actions.js").read_text(encoding="utf-8")
    rows = script.partition(f"const {table} = {{")[2].partition("}")[0]
    assert [undo for undo in COMPENSATION_NAMES if f"{undo}:" not in rows] == []
