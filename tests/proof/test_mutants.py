"""Broken rules turn the proof red: here those that the model sees within seconds. All of them: `dev.py proof`.

That the same command is green where nothing is broken is what `test_model.py` itself says in the same run.
"""

from __future__ import annotations

import pytest

from tests.proof import mutants
from tests.proof.mutants import JUDGES, MODEL, Mutant

FAST = ("compensated_although_an_undo_failed", "mail_before_the_shipment")
ROOMS = ("bootstrap.py", "orchestrators/", "activities/", "services/", "models/", "reconciliation/", "api/")
MOST_LINES = 10
every_mutant = pytest.mark.parametrize("mutant", mutants.all_mutants(), ids=lambda mutant: mutant.name)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_the_model_turns_red_when_a_rule_is_broken(name: str) -> None:
    (mutant,) = mutants.chosen([name])
    assert mutant.killers[0].startswith(MODEL)
    assert mutants.kill(mutant).killed_by


@pytest.mark.remedy(
    "A mutant's patch has to fit the code. Run `.venv/bin/python -m tests.proof.rebase_mutants`, and write the others "
    'again: see "Move a file" and "Add a mutant" in CONTRIBUTING.md.'
)
@every_mutant
def test_a_mutant_breaks_one_rule_in_a_few_lines_of_the_app_and_is_judged_by_the_proof(mutant: Mutant) -> None:
    assert mutant.breaks
    assert 0 < len(mutant.changed_lines) <= MOST_LINES
    assert all(path.startswith(ROOMS) for path in mutant.files)
    assert mutant.killers
    assert {killer.split()[0].split("::")[0] for killer in mutant.killers} <= JUDGES
    mutants.check_patch(mutant, mutants.ROOT)
