"""The bench runs and reports what it measured. How fast anything is, no test says."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from devhost.history.events import Row
from devhost.storage.http_client import StorageHttp
from devtools.bench.floor import TablesFloor
from devtools.bench.real_orders import against, table
from devtools.bench.real_orders import loads as loads_table
from devtools.bench.stage import Load
from tests.devhost.support.hosts import ROOT, Devhost
from tests.support.servers import Azurite


def test_the_bench_measures_all_that_it_names_and_an_order_takes_nine_requests_at_most(tmp_path: Path) -> None:
    written, drawn = tmp_path / "bench.json", tmp_path / "bench.svg"
    command = [sys.executable, "-m", "devtools.bench", "--quick", "--json", str(written), "--plot", str(drawn)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(written.read_text(encoding="utf-8"))
    for name in ("floor", "saga", "twin"):
        assert set(figures["loads"][name]) == {"1", "16", "64"}
        assert all(load["per_second"] > 0 for load in figures["loads"][name].values())
    assert 7 < figures["requests_per_order"] <= 9
    assert "a chain of 100" in done.stdout and "a ratio of" in done.stdout
    assert drawn.read_text(encoding="utf-8").startswith("<svg")


def test_two_sides_are_compared_round_by_round_and_the_median_ratio_counts() -> None:
    rounds = [(20.0, 10.0), (9.0, 3.0), (4.0, 1.0)]  # the machine became slower, and it was so for both
    loads = [[Load(16, rate, [1 / rate], {"worker": 1000 / rate}) for rate in each] for each in rounds]
    pairs = {loads_table.AGAINST_BASE[1]: [table.Pair(*each) for each in loads]}
    (row,) = table.as_json(pairs)
    assert row["ratios"]["rate"] == 3.0
    assert (row["ratios"]["cpu"], row["ratios"]["p50"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    line = table.table("this / 5d87d76", pairs).splitlines()[-1]
    assert line.split()[:3] == ["one", "line", "16"]
    compared = "9.0 / 3.0 3.00 111 / 333 0.33 111 / 333 0.33 111 / 333 111 / 333"
    assert line.split()[3:] == compared.split()
    by_process = table.processes(pairs).splitlines()
    assert by_process[0].split() == ["CPU", "ms", "by", "process", "at", *table.PROCESSES]
    assert by_process[1].split()[3:6] == ["111.1", "/", "333.3"], "the workers"


@pytest.mark.parametrize("row", [*loads_table.AGAINST_BASE, *loads_table.ALONE], ids=lambda row: row.name)
def test_a_row_of_loads_names_sides_that_are_started(row: loads_table.Row) -> None:
    of_start, in_memory = (
        set(loads_table.WORKERS),
        {loads_table.EMPTY, loads_table.FULL, loads_table.FLOOR, loads_table.LEAST},
    )
    assert {row.one.side, row.other.side} <= (of_start if row in loads_table.AGAINST_BASE else in_memory)
    assert row.orders >= row.at_once


def test_a_commit_is_checked_out_into_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"],
    ):
        (tmp_path / "dev.py").write_text("# of that commit\n", encoding="utf-8")
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(against, "ROOT", tmp_path)
    folder = against.checked_out("HEAD")
    (tmp_path / "dev.py").write_text("# of now\n", encoding="utf-8")
    assert folder == against.checked_out("HEAD")
    assert (folder / "dev.py").read_text(encoding="utf-8") == "# of that commit\n"


def test_the_floor_writes_the_rows_that_an_order_leaves(azurite: Azurite, new_host: Callable[..., Devhost]) -> None:
    host = new_host(app=ROOT / "devtools" / "bench" / "app", settings={"BENCH_HUB": "BenchHub"}, hub="BenchHub").start()
    assert host.post(host.api("/orchestrators/saga?timeout=60&pollingInterval=1")).status == 200
    by_order = rows_of(azurite, "BenchHub")
    asyncio.run(one_order_of_the_floor(azurite, "Floor"))
    by_floor = rows_of(azurite, "Floor")
    assert [shape(row) for row in by_floor] == [shape(row) for row in by_order]


async def one_order_of_the_floor(azurite: Azurite, hub: str) -> None:
    async with StorageHttp() as http:
        floor = TablesFloor(azurite.connection_string, http, hub)
        await floor.create()
        await floor.order()


def rows_of(azurite: Azurite, hub: str) -> list[Row]:
    with TableServiceClient.from_connection_string(azurite.connection_string) as client:
        tables = [client.get_table_client(f"{hub}{name}") for name in ("Instances", "History")]
        return [dict(row) for table in tables for row in table.list_entities()]


def shape(row: Row) -> dict[str, object]:
    """What does not differ between two orders: columns, types, short values; of the rest the length."""
    return {column: len(str(value)) if is_its_own(column, value) else value for column, value in row.items()}


def is_its_own(column: str, value: object) -> bool:
    return isinstance(value, datetime) or column in ("PartitionKey", "ExecutionId", "OrchestrationInstance")
