"""`OrderIndex`: what lists and the sweep read instead of the orders themselves, in table `orderindex`.

    partition `open`          one row for each unfinished order, written *before* the order's record
    partition `<UTC day>`     one row for each order that has ended, by the day on which it was accepted

Row keys count down, so the newest is first, and an order has the same row key in both partitions. When an order ends,
its row of the day is written first, and then the open one is deleted.

The index and the record are two writes. Because the open row comes first, no accepted order is ever missing here: a
process that dies between the two leaves an entry without a record, which the sweep drops after a day, since a slow
`POST` may still write the record. An entry that lags behind its record is put right by the sweep.

Rejected: an index by status. An entry would move from partition to partition at each change of state.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableClient, UpdateMode

from models.errors import OrderSagaError
from models.operations.order_list import EndedCounts, Entries, Front, IndexEntry, Page, Standing, standing_of
from models.order_record import OrderRecord
from models.states import FINAL_STATES, WAITING_STATES
from models.view import moment
from services.storage import number, plain, storage_faults
from services.tables.bounded_reads import MOST_ROWS, quoted, read_part

OPEN = "open"
# Row keys sort upwards: counting down from here puts the newest first. Milliseconds since 1970.
END_OF_TIME_MS = 9_999_999_999_999
MAX_DAYS_A_PAGE = 400
# What storage answers at most in one read.
MOST_UNFINISHED = MOST_ROWS
COUNT_READS = 5
# Of a list of one final state: so many rows are read for a page, and what fits of them may be less than the page.
MOST_ROWS_A_PAGE = 5 * MOST_ROWS


def index_key(accepted_at: datetime, order_id: str) -> str:
    """Newest first, and unique."""
    return f"{_countdown(accepted_at)}:{order_id}"


class OrderIndex:
    """The index, for the edge, the records and the sweep. Safe to share between threads. Raises Unavailable."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    def open(self, order_id: str, accepted_at: datetime, skus: Iterable[str]) -> str:
        """Write the entry of an order whose record is about to be written. Returns its key."""
        row = {
            "PartitionKey": OPEN,
            "RowKey": index_key(accepted_at, order_id),
            "OrderId": order_id,
            "Status": "accepted",
            "Skus": ",".join(skus),
            "AcceptedAt": accepted_at,
        }
        with storage_faults(f"the index entry of order {order_id}"):
            try:
                self._table.create_entity(row)
            except ResourceExistsError:
                """A try before this one wrote it, and its answer was lost."""
        return str(row["RowKey"])

    def follow(self, record: OrderRecord) -> None:
        """Write the index row from the record. Safe to repeat."""
        row = _row(record)
        with storage_faults(f"the index entry of order {record.order_id}"):
            # A merge would keep what an order waited for after it has stopped waiting.
            self._table.upsert_entity(row, UpdateMode.REPLACE)
            if record.is_final:
                self._table.delete_entity(OPEN, row["RowKey"])

    def follow_change(self, before: OrderRecord, after: OrderRecord) -> None:
        """As `follow`, if the order has ended, or has started or stopped waiting for a person. Lists need no more."""
        if after.is_final or _waits(before) != _waits(after):
            self.follow(after)

    def put_right(self, entry: IndexEntry, record: OrderRecord) -> None:
        """Write the index row from the record. An entry at another place is deleted after that."""
        in_place = (entry.partition, entry.key) == _place(record)
        if not in_place or (entry.status, entry.waits_for) != (record.state, _waits_for(record)):
            self.follow(record)
        if not in_place:
            self.drop(entry.partition, entry.key)

    def drop(self, partition: str, key: str) -> None:
        """Delete an entry. Safe to repeat."""
        with storage_faults("an index entry"):
            self._table.delete_entity(partition, key)

    def drop_open(self, key: str) -> None:
        self.drop(OPEN, key)

    def page(self, status: str | None, newest: date, oldest: date, top: int, after: str | None) -> Page:
        """Orders accepted from `oldest` to `newest` (UTC days, both included), newest first; at most `top`.

        `after` is the continuation of the page before. Reads the open partition, and one partition a day until the page
        is full: two reads for a first page. Of one final state it reads `MOST_ROWS_A_PAGE` rows and no more, so a page
        may have fewer than `top` and a continuation.
        """
        first, beyond = _countdown(_start_of(newest + timedelta(days=1))), _countdown(_start_of(oldest))
        low = max(after or "", f"{first};")
        # One more than the page: the next key tells that an order has no second row.
        unfinished = self._unfinished(low, f"{beyond};", top + 1, status) if status not in FINAL_STATES else ()
        ended = self._ended(newest, oldest, top + 1, status, after) if status in {None, *FINAL_STATES} else ()
        return _first_page(heapq.merge(unfinished, ended, key=lambda entry: entry.key), top)

    def front(self, today: date, top: int) -> Front:
        """The unfinished orders and the newest of today that have ended: two reads, whatever the store holds."""
        unfinished, more = self.newest_unfinished()
        ended, more_today = self._one_read(f"PartitionKey eq '{today.isoformat()}'", top)
        return Front(unfinished, more, ended, more_today)

    def newest_unfinished(self) -> tuple[tuple[IndexEntry, ...], bool]:
        """The entries of one read, newest first, and whether there are more."""
        return self._one_read(f"PartitionKey eq '{OPEN}'", MOST_UNFINISHED)

    def standing(self, now: datetime) -> Standing:
        """How the unfinished orders stand: at most `COUNT_READS` reads, the newest orders first."""
        with storage_faults("the index of orders"):
            pages: Any = self._table.query_entities(
                f"PartitionKey eq '{OPEN}'",
                results_per_page=MOST_UNFINISHED,
                select=["RowKey", "PartitionKey", "Status", "Since"],
            ).by_page()
            rows = itertools.chain.from_iterable(itertools.islice(pages, COUNT_READS))
            return standing_of(map(_entry, rows), now)

    def ended_of_day(self, day: date) -> EndedCounts:
        """The ended orders of a day, counted by state: at most `COUNT_READS` reads."""
        states: Counter[str] = Counter()
        with storage_faults("the index of orders"):
            wanted = f"PartitionKey eq '{day.isoformat()}'"
            pages: Any = self._table.query_entities(
                wanted, results_per_page=MOST_UNFINISHED, select=["Status"]
            ).by_page()
            for page in itertools.islice(pages, COUNT_READS):
                states.update(str(row.get("Status")) for row in page)
            return EndedCounts(day, dict(states), pages.continuation_token is not None)

    def _one_read(self, wanted: str, limit: int) -> tuple[tuple[IndexEntry, ...], bool]:
        """At most `limit` entries, and whether there are more."""
        with storage_faults("the index of orders"):
            pages: Any = self._table.query_entities(wanted, results_per_page=limit).by_page()
            entries = tuple(_entry(row) for row in next(pages, ()))
            return entries, pages.continuation_token is not None

    def unfinished(self, after: str | None, limit: int) -> tuple[IndexEntry, ...]:
        """Entries of the open partition in the order of their keys, beginning after the key `after`."""
        return tuple(itertools.islice(self._unfinished(after or "", ";", limit, None), limit))

    def unfinished_of_day(self, day: date, after: str | None, limit: int) -> Entries:
        """At most `limit` entries of unfinished orders that lie in the partition of a day, where older code wrote them.

        One read, which begins after the key `after` and may end before the day does.
        """
        with storage_faults("the index of orders"):
            part = read_part(self._table, _of_day(day, after), _is_unfinished, limit)
            return Entries(tuple(map(_entry, part.rows)), part.after)

    def _unfinished(self, low: str, high: str, limit: int, status: str | None) -> Iterator[IndexEntry]:
        wanted = f"PartitionKey eq '{OPEN}' and RowKey gt '{quoted(low)}' and RowKey lt '{high}'"
        return self._query(wanted + _of_status(status), limit)

    def _ended(
        self, newest: date, oldest: date, limit: int, status: str | None, after: str | None
    ) -> Iterator[IndexEntry | _Unread]:
        """Those of a status are picked here: a filter would have storage pass all the others, however many they are."""
        rows_left = MOST_ROWS_A_PAGE
        for back in range(min((newest - oldest).days + 1, MAX_DAYS_A_PAGE)):
            wanted = _of_day(newest - timedelta(days=back), after)
            for entry in self._query(wanted, MOST_ROWS if status else limit):
                if status in {None, entry.status}:
                    yield entry
                rows_left -= 1
                if status and not rows_left:
                    yield _Unread(entry.key)
                    return

    def _query(self, wanted: str, limit: int) -> Iterator[IndexEntry]:
        with storage_faults("the index of orders"):
            for row in self._table.query_entities(wanted, results_per_page=limit):
                yield _entry(row)


