"""Reads of a range of keys, with a bound on how many rows storage has to read.

A filter over anything but the keys lets storage pass row after row until it finds what fits: a search for the few
reservations among ten thousand rows of orders that have ended reads ten thousand rows. So such a filter is applied
here, to at most `MOST_ROWS` rows, which is one request; the next read continues after them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from azure.data.tables import TableClient

# What storage answers at most in one request.
MOST_ROWS = 1000

Columns = Mapping[str, Any]


class Part(NamedTuple):
    """The rows of a range that fit, and the key after which the next read continues; None at the end of the range."""

    rows: list[Columns]
    after: str | None


def read_part(
    table: TableClient, wanted: str, fits: Callable[[Columns], bool], limit: int, select: list[str] | None = None
) -> Part:
    """At most `limit` rows that fit, of the first `MOST_ROWS` of the range `wanted`, a filter over keys alone."""
    rows: list[Columns] = []
    after: str | None = None
    pages: Any = table.query_entities(wanted, results_per_page=MOST_ROWS, select=select).by_page()
    for page in pages:
        for row in page:
            after = row["RowKey"]
            rows += [row] if fits(row) else []
            if len(rows) == limit:
                return Part(rows, after)
        if after is not None:  # a page may be empty and have others after it
            break
    return Part(rows, after if pages.continuation_token is not None else None)


def quoted(text: str) -> str:
    """The text, escaped for the quotes of a filter."""
    return text.replace("'", "''")
