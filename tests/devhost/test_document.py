"""docs/devhost.md promises what the tests keep: each tick of its table names a test that is there."""

import re
from pathlib import Path

from tests.devhost.hosts import ROOT

ROW = re.compile(r"^\| (?P<feature>[^|]+) \| (?P<tick>✓|no) \| (?P<case>\w*) ?\|$", re.MULTILINE)


def test_every_tick_of_the_table_of_features_has_its_test() -> None:
    rows = ROW.findall((ROOT / "docs" / "devhost.md").read_text(encoding="utf-8"))
    written = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    there = set(re.findall(r"^def (test_\w+)\(", written, re.MULTILINE))
    assert len(rows) > 25
    assert {case for _, tick, case in rows if tick == "✓"} <= there
    assert {case for _, tick, case in rows if tick == "no"} == {""}
