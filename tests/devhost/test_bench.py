"""The bench runs and tells what it measured. How fast anything is, no test says."""

import json
import subprocess
import sys
from pathlib import Path

from tests.devhost.hosts import ROOT


def test_the_bench_measures_all_that_it_names_and_an_order_takes_nine_requests_at_most(tmp_path: Path) -> None:
    told, drawn = tmp_path / "bench.json", tmp_path / "bench.svg"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(told), "--plot", str(drawn)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(told.read_text(encoding="utf-8"))
    for name in ("floor", "saga", "twin"):
        assert set(figures["loads"][name]) == {"1", "16", "64"}
        assert all(load["per_second"] > 0 for load in figures["loads"][name].values())
    assert 7 < figures["requests_per_order"] <= 9
    assert "a chain of 100" in done.stdout
    assert drawn.read_text(encoding="utf-8").startswith("<svg")
