"""The table `<hub>History`: the events of each instance's current execution, a row each, and a sentinel row.

A turn's events are one transaction. Writes replace existing rows, so that a write whose answer was lost can be
repeated.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import takewhile

from devhost.history.events import Event, Row, from_row, to_row
from devhost.storage.keys import escape_key, row_key
from devhost.storage.large_payloads import LARGE_TEXT_BYTES, LargePayloads
from devhost.storage.retry import StorageRefused
from devhost.storage.tables import DELETE, UPSERT_MERGE, UPSERT_REPLACE, Tables, encode_row

SENTINEL = "sentinel"
MAX_ROWS, MAX_BYTES = 99, 3_000_000


@dataclass
class History:
    """The stored events of an instance's current execution, up to its last complete checkpoint.

    `addresses` are those of the texts that lie in blobs, by `Type.Column`, as `append` returns them.
    """

    execution_id: str = ""
    events: list[Event] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def started(self) -> Event:
        return next(event for event in self.events if event.type == "ExecutionStarted")


class HistoryTable:
    def __init__(self, tables: Tables, payloads: LargePayloads, name: str) -> None:
        self._tables, self._payloads, self._name = tables, payloads, name

    async def create(self) -> None:
        await self._tables.create_table(self._name)

    async def append(
        self, instance_id: str, execution_id: str, first: int, events: list[Event], *, last: bool
    ) -> dict[str, str]:
        """Write a turn's events from ordinal `first` on; the addresses of texts that went to blobs, by `Type.Column`.

        One transaction, unless there are too many rows: then the last transaction completes the checkpoint. The
        sentinel says to which execution the rows belong, and whether a checkpoint is whole. So it is written in the
        first turn, in the `last`, and in turns of several transactions.
        """
        partition = escape_key(instance_id)
        keys = {"PartitionKey": partition, "RowKey": "", "ExecutionId": execution_id}
        rows = [{**keys, "RowKey": row_key(ordinal), **to_row(event)} for ordinal, event in enumerate(events, first)]
        batches: list[list[Row]] = [rows]
        addresses: dict[str, str] = {}
        if not _are_small(events):
            rows, addresses = await self._payloads.store_in_events(rows)
            batches = _batches(rows)
        needs_sentinel = first == 0 or last or len(batches) > 1
        for number, batch in enumerate(batches, 1):
            writes = [(UPSERT_REPLACE, row) for row in batch]
            if needs_sentinel:
                is_complete = number == len(batches)
                writes.append((UPSERT_MERGE, _sentinel(partition, execution_id, is_complete=is_complete)))
            await self._tables.transact(self._name, writes)
        return addresses

    async def read(self, instance_id: str) -> History:
        """The events of the current execution. Rows of an incomplete checkpoint are left out."""
        rows, sentinel = await self._current(instance_id)
        if sentinel is None:
            return History()
        events = [from_row(await self._payloads.fetch_event(row)) for row in rows]
        if not sentinel["IsCheckpointComplete"]:
            events = _up_to_last_checkpoint(events)
        return History(sentinel["ExecutionId"], events, self._payloads.addresses(rows))

    async def rows(self, instance_id: str) -> list[Row]:
        """The rows of the current execution as they are stored, in order, without the sentinel."""
        return (await self._current(instance_id))[0]

    async def _current(self, instance_id: str) -> tuple[list[Row], Row | None]:
        """The rows of the current execution in order, and the sentinel that names the execution."""
        rows = [row async for row in self._tables.query(self._name, _of(instance_id))]
        sentinel = next((row for row in rows if row["RowKey"] == SENTINEL), None)
        current = sentinel["ExecutionId"] if sentinel else None
        return list(takewhile(lambda row: row["ExecutionId"] == current and row["RowKey"] != SENTINEL, rows)), sentinel

    async def replace(self, rows: list[Row]) -> None:
        """Replace stored rows of one instance."""
        for part in _parts(rows):
            await self._tables.transact(self._name, [(UPSERT_REPLACE, row) for row in part])

    async def delete(self, instance_id: str) -> None:
        """Delete every row of an instance, of earlier executions too."""
        partition = escape_key(instance_id)
        rows = [row async for row in self._tables.query(self._name, _of(instance_id))]
        for part in _parts(rows):
            keys = [{"PartitionKey": partition, "RowKey": row["RowKey"]} for row in part]
            try:
                await self._tables.transact(self._name, [(DELETE, key) for key in keys])
            except StorageRefused as refusal:
                if refusal.status != HTTPStatus.NOT_FOUND:
                    raise
                await self.delete(instance_id)  # the answer was lost: these are deleted, others may be left
                return


def _of(instance_id: str) -> str:
    """The OData condition of an instance's rows."""
    partition = escape_key(instance_id).replace("'", "''")
    return f"PartitionKey eq '{partition}'"


def _sentinel(partition: str, execution_id: str, *, is_complete: bool) -> Row:
    return {
        "PartitionKey": partition,
        "RowKey": SENTINEL,
        "ExecutionId": execution_id,
        "IsCheckpointComplete": is_complete,
        "CheckpointCompletedTimestamp": datetime.now(UTC),
    }


def _are_small(events: list[Event]) -> bool:
    """Whether the rows of a turn fit one transaction, and each of its texts a cell, by their lengths alone."""
    texts = sum(len(value) for event in events for value in event.fields.values() if value.__class__ is str)
    return len(events) <= MAX_ROWS and texts * 4 <= LARGE_TEXT_BYTES


def _parts(rows: list[Row]) -> Iterable[list[Row]]:
    return (rows[start : start + MAX_ROWS] for start in range(0, len(rows), MAX_ROWS))


def _batches(rows: list[Row]) -> list[list[Row]]:
    """The rows in groups that fit one transaction each."""
    batches: list[list[Row]] = [[]]
    size = 0
    for row in rows:
        length = len(encode_row(row))
        if len(batches[-1]) == MAX_ROWS or size + length > MAX_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(row)
        size += length
    return batches


def _up_to_last_checkpoint(events: list[Event]) -> list[Event]:
    ends = [index for index, event in enumerate(events) if event.type == "OrchestratorCompleted"]
    return events[: ends[-1] + 1] if ends else []
