"""A list of orders, as the index knows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple

# The states in which an order waits for a decision of a person.
WAITING_FOR_SOMEBODY = frozenset({"needs_attention", "awaiting_approval"})


class IndexEntry(NamedTuple):
    """One order of a list.

    `partition` and `key` are its place in the index; the key is the continuation after it. `since`: when the
    order entered its state. `waits_for`: an approval and its deadline, or the compensations that wait for an operator.
    `failure`: the reason why it is undone. `held_minor`: charged and not given back.
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


class Entries(NamedTuple):
    """A part of a range of entries, and the key after which the next part begins; None at the end of the range."""

    entries: tuple[IndexEntry, ...]
    after: str | None


class Front(NamedTuple):
    """The data of the dashboard's first page: the newest unfinished orders, and the newest of today that have ended."""

    unfinished: tuple[IndexEntry, ...]
    more_unfinished: bool
    ended_today: tuple[IndexEntry, ...]
    more_today: bool

    def newest(self, top: int) -> tuple[IndexEntry, ...]:
        """Both together, newest first. An order that is just ending has both of its rows: the ended one counts."""
        rows = {entry.key: entry for entry in (*self.unfinished, *self.ended_today)}
        return tuple(rows[key] for key in sorted(rows)[:top])

    def needing_somebody(self) -> tuple[IndexEntry, ...]:
        """Oldest first."""
        return tuple(entry for entry in reversed(self.unfinished) if entry.status in WAITING_FOR_SOMEBODY)


class EndedCounts(NamedTuple):
    """How many orders that were accepted on a UTC day have ended, by state. `more`: not all of them were counted."""

    day: date
    states: dict[str, int]
    more: bool


class Standing(NamedTuple):
    """How the unfinished orders stand: how many there are, are parked, and wait for an approval.

    `oldest_s`: for how many seconds the slowest of those that wait for no person has been in its state, or 0.
    """

    unfinished: int
    parked: int
    awaiting_approval: int
    oldest_s: int


def standing_of(entries: Iterable[IndexEntry], now: datetime) -> Standing:
    states, oldest = Counter[str](), timedelta()
    for entry in entries:
        states[entry.status] += 1
        if entry.status not in WAITING_FOR_SOMEBODY:
            oldest = max(oldest, now - (entry.since or entry.accepted_at))
    return Standing(states.total(), states["needs_attention"], states["awaiting_approval"], int(oldest.total_seconds()))
