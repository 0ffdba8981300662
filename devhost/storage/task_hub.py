"""The rows of a task hub: Instances, History and large payloads, in the Azure Storage provider's names and types.

The store knows rows, not decisions. Writes are replacements or merges, so that a write whose answer was lost can be
made again; the one exception is the row of a new instance, whose Insert is what makes a start happen once.
"""

import gzip
import json
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import takewhile
from typing import Any
from urllib.parse import unquote, urlsplit

from devhost.history.events import Event, from_row, to_row
from devhost.storage.blobs import Blobs
from devhost.storage.keys import escape_key, row_key
from devhost.storage.queues import Queues
from devhost.storage.retry import StorageRefused
from devhost.storage.rewind import rewound, without_service_columns
from devhost.storage.tables import (
    DELETE,
    INSERT,
    MERGE,
    UPSERT_MERGE,
    UPSERT_REPLACE,
    Row,
    Tables,
    encode_row,
    replace_if,
)

SENTINEL = "sentinel"
MARKER = "taskhub.json"
LARGE_TEXT_BYTES = 61_440
MAX_ROWS, MAX_BYTES = 99, 3_000_000
LARGE_COLUMNS = ("Name", "Input", "Result", "Output", "Reason", "Details", "Correlation", "FailureDetails", "Tags")
UNFINISHED = ("Pending", "Running", "Suspended", "ContinuedAsNew")
FINISHED = ("Completed", "Failed", "Terminated", "Canceled")


