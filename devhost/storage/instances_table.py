"""The table `<hub>Instances`: one row for each instance, and its columns in each state.

Writes are merges, so that a write whose answer was lost can be repeated. The one exception is the row of a new
instance: its Insert makes a start happen once.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus

from devhost.history.events import FINISHED, UNFINISHED, Event, Row
from devhost.storage.keys import escape_key
from devhost.storage.large_payloads import LargePayloads
from devhost.storage.retry import StorageRefused
from devhost.storage.tables import INSERT, UPSERT_MERGE, Tables, WriteMode, replace_if


class InstanceExists(Exception):
    """An instance of that id exists already; `status` is its RuntimeStatus."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class InstancesTable:
    def __init__(self, tables: Tables, payloads: LargePayloads, name: str) -> None:
        self._tables, self._payloads, self._name = tables, payloads, name

    async def create(self) -> None:
        await self._tables.create_table(self._name)

    async def insert(self, instance_id: str, columns: Row, any_state: bool) -> int:
        """Insert the row of a new instance, or replace a finished one's; the generation. Raises InstanceExists."""
        row = await self._payloads.store_in_instance(_row(instance_id, columns), "Input")
        generation, mode = 0, INSERT
        while not await self._was_written({**row, "Generation": generation}, mode):
            old = await self._tables.get(self._name, row["PartitionKey"], "")
            if old is None:  # purged since
                generation, mode = 0, INSERT
                continue
            generation = int(old.get("Generation") or 0)
            if old["ExecutionId"] == row["ExecutionId"]:
                break  # our own write, whose answer was lost
            if old["RuntimeStatus"] in UNFINISHED and not any_state:
                raise InstanceExists(old["RuntimeStatus"])
            generation, mode = generation + 1, replace_if(old["odata.etag"])
        return generation

    async def _was_written(self, row: Row, mode: WriteMode) -> bool:
        """Write a row under a condition; whether it held."""
        try:
            await self._tables.write(self._name, row, mode)
        except StorageRefused as refusal:
            if refusal.status not in (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_FOUND):
                raise
            return False
        return True

    async def merge(self, instance_id: str, columns: Row) -> None:
        """Merge columns into an instance's row. A sub-orchestration has no row before its first checkpoint."""
        await self._tables.write(self._name, _row(instance_id, columns), UPSERT_MERGE)

    async def get(self, instance_id: str) -> Row | None:
        """The row of an instance, large texts fetched, or None."""
        row = await self._tables.get(self._name, escape_key(instance_id), "")
        return await self.with_texts(row) if row else None

    async def unfinished(self) -> AsyncIterator[Row]:
        """The rows of all instances that have not ended, without their large texts."""
        condition = " or ".join(f"RuntimeStatus eq '{status}'" for status in UNFINISHED)
        async for row in self._tables.query(self._name, condition):
            yield row

    async def page(self, condition: str, top: int, token: dict[str, str]) -> tuple[list[Row], dict[str, str]]:
        """One page of rows, without their large texts, and the token of the next page."""
        return await self._tables.query_page(self._name, condition, top, token)

    async def with_texts(self, row: Row) -> Row:
        """The row with Input and Output fetched if the cell is the address of a blob."""
        return await self._payloads.fetch_instance(row)

    async def delete(self, instance_id: str) -> None:
        await self._tables.delete(self._name, escape_key(instance_id), "")


def _row(instance_id: str, columns: Row) -> Row:
    return {"PartitionKey": escape_key(instance_id), "RowKey": "", **columns}


def pending_columns(started: Event, hub: str) -> Row:
    """The columns that a start inserts. `started`: the ExecutionStarted of the new execution."""
    return _columns(started, "Pending", hub) | {"LastUpdatedTime": started.at}


def columns_of(started: Event, status: str, custom_status: str, hub: str) -> Row:
    """The columns of an execution that has run, without the time of its last update, its output and its end."""
    more = {"CustomStatus": custom_status, "Generation": started.fields.get("Generation") or 0}
    return _columns(started, status, hub) | more


def _columns(started: Event, status: str, hub: str) -> Row:
    fields = started.fields
    return {
        "Name": fields["Name"],
        "Version": fields["Version"],
        "Input": fields["Input"],
        "CreatedTime": started.at,
        "RuntimeStatus": status,
        "ExecutionId": fields["OrchestrationInstance"]["ExecutionId"],
        "TaskHubName": hub,
        "Tags": "null",
    }


def output_columns(status: str, output: str | None, at: datetime) -> Row:
    """The columns that a turn adds with an output: the end of an execution, or the reason of a suspension or a
    resumption, which the provider writes into the same column.
    """
    if status in FINISHED:
        return {"Output": output, "CompletedTime": at}
    return {} if output is None else {"Output": output}


def by_address(columns: Row, addresses: dict[str, str]) -> Row:
    """The columns whose text the History keeps in a blob, with the blob's address in place of the text."""
    origins = {"Input": "ExecutionStarted.Input", "Output": "ExecutionCompleted.Result"}
    return {name: addresses[origin] for name, origin in origins.items() if name in columns and origin in addresses}
