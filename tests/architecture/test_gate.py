"""`.ci/run`: everything on one Python, the fast tests on each other one, and a failure of any of them is the gate's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from devtools.places import ROOT

# As `.ci/run` asks it: whether it can make environments, which version it is, and to run dev.py.
PYTHON = """#!/bin/sh
case "$1 $2" in
  *print*) echo {version};;
  -c*) ;;
  *) shift; echo "{version} $*" >> calls; case "$FAILING" in "{version} $*") exit 1;; esac;;
esac
"""
STYLE, OTHERS, SUITE = "3.11 check --style", {"3.12 check --tests", "3.13 check --tests"}, "3.11 test"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the gate, on a machine that has three Pythons and a browser."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    programs = tmp_path / "bin"
    programs.mkdir()
    versions = {"python3": "3.11", "python3.11": "3.11", "python3.12": "3.12", "python3.13": "3.13"}
    scripts = {name: PYTHON.format(version=version) for name, version in versions.items()}
    for name, script in {**scripts, "chromium": "#!/bin/sh\n"}.items():
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    return tmp_path


def gate(tree: Path, failing: str = "") -> tuple[int, list[str]]:
    """The exit status of the gate while one call fails, and the calls of dev.py."""
    path = f"{tree / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOME": str(tree), "PYENV_ROOT": str(tree), "FAILING": failing}
    status = subprocess.run([tree / ".ci" / "run"], env=environment, capture_output=True, timeout=60, check=False)
    return status.returncode, (tree / "calls").read_text().splitlines()


def test_the_suite_runs_on_one_python_and_the_fast_tests_on_each_other(tree: Path) -> None:
    status, calls = gate(tree)
    assert (status, set(calls), calls[-1]) == (0, {STYLE, *OTHERS, SUITE}, SUITE)
    assert len(calls) == 4


@pytest.mark.parametrize("failing", [STYLE, *sorted(OTHERS)])
def test_a_failure_before_the_suite_is_the_gate_s_and_the_other_checks_end(tree: Path, failing: str) -> None:
    status, calls = gate(tree, failing)
    assert (status, set(calls)) == (1, {STYLE, *OTHERS})


def test_a_red_suite_is_a_red_gate(tree: Path) -> None:
    assert gate(tree, SUITE)[0] == 1
