"""The lines of `start` while it serves: one for each order that ends, for new code, and for each warning.

The log of devhost is read as it grows. The worker's lines are in it too: both write `time level logger: message`. Of
the lines under a message that ends with a colon, such as a traceback, only the last is printed: it names the exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

LINE = re.compile(r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d+ (INFO|WARNING|ERROR|CRITICAL) +([\w.]+): (.*)")
# The loggers whose INFO lines are for a person: the app's about orders that end, devhost's about new code and its disk.
# devhost's first lines, which list the routes and the address, are left out.
NEWS = ("activities.closing", "devhost.watch", "devhost.space")


class Follower:
    """Reads a log from `offset` on."""

    def __init__(self, log: Path, offset: int) -> None:
        self._log, self._offset = log, offset
        self._last = ""

    def news(self) -> list[str]:
        """The new lines for a person; a line that repeats the previous one is left out."""
        sentences = []
        for line, last_under_it in _messages(self._new_lines()):
            sentence = sentence_of(line)
            if sentence and sentence.endswith(":") and last_under_it:
                sentence = f"{sentence} {last_under_it}"
            if sentence and sentence[8:] != self._last:
                self._last = sentence[8:]
                sentences.append(sentence)
        return sentences

    def _new_lines(self) -> list[str]:
        """The new whole lines. A line that is being written is read the next time."""
        try:
            if self._log.stat().st_size <= self._offset:
                return []
            with self._log.open("rb") as file:
                file.seek(self._offset)
                whole = file.read().rpartition(b"\n")[0]
        except OSError:
            return []
        self._offset += len(whole) + 1 if whole else 0
        return whole.decode(errors="replace").splitlines()


def _messages(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Each first line of a message, with the last line under it that is not empty."""
    messages: list[tuple[str, str]] = []
    for line in lines:
        if LINE.fullmatch(line) or not messages:
            messages.append((line, ""))
        elif line.strip():
            messages[-1] = (messages[-1][0], line.strip())
    return messages


def sentence_of(line: str) -> str | None:
    """`12:30:01 order demo-1 completed`, or `12:30:01 WARNING: …`; None for a line that is not for the terminal."""
    match = LINE.fullmatch(line)
    if match is None:
        return None
    clock, level, logger, message = match.groups()
    if level == "INFO":
        return f"{clock} {message}" if logger in NEWS else None
    return f"{clock} {level}: {message}"
