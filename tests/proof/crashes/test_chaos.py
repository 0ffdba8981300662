"""A small chaos run of a fixed seed: what `dev.py proof` does a thousand times, with the first two manners of death."""

from pathlib import Path

from devtools.processes.ports import PORTS_IN_A_ROW
from tests.proof.crashes.chaos import Chaos
from tests.support.servers import FreePorts


def test_orders_among_faults_and_kills_leave_all_witnesses_in_agreement(ports: FreePorts, tmp_path: Path) -> None:
    report = Chaos(tmp_path, ports(PORTS_IN_A_ROW), orders=16, seed=11, deaths=2).run()
    assert report.violations == [], report.as_table()
    assert report.kills.total() == 2, report.as_table()
    assert report.worker_kills >= 2, report.as_table()
    assert report.faults.total() >= 3, report.as_table()
    assert report.outcomes.total() == 16, report.as_table()
    assert report.samples >= 5, report.as_table()
