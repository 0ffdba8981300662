"""`dev.py bench --long-run` in small: what it looks at is there, and what has grown is reported."""

import asyncio
from pathlib import Path

from devtools.bench.real_orders.long_run import LongRun, Process, long_run, loud_lines


def test_real_orders_of_each_kind_end_as_they_are_to_without_a_loud_log_line() -> None:
    run = asyncio.run(long_run(orders=30, first=10))
    assert run.loud == []
    assert {"devhost", "worker"} <= run.first.keys() == run.last.keys()
    assert all(process.mb > 10 and process.descriptors > 3 for process in run.last.values())


def test_a_memory_that_grows_descriptors_that_stay_open_and_a_loud_log_are_reported() -> None:
    first = {"devhost": Process(100, 40), "worker": Process(100, 40)}
    last = {"devhost": Process(121, 40), "worker": Process(119, 45)}
    run = LongRun(5000, 300, first, last, ["WARNING urllib3: Connection pool is full"])
    assert sorted(run.shortfalls()) == [
        "devhost took 1.21 times the memory",
        "the log says: WARNING urllib3: Connection pool is full",
        "worker held 5 more descriptors",
    ]
    assert LongRun(5000, 300, first, first, []).shortfalls() == []


def test_a_worker_that_was_replaced_is_reported() -> None:
    first, last = {"worker": Process(100, 40)}, {"worker1": Process(100, 40)}
    assert "other processes run" in LongRun(5000, 300, first, last, []).shortfalls()[0]


def test_a_loud_line_is_one_of_a_warning_or_worse(tmp_path: Path) -> None:
    log = tmp_path / "devhost.log"
    log.write_text("2026 INFO    app: fine\n2026 WARNING app: not so\nTraceback (most recent call last):\n")
    assert len(loud_lines(log)) == 2