class _Unread(NamedTuple):
    """Stands for the rows after a key that are left to the next page."""

    key: str


def _first_page(rows: Iterable[IndexEntry | _Unread], top: int) -> Page:
    """The first page of rows, which are in the order of their keys.

    An order that is just ending has both of its rows, one after the other: the ended one counts.
    """
    entries: list[IndexEntry] = []
    for key, group in itertools.groupby(rows, key=lambda row: row.key):
        each = list(group)
        indexed = [row for row in each if isinstance(row, IndexEntry)]
        entries += [max(indexed, key=lambda entry: entry.partition != OPEN)] if indexed else []
        if len(entries) == top or len(indexed) < len(each):
            return Page(tuple(entries), key)
    return Page(tuple(entries), None)


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _countdown(at: datetime) -> str:
    return f"{END_OF_TIME_MS - int(at.timestamp() * 1000):013d}"


def _of_day(day: date, after: str | None) -> str:
    """The rows of a day's partition, after a key."""
    return f"PartitionKey eq '{day.isoformat()}'" + (f" and RowKey gt '{quoted(after)}'" if after else "")


def _is_unfinished(row: Mapping[str, Any]) -> bool:
    return row.get("Status") not in FINAL_STATES


def _of_status(status: str | None) -> str:
    """An entry is not rewritten when the saga starts, so a list does not distinguish `accepted` and `running`."""
    if status in {"accepted", "running"}:
        return " and (Status eq 'accepted' or Status eq 'running')"
    return f" and Status eq '{quoted(status)}'" if status else ""


