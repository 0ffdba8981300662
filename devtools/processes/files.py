"""Files that are read while others write them."""

from __future__ import annotations

from pathlib import Path

from devtools import trouble


def last_line(log: Path, offset: int = 0) -> str:
    """The last line that is not empty and was written after `offset`; "" when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(offset, log.stat().st_size - 65536))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def replace_text(path: Path, text: str) -> None:
    """Replace a file by rename: a reader finds the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with trouble.naming(draft):
        draft.write_text(text, encoding="utf-8")
    with trouble.naming(path):
        draft.replace(path)