class InstanceExists(Exception):
    """An instance of that id is there already; `status` is its RuntimeStatus."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class ForeignHub(Exception):
    """The hub belongs to another host; the text is one sentence."""


@dataclass
class History:
    """The stored events of an instance's current execution, up to its last complete checkpoint.

    `addresses` are those of the texts that lie in blobs, by `Type.Column`, as `append` tells them.
    """

    execution_id: str = ""
    events: list[Event] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def started(self) -> Event:
        return next(event for event in self.events if event.type == "ExecutionStarted")


class TaskHub:
    def __init__(self, hub: str, tables: Tables, blobs: Blobs, queues: Queues, partitions: int) -> None:
        self.hub = hub
        self._tables, self._blobs, self._queues, self._partitions = tables, blobs, queues, partitions
        self._instances, self._history = f"{hub}Instances", f"{hub}History"
        self._large, self._leases = f"{hub.lower()}-largemessages", f"{hub.lower()}-leases"
        self._large_exists = False

    async def open(self) -> None:
        """Create what is missing. Raises ForeignHub for a hub that another host has used."""
        await self._blobs.create_container(self._leases)
        await self._claim()
        for table in (self._instances, self._history):
            await self._tables.create_table(table)

    async def _claim(self) -> None:
        """Mark the hub as devhost's. The real host keeps work in queues: each would strand the other's instances."""
        content = await self._blobs.get(self._leases, MARKER)
        if content is None:
            await self._create_provider_objects()
            created = {"CreatedAt": datetime.now(UTC).isoformat(), "PartitionCount": self._partitions}
            marker = {"TaskHubName": self.hub, **created}
            text = json.dumps({**marker, "host": "devhost"})
            await self._blobs.put(self._leases, MARKER, text.encode(), "application/json")
        elif json.loads(content).get("host") != "devhost":
            raise ForeignHub(
                f"The task hub '{self.hub}' has been used by the Azure Functions host; give devhost a hub of its own "
                "(AzureFunctionsJobHost__extensions__durableTask__hubName)."
            )

    async def _create_provider_objects(self) -> None:
        """Make what the real provider has beside the tables and devhost never uses, for who looks at the account."""
        hub = self.hub.lower()
        control = [f"{hub}-control-{number:02}" for number in range(self._partitions)]
        await self._queues.create([*control, f"{hub}-workitems"])
        await self._blobs.create_container(f"{hub}-applease")

    # --- instances ---

    async def insert_instance(self, instance_id: str, columns: Row, any_state: bool) -> int:
        """Insert the row of a new instance, or replace a finished one's; its generation. Raises InstanceExists."""
        row = self._instance_row(instance_id, {**columns, "Generation": 0})
        row = await self._offload(row, "Input", "", as_url=True)
        try:
            await self._tables.write(self._instances, row, INSERT)
        except StorageRefused as refusal:
            if refusal.status != HTTPStatus.CONFLICT:
                raise
        else:
            return 0
        return await self._replace_instance(row, any_state)

    async def _replace_instance(self, row: Row, any_state: bool) -> int:
        old = await self._tables.get(self._instances, row["PartitionKey"], "")
        if old is None:
            raise InstanceExists("Pending")
        if old["ExecutionId"] == row["ExecutionId"]:
            return 0  # our own insert, whose answer was lost
        if old["RuntimeStatus"] in UNFINISHED and not any_state:
            raise InstanceExists(old["RuntimeStatus"])
        generation = int(old.get("Generation") or 0) + 1
        try:
            replacement = {**row, "Generation": generation}
            await self._tables.write(self._instances, replacement, replace_if(old["odata.etag"]))
        except StorageRefused as refusal:
            if refusal.status != HTTPStatus.PRECONDITION_FAILED:
                raise
            raise InstanceExists("Pending") from refusal
        return generation

    async def merge_instance(self, instance_id: str, columns: Row, exists: bool) -> None:
        """Merge columns into an instance's row. A sub-orchestration's does not exist before its first checkpoint."""
        row = self._instance_row(instance_id, columns)
        await self._tables.write(self._instances, row, MERGE if exists else UPSERT_MERGE)

    async def instance(self, instance_id: str) -> Row | None:
        """The row of an instance, large texts fetched, or None."""
        row = await self._tables.get(self._instances, escape_key(instance_id), "")
        return await self.with_texts(row) if row else None

    async def unfinished(self) -> AsyncIterator[Row]:
        condition = " or ".join(f"RuntimeStatus eq '{status}'" for status in UNFINISHED)
        async for row in self._tables.query(self._instances, condition):
            yield row

    async def instances(self, condition: str, top: int, token: dict[str, str]) -> tuple[list[Row], dict[str, str]]:
        """One page of instance rows and the token of the next page."""
        return await self._tables.query_page(self._instances, condition, top, token)

    async def with_texts(self, row: Row) -> Row:
        """The row with Input and Output fetched where the cell is the address of a blob."""
        fetched = {column: await self._fetch_url(row[column]) for column in ("Input", "Output") if row.get(column)}
        return {**row, **fetched}

    def _instance_row(self, instance_id: str, columns: Row) -> Row:
        return {"PartitionKey": escape_key(instance_id), "RowKey": "", **columns}

    # --- history ---

    async def append(
        self, instance_id: str, execution_id: str, first: int, events: list[Event], *, last: bool, over: bool = False
    ) -> dict[str, str]:
        """Write a turn's events from ordinal `first` on; the addresses of texts that went to blobs, by `Type.Column`.

        One transaction, unless there are too many rows: then the last one completes the checkpoint. The sentinel is in
        the first turn, in the `last`, and wherever it takes several transactions. It is there to tell which execution
        the rows belong to and whether a checkpoint is whole: a turn of one transaction in between changes neither.
        `over`: rows of an earlier execution are expected where these are written.
        """
        partition = escape_key(instance_id)
        keys = {"PartitionKey": partition, "RowKey": "", "ExecutionId": execution_id}
        rows = [{**keys, "RowKey": row_key(ordinal), **to_row(event)} for ordinal, event in enumerate(events, first)]
        batches: list[list[Row]] = [rows]
        addresses: dict[str, str] = {}
        if not _are_small(events):
            rows, addresses = await self._offloaded(rows)
            batches = _batches(rows)
        if len(batches) == 1 and first and not last:
            await self._write(rows, [], over)
            return addresses
        for number, batch in enumerate(batches, 1):
            await self._write_batch(partition, execution_id, batch, number == len(batches), over)
        return addresses

    async def _write_batch(
        self, partition: str, execution_id: str, rows: list[Row], complete: bool, over: bool
    ) -> None:
        sentinel = {
            "PartitionKey": partition,
            "RowKey": SENTINEL,
            "ExecutionId": execution_id,
            "IsCheckpointComplete": complete,
            "CheckpointCompletedTimestamp": datetime.now(UTC),
        }
        await self._write(rows, [sentinel], over)

    async def _write(self, rows: list[Row], sentinels: list[Row], over: bool) -> None:
        """Write rows that are new and the sentinel; when something of them is there already, replace it.

        Rows are there after an earlier execution of the id, and when the answer to this very write was lost. Trying the
        inserts first is worth it: Azurite looks a row up once for an insert, and twice for a replacement.
        """
        begins = rows[0]["RowKey"] == row_key(0)
        if over:
            await self._replace(rows, sentinels)
            return
        try:
            fresh = [(INSERT, row) for row in rows]
            marked = [(INSERT if begins else MERGE, sentinel) for sentinel in sentinels]
            await self._tables.transact(self._history, [*fresh, *marked])
        except StorageRefused as refusal:
            if refusal.status not in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                raise
            await self._replace(rows, sentinels)

    async def _replace(self, rows: list[Row], sentinels: list[Row]) -> None:
        replaced = [(UPSERT_REPLACE, row) for row in rows]
        await self._tables.transact(self._history, [*replaced, *((UPSERT_MERGE, each) for each in sentinels)])

    async def history(self, instance_id: str) -> History:
        """The events of the current execution. Rows after a checkpoint that never became complete are left out."""
        rows, sentinel = await self._rows(instance_id)
        if sentinel is None:
            return History()
        events = [from_row(await self._fetch_texts(row)) for row in rows]
        if not sentinel["IsCheckpointComplete"]:
            events = _up_to_last_checkpoint(events)
        addresses = {name: address for row in rows for name, address in self._addresses(row).items()}
        return History(sentinel["ExecutionId"], events, addresses)

    async def _rows(self, instance_id: str) -> tuple[list[Row], Row | None]:
        """The rows of the current execution in order, and the sentinel that tells which one that is."""
        partition = escape_key(instance_id).replace("'", "''")
        rows = [row async for row in self._tables.query(self._history, f"PartitionKey eq '{partition}'")]
        sentinel = next((row for row in rows if row["RowKey"] == SENTINEL), None)
        current = sentinel["ExecutionId"] if sentinel else None
        return list(takewhile(lambda row: row["ExecutionId"] == current and row["RowKey"] != SENTINEL, rows)), sentinel

    async def rewind(self, instance_id: str) -> list[str]:
        """Take the failures out of a failed instance's history, and of its failed children's; the ids of all that were
        rewound, the deepest first.
        """
        rows, _ = await self._rows(instance_id)
        changed, children = rewound(rows)
        ids = [each for child in children for each in await self.rewind(child)]
        for start in range(0, len(changed), MAX_ROWS):
            part = [(UPSERT_REPLACE, without_service_columns(row)) for row in changed[start : start + MAX_ROWS]]
            await self._tables.transact(self._history, part)
        pending = {"RuntimeStatus": "Pending", "LastUpdatedTime": datetime.now(UTC)}
        await self.merge_instance(instance_id, pending, exists=True)
        return [*ids, instance_id]

    async def purge(self, instance_id: str) -> None:
        """Delete the history, the large payloads and the row of an instance."""
        partition = escape_key(instance_id)
        condition = f"PartitionKey eq '{partition.replace(chr(39), chr(39) * 2)}'"
        keys = [row["RowKey"] async for row in self._tables.query(self._history, condition)]
        for start in range(0, len(keys), MAX_ROWS):
            rows = [(DELETE, {"PartitionKey": partition, "RowKey": key}) for key in keys[start : start + MAX_ROWS]]
            await self._tables.transact(self._history, rows)
        await self._blobs.delete_by_prefix(self._large, f"{partition}/")
        await self._tables.delete(self._instances, partition, "")

    async def drop_old_texts(self, instance_id: str, kept: Iterable[str]) -> None:
        """Delete the large payloads of an instance, but for those at the given addresses."""
        names = {self._name_of(address) for address in kept}
        await self._blobs.delete_by_prefix(self._large, f"{escape_key(instance_id)}/", names)

    # --- large texts ---

    async def _offloaded(self, rows: list[Row]) -> tuple[list[Row], dict[str, str]]:
        """The rows without their large texts, and the addresses of these."""
        found = [await self._event_row(row) for row in rows]
        addresses = {name: address for _, moved in found for name, address in moved.items()}
        return [row for row, _ in found], addresses

    async def _event_row(self, row: Row) -> tuple[Row, dict[str, str]]:
        large = [column for column in LARGE_COLUMNS if is_large(row.get(column))]
        for column in large:
            row = await self._offload(row, column, row["EventType"])
        return row, self._addresses(row) if large else {}

    def _addresses(self, row: Row) -> dict[str, str]:
        """The addresses of an event's texts that lie in blobs, by `Type.Column`."""
        names = {column: row.get(f"{column}BlobName") for column in LARGE_COLUMNS}
        return {
            f"{row['EventType']}.{column}": self._blobs.url(self._large, name) for column, name in names.items() if name
        }

    async def _offload(self, row: Row, column: str, event_type: str, as_url: bool = False) -> Row:
        """The row with a large text moved to a blob: an empty cell and the name beside it, or the address as cell."""
        if not is_large(row.get(column)):
            return row
        if not self._large_exists:
            await self._blobs.create_container(self._large)
            self._large_exists = True
        kind = event_type or column
        name = f"{row['PartitionKey']}/history-{row['RowKey']}-{kind}-{uuid.uuid4().hex[:8]}-{column}.json.gz"
        await self._blobs.put(
            self._large, name, gzip.compress(row[column].encode(errors="surrogatepass")), "application/octet-stream"
        )
        if as_url:
            return {**row, column: self._blobs.url(self._large, name)}
        return {**row, column: "", f"{column}BlobName": name}

    async def _fetch_texts(self, row: Row) -> Row:
        for column in LARGE_COLUMNS:
            if row.get(f"{column}BlobName"):
                row = {**row, column: await self._fetch(row[f"{column}BlobName"])}
        return row

    async def _fetch_url(self, text: str) -> str:
        if not text.startswith(self._blobs.url(self._large, "")):
            return text
        return await self._fetch(self._name_of(text))

    def _name_of(self, address: str) -> str:
        base = self._blobs.url(self._large, "")
        return unquote(urlsplit(address).path.removeprefix(urlsplit(base).path))

    async def _fetch(self, name: str) -> str:
        content = await self._blobs.get(self._large, name)
        if content is None:
            raise StorageRefused(HTTPStatus.NOT_FOUND, f"the large payload {name} is gone")
        return gzip.decompress(content).decode(errors="surrogatepass")


def is_large(text: Any) -> bool:
    """Whether a text is over the 60 KiB of UTF-16 that the provider keeps in a cell."""
    return (
        isinstance(text, str)
        and len(text) * 4 > LARGE_TEXT_BYTES
        and len(text.encode("utf-16-le", "surrogatepass")) > LARGE_TEXT_BYTES
    )


def _are_small(events: list[Event]) -> bool:
    """Whether the rows of a turn fit one transaction, and each of its texts a cell, as their lengths alone tell."""
    texts = sum(len(value) for event in events for value in event.fields.values() if value.__class__ is str)
    return len(events) <= MAX_ROWS and texts * 4 <= LARGE_TEXT_BYTES


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
