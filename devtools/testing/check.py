"""`python3 dev.py check`: format, lint, types and the fast tests, all at the same time.

The fast tests start no server. They run in two processes of about the same length, each with files of its own: workers
of xdist would import each test module twice. Tests that are marked `slow` run in `dev.py test` only.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from devtools.places import VENV, Word, python_of
from devtools.printing import say
from devtools.processes import signals
from devtools.processes.programs import end, launch
from devtools.testing.check_arguments import parse

# Plugins of pytest that no fast test uses, and that take a second to import.
WITHOUT = ("-p", "no:schemathesis", "-p", "no:xdist")
PYTEST = ("-m", "pytest", "-q", "--tb=short", "-m", "not slow", *WITHOUT)
STORED = ("tests/replay/test_saga_histories.py", "tests/replay/test_stored_rows.py")
PROOF = ("tests/proof/test_mutants.py", "tests/proof/test_rule_table.py", "tests/proof/model/test_sweep_in_memory.py")
STYLE = (
    ("format", ("-m", "ruff", "format", "--check", ".")),
    ("lint", ("-m", "ruff", "check", ".")),
    ("types", ("-m", "mypy")),
)
TESTS = (
    ("tests of the code", (*PYTEST, "tests/unit")),
    (
        "tests of the structure and of what is stored",
        (*PYTEST, "tests/architecture", "tests/deployment", *STORED, *PROOF),
    ),
)
REMEDY = "What to do: "


class Running(NamedTuple):
    """One running check."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def log_lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()


def main(words: Sequence[str]) -> int:
    """Run all checks, also after one has failed, so that one run shows every fault."""
    options = parse(words)
    checks = (() if options.tests else STYLE) + (() if options.style else TESTS)
    signals.listen()
    since = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="order-saga-check-") as folder:
        running = [_started(name, command, Path(folder) / f"{name}.log") for name, command in checks]
        try:
            failed = _failed(running)
        except signals.Interrupted:
            return 130
        finally:
            for check in running:
                end(check.process, patience=5)
        remedies = [line for check in failed for line in check.log_lines() if line.startswith(REMEDY)]
    took = f"{time.monotonic() - since:.0f} s"
    say(
        "\n".join([*remedies, f"Failed in {took}: {', '.join(each.name for each in failed)}."])
        if failed
        else f"All checks passed in {took}."
    )
    return 1 if failed else 0


def _started(name: str, words: Sequence[Word], log: Path) -> Running:
    return Running(name, launch([python_of(VENV), *words], log), log)


def _failed(running: Sequence[Running]) -> list[Running]:
    """The failed checks. Each is printed when it ends, a good one as its last line."""
    waiting, failed = list(running), []
    while waiting:
        for check in [each for each in waiting if each.process.poll() is not None]:
            waiting.remove(check)
            lines = check.log_lines()
            if check.process.returncode:
                failed.append(check)
                say("\n".join(["", f"{check.name}: failed", *lines]))
            else:
                say(f"{check.name}: {lines[-1] if lines else 'as it should be'}")
        signals.pause()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
