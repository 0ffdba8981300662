"""`python3 dev.py demo`: the tour ends well if every promise was kept. It keeps its folder only if it says so."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.places import ROOT

DEMO = [sys.executable, str(ROOT / "dev.py"), "demo"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """The folder of temporary files that the demo sees. It goes with the test."""
    with tempfile.TemporaryDirectory(prefix="demo-test-") as folder:
        yield Path(folder)


def demo(temporary: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        DEMO,
        env={**os.environ, **settings, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_the_demo_shows_both_orders_with_their_histories_and_ends_with_0(temporary: Path) -> None:
    shown = demo(temporary)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert '"status": "completed"' in shown.stdout
    assert '"status": "compensated"' in shown.stdout
    assert shown.stdout.count("ExecutionStarted") == shown.stdout.count("ExecutionCompleted") == 2
    assert "BROKEN" not in shown.stdout
    assert "Everything is as promised." in shown.stdout
    assert list(temporary.glob("order-saga-demo-*")) == []


def test_the_demo_ends_with_1_and_names_the_broken_promise_and_the_logs_that_it_keeps(temporary: Path) -> None:
    """A shop that does not ship to the buyer cannot complete the first order."""
    shown = demo(temporary, SHIPS_TO="FR")
    assert shown.returncode == 1, shown.stdout + shown.stderr
    assert "BROKEN  the customer sees it completed" in shown.stdout
    assert "Not as promised: an order that goes through: " in shown.stdout
    (logs,) = re.findall(r"The logs are in (.+)\.$", shown.stdout.strip())
    assert (Path(logs) / "devhost.log").is_file()


@pytest.mark.parametrize("heard", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_leaves_nothing_behind(temporary: Path, heard: signal.Signals) -> None:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "with its data in" in running.stdout.readline()
        running.send_signal(heard)
        running.communicate(timeout=90)
    assert running.returncode == 130
    assert list(temporary.glob("order-saga-demo-*")) == []


def test_a_demo_whose_product_does_not_start_names_the_log_that_it_keeps(temporary: Path) -> None:
    shown = demo(temporary, SWEEP_SCHEDULE="never")
    assert shown.returncode == 1
    (log,) = re.findall(rf"\(({re.escape(str(temporary))}/order-saga-demo-.+\.log)\)", shown.stderr)
    assert Path(log).is_file()
