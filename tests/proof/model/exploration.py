"""All plans of one thing that goes wrong, and what the orders under them end as."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

from tests.proof.model.fates import fates_of
from tests.proof.model.run import Run
from tests.proof.model.scenarios import Scenario
from tests.proof.model.schedule import MAX_TURNS


def singles(scenario: Scenario) -> Iterator[tuple[dict[int, str], int]]:
    """Every plan of one thing that goes wrong, with how late the late arrive."""
    quiet = Run(scenario, {})
    violations = quiet.play()
    assert violations == [], violations
    for number, moment in enumerate(quiet.trace):
        for fate in fates_of(moment):
            for late in (1, MAX_TURNS) if fate in {"late", "overdue"} else (0,):
                yield {number: fate}, late


def explored(scenario: Scenario, every: int = 1) -> tuple[Counter[str], list[str]]:
    """How many orders ended how under all plans (or each of so many), and every violation with its plan."""
    endings, violations = Counter[str](), []
    for plan, late in itertools.islice(singles(scenario), 0, None, every):
        run = Run(scenario, plan, late)
        violations += [f"{violation} ({plan} at {_at(run)}, late {late})" for violation in run.play()]
        endings[run.order.record()["State"]] += 1
    return endings, violations


def _at(run: Run) -> list[str]:
    return [run.trace[number] for number in run.plan if number < len(run.trace)]
