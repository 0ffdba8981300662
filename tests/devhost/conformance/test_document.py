"""docs/devhost.md promises what the conformance suite keeps: each tick of its tables names cases that are there.

A case is one of test_conformance.py, or a test that is given a devhost by a fixture: the task hub of each of those is
judged in the end, see provider_oracle.py.
"""

import re
from typing import NamedTuple

from tests.devhost.conformance.test_conformance import CASES
from tests.devhost.support.hosts import ROOT

ROW = re.compile(r"^\| (?P<feature>[^|]+) \| (?P<tick>✓|no) \|(?P<cases>[^|]*)\|$", re.MULTILINE)
CASE = re.compile(r"`([^`]+)`|(test_\w+)")
JUDGED = re.compile(r"^def (test_\w+)\((?:[^)]*\W)?(?:host|new_host|proxied): ", re.MULTILINE)


class Feature(NamedTuple):
    name: str
    ticked: bool
    cases: list[str]


def features() -> list[Feature]:
    rows = ROW.findall((ROOT / "docs" / "devhost.md").read_text(encoding="utf-8"))
    return [
        Feature(name, tick == "✓", ["".join(either) for either in CASE.findall(cases)]) for name, tick, cases in rows
    ]


def judged_tests() -> set[str]:
    written = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "devhost").rglob("test_*.py")]
    return {name for text in written for name in JUDGED.findall(text)}


def test_every_tick_of_the_tables_of_features_names_cases_of_the_conformance_suite() -> None:
    known = CASES.keys() | judged_tests()
    assert len(features()) > 35
    assert [feature.name for feature in features() if feature.ticked != bool(feature.cases)] == []
    assert {case for feature in features() for case in feature.cases} - known == set()


def test_every_case_of_the_conformance_suite_stands_behind_one_tick() -> None:
    named = [case for feature in features() for case in feature.cases if not case.startswith("test_")]
    assert sorted(named) == sorted(CASES)
