"""The whole proof, `dev.py proof --orders N --seed S`: judges, both APIs, chaos, mutants; 1 on any finding.

    python -m tests.proof --orders 1000 --seed 7 [--json FILE] [--chaos-only]

The judges (model, crash matrix, late effects, concurrency) come first, because they are quick and say more precisely
what is wrong; then the chaos run; then the mutants, which show that all of these can turn red.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from devtools.places import ROOT
from devtools.printing import say
from devtools.processes.ports import free_ports_in_a_row
from tests.proof.crashes.chaos import Chaos
from tests.proof.options import parse
from tests.proof.report import Report

# A run of this size has room for all of it: so many deaths by SIGKILL, and each kind of fault.
LARGE = 1000
KILLS_OF_A_LARGE_RUN = 100
API_DOCUMENT = ("-q", "tests/e2e/api/test_api_conformance.py", "--api-examples", "300", "--timeout", "3600")
DURABLE_API = ("-q", "-n2", "tests/devhost/http/test_hostile_values.py", "--api-values", "1000", "--timeout", "3600")
MUTANTS = ("tests.proof.mutants", "--jobs", "2")
NO_JUDGES = ("--deselect", "tests/proof/crashes/test_chaos.py", "--ignore", "tests/proof/test_mutants.py")
JUDGES = ("-q", "tests/proof", "--concurrent-orders", "200", *NO_JUDGES)


def main() -> int:
    options = parse()
    summary: dict[str, Any] = {}
    failed = []
    if not options.chaos_only and not _passes("judges", [sys.executable, "-m", "pytest", *JUDGES], summary):
        failed.append("a judge")
    if not options.chaos_only and not _passes("API document", [sys.executable, "-m", "pytest", *API_DOCUMENT], summary):
        failed.append("the API document")
    if not options.chaos_only and not _passes("Durable API", [sys.executable, "-m", "pytest", *DURABLE_API], summary):
        failed.append("the Durable API")
    report = _chaos(options.orders, options.seed)
    summary["chaos"] = report.as_json()
    say("\n" + report.as_table())
    failed += [f"{len(report.violations)} violations"] if report.violations else []
    failed += report.shortfalls(KILLS_OF_A_LARGE_RUN) if options.orders >= LARGE else []
    if not options.chaos_only and not _passes("mutants", [sys.executable, "-m", *MUTANTS], summary):
        failed.append("a mutant")
    summary["failed"] = failed
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    proved = "Nothing was found." if options.chaos_only else "Proved."
    say(f"\nNot proved: {', '.join(failed)}." if failed else f"\n{proved}")
    return 1 if failed else 0


def _passes(name: str, command: list[str], summary: dict[str, Any]) -> bool:
    since = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    summary[name] = {"passed": status == 0, "seconds": round(time.monotonic() - since)}
    return status == 0


def _chaos(orders: int, seed: int) -> Report:
    """Its data is kept when something was found, to look into."""
    folder = Path(tempfile.mkdtemp(prefix="order-saga-proof-"))
    report = Chaos(folder, free_ports_in_a_row(), orders, seed).run()
    if report.violations:
        say(f"The data and the logs of this run are in {folder}")
    else:
        shutil.rmtree(folder)
    return report


if __name__ == "__main__":
    sys.exit(main())
