"""`python3 dev.py demo`: the tour ends well only when every promise was kept."""

import os
import subprocess
import sys

from devtools.places import ROOT


def demo(**settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "dev.py"), "demo"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_the_demo_shows_both_orders_with_their_histories_and_ends_with_0() -> None:
    shown = demo()
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert '"status": "completed"' in shown.stdout
    assert '"status": "compensated"' in shown.stdout
    assert shown.stdout.count("ExecutionStarted") == shown.stdout.count("ExecutionCompleted") == 2
    assert "BROKEN" not in shown.stdout
    assert "Everything is as promised." in shown.stdout


def test_the_demo_ends_with_1_and_names_the_broken_promise() -> None:
    """A shop that does not ship to the buyer cannot complete the first order."""
    shown = demo(SHIPS_TO="FR")
    assert shown.returncode == 1, shown.stdout + shown.stderr
    assert "BROKEN  the customer sees it completed" in shown.stdout
    assert "Not as promised: an order that goes through: " in shown.stdout
