"""The append-only ledger of a sandbox process, by which tests judge its effects.

One file of JSON lines. Each line is one commit: `{"rows": [...], ...}`, where `rows` are public and the other fields
are the state that belongs to them. Both are in one line because they must survive, or be lost, together: the process
may be killed between any two writes. Two files (a ledger and a state file) were rejected for that reason, SQLite
because `tail` cannot show it.

A line is written to the operating system before the caller is answered, so it survives the death of the process. It is
not forced to the disk: a sandbox need not survive a power cut. A write that fails half-way, on a full disk, is removed,
so that the next line begins at the start of a line.
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
    """A file of the sandbox that cannot be read; the message names it and says what to do."""


class NotKept(Exception):
    """A line that could not be written; its call had no effect. The message names the file and the reason."""

    def __init__(self, path: Path, fault: OSError) -> None:
        super().__init__(f"{path} cannot be written ({fault.strerror}), so nothing was done. Make room for it.")
        log.error("%s", self)


class JsonLines:
    """A file of JSON objects, one a line, to which lines are only appended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        _drop_torn_end(path)

    def recall(self, take: Callable[[JsonObject], None]) -> None:
        """Pass each line to `take`, in order. Raises Damaged for a line that is no JSON or that `take` cannot read."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    take(json.loads(line))
                except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                    raise Damaged(
                        f"Line {number} of {self.path} is damaged: move the file away to begin anew."
                    ) from error

    def append(self, line: JsonObject) -> None:
        """Append a line in one write call: a reader or a restart sees all of it or none. Raises NotKept."""
        content = _encoded(line)
        try:
            with self.path.open("ab", buffering=0) as file:
                whole = file.tell()
                try:
                    written = file.write(content)
                    if written != len(content):  # the disk became full within the line
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                except OSError:
                    file.truncate(whole)
                    raise
        except OSError as fault:
            raise NotKept(self.path, fault) from fault

    def replace(self, line: JsonObject) -> None:
        """Replace the file by one with only this line; a kill in between leaves the old file whole. Raises NotKept."""
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
        """Read every commit of earlier runs, in order. Call it once, before the first commit. Raises Damaged."""

        def taken(commit: JsonObject) -> None:
            self.rows.extend({**row} for row in commit["rows"])
            take(commit)

        self._file.recall(taken)

    def commit(self, rows: list[JsonObject], **state: Any) -> list[JsonObject]:
        """Write the rows and their state; returns the rows with their numbers."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        numbered = [{"seq": len(self.rows) + n, "at": at, **row} for n, row in enumerate(rows, start=1)]
        self._file.append({"rows": numbered, **state})
        self.rows.extend(numbered)
        return numbered


def _encoded(line: JsonObject) -> bytes:
    """Readable UTF-8; half a surrogate pair, which a mail can contain, stays JSON's escape."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def _drop_torn_end(path: Path) -> None:
    """Remove a last line without an end: its call was not answered, as the process died or the disk was full."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
