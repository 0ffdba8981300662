"""The append-only ledger of a sandbox process: the witness that a test believes.

One file of JSON lines. Each line is one commit: `{"rows": [...], ...}`, where `rows` are what the outside may read
and the rest is the state that belongs to them. Both are in one line because they must survive, or be lost, together:
the process may be killed between any two writes. Two files (a ledger and a state file) were rejected for that reason,
SQLite because nobody can read it with `tail`.

A line is handed to the operating system before the caller is answered, so it outlives the death of the process. It is
not forced to the disk: a power cut is not what a sandbox is for. A write that fails half-way, on a full disk, is taken
back, so that the next line begins where a line begins.
"""

import errno
import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger("sandbox")

JsonObject = dict[str, Any]


class Damaged(Exception):
    """A file of the sandbox that cannot be read; the message says which, and what to do."""


class NotKept(Exception):
    """A line that could not be written; nothing of it was done. The message says which file and why."""

    def __init__(self, path: Path, fault: OSError) -> None:
        super().__init__(f"{path} cannot be written ({fault.strerror}), so nothing was done. Make room for it.")
        log.error("%s", self)


class JsonLines:
    """A file of one JSON object a line, written at its end only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        _drop_torn_end(path)

    def recall(self, take: Callable[[JsonObject], None]) -> None:
        """Hand each line to `take`, in order. Raises Damaged for a line that is no JSON or that it cannot read."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    take(json.loads(line))
                except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                    raise Damaged(
                        f"Line {number} of {self.path} is damaged: move the file away to begin anew."
                    ) from error

    def append(self, line: JsonObject) -> None:
        """One write call: a reader or a restart sees the whole line or none of it. Raises NotKept."""
        content = _encoded(line)
        try:
            with self.path.open("ab", buffering=0) as file:
                whole = file.tell()
                try:
                    written = file.write(content)
                    if written != len(content):  # what a disk does that becomes full within the line
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                except OSError:
                    file.truncate(whole)
                    raise
        except OSError as fault:
            raise NotKept(self.path, fault) from fault

    def replace(self, line: JsonObject) -> None:
        """Begin anew with this line alone; a kill in between leaves the old file whole. Raises NotKept."""
        fresh = self.path.with_suffix(".new")
        try:
            fresh.write_bytes(_encoded(line))
            fresh.replace(self.path)
        except OSError as fault:
            raise NotKept(self.path, fault) from fault


class Ledger:
    """Numbered, dated rows over a file of commits. Row numbers start at 1 and have no gaps."""

    def __init__(self, path: Path) -> None:
        self._file = JsonLines(path)
        self.rows: list[JsonObject] = []

    def recall(self, take: Callable[[JsonObject], None] = lambda commit: None) -> None:
        """Take in every commit of earlier lives, in order, once, before the first commit. Raises Damaged."""

        def taken(commit: JsonObject) -> None:
            self.rows.extend({**row} for row in commit["rows"])
            take(commit)

        self._file.recall(taken)

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
