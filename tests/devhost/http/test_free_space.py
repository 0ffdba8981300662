"""A disk without room: nothing new is taken, what is under way goes on, and a refusal names its reason."""

import json
import logging
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from devhost.http.free_space import FreeSpace, LowOnSpace
from devhost.http.responses import Refusal
from devhost.settings import BadSettings
from services import data_folder
from tests.devhost.support.hosts import Devhost, until

Usage = namedtuple("Usage", "total used free")
MB = 1_000_000


def settings(folder: Path, limit: str | None = None) -> dict[str, str]:
    return {"DEVHOST_DATA": str(folder)} | ({} if limit is None else {"DEVHOST_MIN_FREE_MB": limit})


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`disk(250)`: a disk with so many MB free."""

    def has(free_mb: float) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, int(free_mb * MB)))

    return has


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[int], Path]:
    """`saved(100)`: a data folder in which Azurite has saved so many MB."""

    def has(megabytes: int) -> Path:
        (tmp_path / "azurite").mkdir()
        with (tmp_path / "azurite" / "__azurite_db_table__.json").open("wb") as file:
            file.truncate(megabytes * MB)
        return tmp_path

    return has


@pytest.mark.parametrize(
    ("limit", "free_mb", "saved_mb"),
    [(None, 200, 0), ("", 200, 0), ("50", 50, 0), ("50", 150, 100), ("0", 0, 0), ("0", 0, 100)],
)
def test_the_limit_is_above_what_azurite_saves_anew(
    disk: Callable[[float], None], saved: Callable[[int], Path], limit: str | None, free_mb: int, saved_mb: int
) -> None:
    """With so much free there is room; with a byte less there is none. The app's health judges as devhost does."""
    environment = settings(saved(saved_mb), limit)
    disk(free_mb)
    assert (FreeSpace(environment).fault, data_folder.faults(environment)) == (None, [])
    if limit != "0":
        disk(free_mb - 0.000001)
        assert FreeSpace(environment).fault
        assert data_folder.faults(environment)


def test_without_a_folder_nothing_is_watched(disk: Callable[[float], None]) -> None:
    disk(0)
    assert FreeSpace({}).fault is None
    assert data_folder.faults({}) == []


@pytest.mark.parametrize("limit", ["-1", "1.5", "many", "200 MB", "٢٠٠"])
def test_a_limit_that_is_no_number_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(BadSettings, match="DEVHOST_MIN_FREE_MB must be a whole number of MB"):
        FreeSpace(settings(tmp_path, limit))


def test_a_data_folder_that_vanished_is_a_fault_too(tmp_path: Path) -> None:
    environment = settings(tmp_path / "gone", "1")
    assert "cannot be looked at (No such file or directory): put it back" in str(FreeSpace(environment).fault)
    (fault,) = data_folder.faults(environment)
    assert "cannot be looked at (No such file or directory): put it back" in fault


def test_a_change_is_logged_once_and_no_answer_names_a_path(
    tmp_path: Path, disk: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    disk(500)
    space = FreeSpace(settings(tmp_path))
    disk(10)
    for _ in range(3):
        space.look()
    (record,) = caplog.records
    assert (record.levelname, str(tmp_path) in record.message) == ("WARNING", True)
    assert "10 MB free and needs 200 MB" in str(space.fault)
    assert str(tmp_path) not in str(space.fault) + "".join(data_folder.faults(settings(tmp_path)))
    disk(500)
    space.look()
    assert caplog.records[-1].message == "The disk of the data folder has room again: requests are taken as before."
    assert space.fault is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_what_brings_something_new_is_503_and_says_when_to_ask_again(
    tmp_path: Path, disk: Callable[[float], None], method: str
) -> None:
    disk(10)
    with pytest.raises(LowOnSpace) as refused:
        FreeSpace(settings(tmp_path)).check(method)
    answer = refused.value.response()
    assert isinstance(refused.value, Refusal)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert answer.content_type == "application/problem+json"
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["detail"].startswith("The disk of the data folder has 10 MB free")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_what_reads_or_frees_space_is_answered(tmp_path: Path, disk: Callable[[float], None], method: str) -> None:
    disk(10)
    FreeSpace(settings(tmp_path)).check(method)


def test_a_host_that_runs_out_of_space_ends_what_is_under_way_and_takes_nothing_new(
    new_host: Callable[..., Devhost], tmp_path: Path
) -> None:
    """The limit is above what is free from the second start on; a folder of its own makes room again."""
    host = new_host(settings=settings(tmp_path, "1")).start()
    waiting = host.begin("approval", 60)
    host.stop()
    limit = str(shutil.disk_usage(tmp_path).free // MB + 1_000_000)
    host.settings = settings(tmp_path, limit)
    host.start()
    begin = "/api/start/chain", host.api("/orchestrators/chain"), host.api(f"/instances/{waiting}/raiseEvent/answer")
    of_the_client = host.get("/api/address").text
    more = host.api("/entities/counter/a"), "/durabletask/orchestrators/chain", f"{of_the_client}orchestrators/chain"
    replies = [host.post(path, 1) for path in (*begin, *more)]
    assert {(response.status, response.headers["Retry-After"]) for response in replies} == {(503, "30")}
    assert f"needs {limit} MB (DEVHOST_MIN_FREE_MB" in replies[0].json()["detail"]
    assert "Nothing new is taken until then." in host.log
    # A function may still wake what is under way.
    assert host.post(f"{of_the_client}instances/{waiting}/raiseEvent/answer", {"yes": 1}).status == 202
    assert host.finished(waiting)["runtimeStatus"] == "Completed"
    assert host.delete(host.api(f"/instances/{waiting}")).status == 200


def test_room_that_comes_back_is_seen_while_it_serves(new_host: Callable[..., Devhost], tmp_path: Path) -> None:
    host = new_host(settings=settings(tmp_path / "later", "1")).start()
    assert host.post(host.api("/orchestrators/chain"), "1").status == 503
    (tmp_path / "later").mkdir()

    def started() -> str:
        response = host.post(host.api("/orchestrators/chain"), "1")
        return str(response.json()["id"]) if response.status == 202 else ""

    host.finished(until(started))
