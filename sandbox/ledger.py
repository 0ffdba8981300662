"""The append-only ledger of a sandbox process: the witness that a test believes.

One file of JSON lines. Each line is one commit: `{"rows": [...], ...}`, where `rows` are what the outside may read
and the rest is the state that belongs to them. Both are in one line because they must survive, or be lost, together:
the process may be killed between any two writes. Two files (a ledger and a state file) were rejected for that reason,
SQLite because nobody can read it with `tail`.

A line is handed to the operating system before the caller is answered, so it outlives the death of the process. It is
not forced to the disk: a power cut is not what a sandbox is for.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]


class Damaged(Exception):
    """A file of the sandbox that cannot be read; the message says which, and what to do."""


class JsonLines:
    """A file of one JSON object a line, written at its end only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        _drop_torn_end(path)

    def __iter__(self) -> Iterator[JsonObject]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield self._decoded(number, line)

    def append(self, line: JsonObject) -> None:
        """One write call: a reader or a restart sees the whole line or none of it."""
        with self.path.open("ab", buffering=0) as file:
            file.write(_encoded(line))

    def _decoded(self, number: int, line: bytes) -> JsonObject:
        try:
            decoded: JsonObject = json.loads(line)
        except ValueError as error:
            raise Damaged(f"Line {number} of {self.path} is not JSON; move the file away to begin anew.") from error
        return decoded

    def replace(self, line: JsonObject) -> None:
        """Begin anew with this line alone; a kill in between leaves the old file whole."""
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(_encoded(line))
        fresh.replace(self.path)


class Ledger:
    """Numbered, dated rows over a file of commits. Row numbers start at 1 and have no gaps."""

    def __init__(self, path: Path) -> None:
        self._file = JsonLines(path)
        self.rows: list[JsonObject] = []

    def commits(self) -> Iterator[JsonObject]:
        """Every commit of earlier lives, in order; its rows enter the ledger. Read it once, before the first commit."""
        for commit in self._file:
            self.rows.extend(commit["rows"])
            yield commit

    def commit(self, rows: list[JsonObject], **state: Any) -> list[JsonObject]:
        """Write the rows and the state that goes with them; answers the rows as numbered."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        numbered = [{"seq": len(self.rows) + n, "at": at, **row} for n, row in enumerate(rows, start=1)]
        self._file.append({"rows": numbered, **state})
        self.rows.extend(numbered)
        return numbered


def _encoded(line: JsonObject) -> bytes:
    """Readable UTF-8; half a surrogate pair, which a mail can smuggle in, stays the escape that JSON has for it."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def _drop_torn_end(path: Path) -> None:
    """A line without its end was never answered for: the process died, or the disk was full, while it was written."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