def _place(record: OrderRecord) -> tuple[str, str]:
    """Partition and key of the entry."""
    day = record.accepted_at.astimezone(UTC).date().isoformat()
    return day if record.is_final else OPEN, index_key(record.accepted_at, record.order_id)


def _row(record: OrderRecord) -> dict[str, Any]:
    partition, key = _place(record)
    row = {
        "PartitionKey": partition,
        "RowKey": key,
        "OrderId": record.order_id,
        "Status": record.state,
        "Skus": ",".join(_skus(record)),
        "AcceptedAt": record.accepted_at,
        "Since": record.changed_at,
        "WaitsFor": _waits_for(record),
        "Failure": _failure(record),
        "HeldMinor": number(record.held_minor),
    }
    if record.total is not None:
        row |= {"AmountMinor": number(record.total.amount_minor), "Currency": record.total.currency}
    return {name: value for name, value in row.items() if value is not None}


def _skus(record: OrderRecord) -> list[str]:
    if record.lines or record.is_erased:
        return [line.sku for line in record.lines]
    try:
        return [item.sku for item in record.contents.items]
    except OrderSagaError:  # a list can do without what cannot be read
        return []


def _waits_for(record: OrderRecord) -> str | None:
    if record.state == "awaiting_approval" and record.approval is not None:
        return f"approval until {moment(record.approval.deadline)}"
    return ", ".join(record.parked_compensations) or None


def _waits(record: OrderRecord) -> tuple[str, str | None] | None:
    return (record.state, _waits_for(record)) if record.state in WAITING_STATES else None


def _failure(record: OrderRecord) -> str | None:
    """The reason why the order is undone. The outcome of an order that the sweep has parked does not know it."""
    failures = ((part or {}).get("failure") for part in (record.outcome, record.undoing))
    return next((failure.get("reason") for failure in failures if failure), None)


def _entry(row: Mapping[str, Any]) -> IndexEntry:
    """Read tolerantly: the key alone says which order it is and when it was accepted."""
    row = plain(row)
    countdown, _, order_id = row["RowKey"].partition(":")
    accepted_at = datetime.fromtimestamp((END_OF_TIME_MS - int(countdown)) / 1000, UTC)
    return IndexEntry(
        partition=row["PartitionKey"],
        key=row["RowKey"],
        order_id=order_id,
        status=row.get("Status", "unknown"),
        skus=tuple(sku for sku in row.get("Skus", "").split(",") if sku),
        accepted_at=row.get("AcceptedAt", accepted_at),
        amount_minor=row.get("AmountMinor"),
        currency=row.get("Currency"),
        since=row.get("Since"),
        waits_for=row.get("WaitsFor"),
        failure=row.get("Failure"),
        held_minor=row.get("HeldMinor", 0),
    )
