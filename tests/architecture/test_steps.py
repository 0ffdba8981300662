"""A step and its undo have a place in every table that lists them, and in every page that shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from api.tracking import STAGES
from devtools.places import ROOT
from models.states import CLOSE_ORDER, COMPENSATION_NAMES, HELD, MONEY, OPERATIONS, STEP_NAMES, UNDOES, VALIDATE_ORDER
from orchestrators import steps
from tests.e2e.outcomes import test_failing_steps
from tests.proof.crashes import test_crash_matrix
from tests.replay import scenarios


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
    assert set(words_of("actions.js", table)) == set(COMPENSATION_NAMES)


def test_what_a_parked_order_holds_has_a_word_for_each_undo() -> None:
    """In alerts, and in the dashboard, which shows the amount of the money."""
    assert tuple(HELD) == COMPENSATION_NAMES, "models/states.py: HELD has a row for each of COMPENSATION_NAMES"
    assert words_of("page.js", "HELD") == {undo: what for undo, what in HELD.items() if what != MONEY}


def words_of(script: str, table: str) -> dict[str, str]:
    """The rows of a table of words in a script of the dashboard."""
    text = (ROOT / "api" / "static" / script).read_text(encoding="utf-8")
    return dict(re.findall(r'^  (\w+): "(.*)",$', text.partition(f"const {table} = {{")[2].partition("}")[0], re.M))


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("LEFT in tests/replay/scenarios.py", scenarios.LEFT),
        ("BARRIERS in tests/proof/crashes/test_crash_matrix.py", test_crash_matrix.BARRIERS),
        (
            "DOWN and UNDONE_LATE in tests/e2e/outcomes/test_failing_steps.py",
            [*test_failing_steps.DOWN, *test_failing_steps.UNDONE_LATE],
        ),
        (
            "LOST and UNDONE_LATE in tests/e2e/outcomes/test_failing_steps.py",
            [*test_failing_steps.LOST, *test_failing_steps.UNDONE_LATE],
        ),
    ],
)
def test_each_step_and_each_undo_is_made_to_fail(table: str, rows: Iterable[str]) -> None:
    tried = {re.split(r"[-,]", row)[0] for row in rows} - {CLOSE_ORDER}
    assert tried == {*STEP_NAMES, *COMPENSATION_NAMES}, f"{table}: a row for each step and each undo"
