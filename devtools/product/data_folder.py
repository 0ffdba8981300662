"""The data folder of `start`: its owner and rights, and the checks for lost and damaged files.

Azurite 3.36 was tried. If its file is missing or empty, it begins with an empty store, without a message. If its file
is no JSON, it ends with an error that names no file. On a full disk it answers 201, fails to save, leaves the
unfinished copy (`…json~`) behind and ends with status 0.
"""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

from devtools.trouble import Trouble

OTHERS = stat.S_IRWXG | stat.S_IRWXO

# The content of each file. The sandbox's files may be empty: they are made before the first order.
KEPT = {
    "azurite/__azurite_db_table__.json": "orders, stock and histories",
    "azurite/__azurite_db_blob__.json": "labels",
    "sandbox/payments.jsonl": "payments",
    "sandbox/messages.jsonl": "mails and pushes",
}


def claim(data: Path) -> None:
    """Make the folder, or take an existing one, for this user alone. Raises Trouble, and OSError for its path."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = data.stat().st_mode
    if mode & stat.S_ISVTX:
        raise Trouble(f"{data} is a folder that users share: name a folder below it with `--data DIR`.")
    if os.name != "nt":
        _close(data)
    (data / "start.lock").touch(mode=0o600)
    for folder in (data, data / "azurite", data / "sandbox", data / "logs"):
        if folder.exists() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise Trouble(f"{folder} cannot be written: change its owner or mode, or name another with `--data DIR`.")


def _close(data: Path) -> None:
    """Remove other users' rights to the folder's entries. A closed folder of Azurite's closes its content too."""
    for name, folders, files in os.walk(data):
        folder = Path(name)
        for path in (folder, *(folder / each for each in (*files, *folders))):
            mode = path.lstat().st_mode
            if mode & OTHERS and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~OTHERS)
        folders[:] = [each for each in folders if not each.startswith("__")]


# ------------------------------------------------------------------------------------------------------------ the store


def _marker(data: Path) -> Path:
    return data / "used"


def mark_used(data: Path) -> None:
    """Note that the store has data, for the next start."""
    if not _marker(data).exists():
        _marker(data).write_text(time.strftime("%Y-%m-%d %H:%M:%S"), encoding="utf-8")


def used_since(data: Path) -> str | None:
    """The time at which the store was first filled; None for a folder that was never used."""
    try:
        return _marker(data).read_text(encoding="utf-8", errors="replace") or "an unknown day"
    except FileNotFoundError:
        return None


def emptied(data: Path) -> list[str]:
    """A sentence for each part of the store that is missing now."""
    since = used_since(data)
    if since is None:
        return []
    return [
        f"Warning: {data / name} is {fault}, although this folder has been in use since {since}: its {kept} are gone, "
        "and this start begins without them. Stop it and put the file back, if that was not meant."
        for name, kept in KEPT.items()
        if (fault := _what_is_wrong(data / name)) is not None
    ]


def _what_is_wrong(file: Path) -> str | None:
    if not file.exists():
        return "missing"
    return "empty" if file.suffix == ".json" and file.stat().st_size == 0 else None


def damaged(data: Path) -> str | None:
    """A sentence that names the file which Azurite cannot read. Call it when Azurite has ended by itself."""
    for file in sorted((data / "azurite").glob("__azurite_db_*__.json")):
        try:
            content = file.read_text(encoding="utf-8")
            if content:
                json.loads(content)
        except (ValueError, RecursionError):
            return (
                f"Azurite cannot read {file}, which is damaged: put a copy of it back, or move the folder "
                f"{file.parent} away to begin with an empty store."
            )
    return None


def forget_drafts(data: Path) -> None:
    """Remove unfinished copies of earlier runs. Call it before Azurite begins."""
    for draft in (data / "azurite").glob("*.json~"):
        draft.unlink()


def unsaved(data: Path) -> list[str]:
    """A sentence for each file that Azurite could not save. Call it after Azurite has ended."""
    return [
        f"Warning: Azurite could not save {str(draft).removesuffix('~')} (is the disk full, or the folder read-only?): "
        f"writes since {_clock(draft)} are lost."
        for draft in sorted((data / "azurite").glob("*.json~"))
    ]


def _clock(draft: Path) -> str:
    saved = Path(str(draft).removesuffix("~"))
    return time.strftime("%H:%M:%S", time.localtime(saved.stat().st_mtime)) if saved.exists() else "the start"
