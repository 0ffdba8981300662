"""The rows of one table that this process has lately read or written, by their keys, each with its ETag.

A change may be tried on a remembered row first. The row is a guess: every write on it is guarded by the ETag.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# About 400 bytes each. Rows beyond are read again.
REMEMBERED = 4096

Columns = dict[str, Any]


class _Remembered(NamedTuple):
    row: Columns
    written_at: int


class RecentRows:
    """Bounded, in memory. Safe to share between threads. A row is a dict of its columns, with its ETag as `etag`."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._rows: OrderedDict[str, _Remembered] = OrderedDict()
        self._writes = 0
        self._lock = threading.Lock()

    def moment(self) -> int:
        """The number of writes so far. A caller takes it before it reads a row, and passes it to `read`."""
        return self._writes

    def get(self, key: str) -> Columns | None:
        remembered = self._rows.get(key)
        return None if remembered is None else remembered.row

    def read(self, key: str, row: Columns, since: int) -> None:
        """Remember what was read, unless this process wrote the row while it was being read."""
        with self._lock:
            remembered = self._rows.get(key)
            if remembered is None or remembered.written_at <= since:
                self._keep(key, row, remembered.written_at if remembered else 0)

    def written(self, key: str, columns: Mapping[str, Any], etag: str, *, on: str | None) -> None:
        """Remember a row that was created (`on` is None), or merged into the state of the ETag `on`."""
        with self._lock:
            self._writes += 1
            before = self._rows[key].row if key in self._rows else {}
            if on is None or before.get("etag") in {on, etag}:  # it may have been read since it was written
                self._keep(key, {**before, **columns, "etag": etag}, self._writes)
            else:
                self._rows.pop(key, None)

    def forget(self, keys: Iterable[str]) -> None:
        with self._lock:
            for key in keys:
                self._rows.pop(key, None)

    def _keep(self, key: str, row: Columns, written_at: int) -> None:
        self._rows[key] = _Remembered(row, written_at)
        self._rows.move_to_end(key)
        if len(self._rows) > self._limit:
            self._rows.popitem(last=False)
