"""A small chaos run of a fixed seed: what `dev.py proof` does a thousand times, with the first two manners of death."""

import re
from pathlib import Path

from devtools.places import ROOT
from devtools.processes.ports import PORTS_IN_A_ROW
from devtools.product.talk import Follower
from tests.proof.crashes.chaos import RAISED, Chaos
from tests.support.servers import FreePorts


def test_a_function_that_raised_is_found_in_the_lines_of_start(tmp_path: Path) -> None:
    """Its caller gets an empty 500, which the customers of the run take for a worker that died."""
    log = tmp_path / "devhost.log"
    news = Follower(log, 0)
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "devhost").rglob("*.py")]
    (words,) = re.findall(r'log\.error\("(The function .*? raised:)', "".join(sources))
    log.write_text(
        f"2026-01-01 00:00:00,000 ERROR devhost: {words % 'place_order'}\nTypeError: none\n", encoding="utf-8"
    )
    assert RAISED.findall("\n".join(news.news())) == ["The function 'place_order' raised"]


def test_orders_among_faults_and_kills_leave_all_witnesses_in_agreement(ports: FreePorts, tmp_path: Path) -> None:
    report = Chaos(tmp_path, ports(PORTS_IN_A_ROW), orders=16, seed=11, deaths=2).run()
    assert report.violations == [], report.as_table()
    assert report.kills.total() == 2, report.as_table()
    assert report.worker_kills >= 2, report.as_table()
    assert report.faults.total() >= 3, report.as_table()
    assert report.outcomes.total() == 16, report.as_table()
    assert report.samples >= 5, report.as_table()
