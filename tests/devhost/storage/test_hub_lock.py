"""The lock of a task hub: one devhost at a time, and one sentence for a second one."""

import tempfile
from pathlib import Path
from typing import Any

import pytest

from devhost.storage.hub_lock import HubTaken, lock_hub

ACCOUNT, HUB = "http://127.0.0.1:10002/devstoreaccount1", "Orders"


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_hub_is_locked_once_whatever_the_case_of_its_name() -> None:
    with lock_hub(ACCOUNT, HUB), pytest.raises(HubTaken, match="already serves the task hub 'ORDERS'"):
        lock_hub(ACCOUNT, "ORDERS")
    lock_hub(ACCOUNT, HUB).close()


def test_hubs_of_other_names_and_accounts_are_others() -> None:
    with lock_hub(ACCOUNT, HUB), lock_hub(ACCOUNT, "Others"), lock_hub("http://127.0.0.1:20002/other", HUB):
        pass


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with lock_hub(ACCOUNT, HUB) as lock:
        path = Path(lock.name)
    path.unlink()
    path.mkdir()
    with pytest.raises(HubTaken, match=r"devhost-\w+\.lock, cannot be made \(Is a directory\): mend that, or"):
        lock_hub(ACCOUNT, HUB)


def test_a_lock_of_another_user_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(HubTaken, match=r"devhost-\w+\.lock, is another user's"):
        lock_hub(ACCOUNT, HUB)
