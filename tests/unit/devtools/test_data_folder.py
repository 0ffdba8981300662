"""Whose the data folder is, and what is said when something that was in it is not there any more."""

import os
import stat
from pathlib import Path

import pytest

from devtools.product import data_folder
from devtools.trouble import Trouble


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_its_users_alone(tmp_path: Path) -> None:
    data_folder.claim(tmp_path / "deep" / "data")
    assert mode(tmp_path / "deep" / "data") == 0o700


def test_a_folder_that_others_could_read_is_closed_with_all_that_is_in_it(tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    (data / "logs").mkdir(parents=True, mode=0o755)
    (data / "logs" / "devhost.log").write_text("a log")
    outside.write_text("not ours")
    (data / "link").symlink_to(outside)
    outside.chmod(0o644)
    data.chmod(0o755)
    data_folder.claim(data)
    assert {mode(path) & 0o077 for path in (data, data / "logs", data / "logs" / "devhost.log")} == {0}
    assert mode(outside) == 0o644


def test_a_folder_that_users_share_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(Trouble, match="is a folder that users share: name a folder below it with `--data DIR`"):
        data_folder.claim(tmp_path)
    assert mode(tmp_path) == 0o1777


@pytest.mark.parametrize("folder", ["", "azurite", "sandbox", "logs"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """The system is asked, because root may write everywhere but on a read-only disk."""
    (tmp_path / folder).mkdir(exist_ok=True)
    monkeypatch.setattr(os, "access", lambda path, how: path != tmp_path / folder)
    with pytest.raises(Trouble) as refused:
        data_folder.claim(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / folder} cannot be written: ")


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A data folder as a start leaves it."""
    for name in data_folder.KEPT:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    data_folder.mark_used(tmp_path)
    return tmp_path


def test_a_folder_that_was_never_used_may_be_empty(tmp_path: Path) -> None:
    assert data_folder.emptied(tmp_path) == []


def test_a_store_that_is_whole_is_no_news(used: Path) -> None:
    assert data_folder.emptied(used) == []
    (used / "sandbox/payments.jsonl").write_text("")  # as it is before the first order
    assert data_folder.emptied(used) == []


@pytest.mark.parametrize("name", data_folder.KEPT)
def test_a_part_of_the_store_that_vanished_is_said(used: Path, name: str) -> None:
    (used / name).unlink()
    (warning,) = data_folder.emptied(used)
    assert f"{used / name} is missing, although this folder has been in use since 20" in warning
    assert f"its {data_folder.KEPT[name]} are gone" in warning


@pytest.mark.parametrize("name", [name for name in data_folder.KEPT if name.endswith(".json")])
def test_a_database_that_is_empty_is_said(used: Path, name: str) -> None:
    (used / name).write_text("")
    (warning,) = data_folder.emptied(used)
    assert f"{used / name} is empty" in warning


def test_a_whole_store_that_vanished_is_said_part_by_part(used: Path) -> None:
    for name in data_folder.KEPT:
        (used / name).unlink()
    assert len(data_folder.emptied(used)) == len(data_folder.KEPT)


@pytest.mark.parametrize("content", [b"{", b'{"filename": "x"', b"\xff\xfe", b"hello", b"[" * 100_000])
def test_a_database_that_azurite_cannot_read_is_named(used: Path, content: bytes) -> None:
    assert data_folder.damaged(used) is None
    (used / "azurite/__azurite_db_blob__.json").write_bytes(content)
    sentence = data_folder.damaged(used)
    assert sentence is not None
    assert f"Azurite cannot read {used / 'azurite/__azurite_db_blob__.json'}, which is damaged: put a copy" in sentence


def test_what_azurite_could_not_save_is_said_once(used: Path) -> None:
    (used / "azurite/__azurite_db_table__.json~").write_text("")
    (warning,) = data_folder.unsaved(used)
    assert f"Azurite could not save {used / 'azurite/__azurite_db_table__.json'} (" in warning
    data_folder.forget_drafts(used)
    assert data_folder.unsaved(used) == []
