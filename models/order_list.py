"""A list of orders, as the index knows them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class IndexEntry(NamedTuple):
    """One order of a list.

    `partition` and `key` are its place in the index; the key is the continuation after it. `since`: when it came into
    its state. `waits_for`: an approval and its deadline, or the compensations that wait for an operator. `failure`: the
    reason why it is undone. `held_minor`: charged and not given back.
    """

    partition: str
    key: str
    order_id: str
    status: str
    skus: tuple[str, ...]
    accepted_at: datetime
    amount_minor: int | None = None
    currency: str | None = None
    since: datetime | None = None
    waits_for: str | None = None
    failure: str | None = None
    held_minor: int = 0


class Page(NamedTuple):
    """`continuation` is None at the end."""

    entries: tuple[IndexEntry, ...]
    continuation: str | None
