"""Texts that are too large for a cell: they lie in blobs, as the Azure Storage provider leaves them.

A row of the History has an empty cell and the blob's name in `<Column>BlobName`. A row of the Instances table has the
blob's address as its cell.
"""

import gzip
import uuid
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from devhost.history.events import Row
from devhost.storage.blobs import Blobs
from devhost.storage.keys import escape_key
from devhost.storage.retry import StorageRefused

LARGE_TEXT_BYTES = 61_440
LARGE_COLUMNS = ("Name", "Input", "Result", "Output", "Reason", "Details", "Correlation", "FailureDetails", "Tags")


class LargePayloads:
    """The large texts of one hub, in one container, which is created with the first of them."""

    def __init__(self, blobs: Blobs, container: str) -> None:
        self._blobs, self._container = blobs, container
        self._exists = False

    async def store_in_instance(self, row: Row, column: str) -> Row:
        """The row of an instance; a large text of the column is stored as a blob."""
        if not is_large(row.get(column)):
            return row
        return {**row, column: self._blobs.url(self._container, await self._store(row, column, column))}

    async def store_in_events(self, rows: list[Row]) -> tuple[list[Row], dict[str, str]]:
        """The rows of events without their large texts, and the addresses of these, by `Type.Column`."""
        stored = [await self._store_in_event(row) for row in rows]
        return stored, self.addresses(stored)

    def addresses(self, rows: Iterable[Row]) -> dict[str, str]:
        """The addresses of the texts of events that lie in blobs, by `Type.Column`."""
        return {
            f"{row['EventType']}.{column}": self._blobs.url(self._container, row[f"{column}BlobName"])
            for row in rows
            for column in LARGE_COLUMNS
            if row.get(f"{column}BlobName")
        }

    async def fetch_event(self, row: Row) -> Row:
        """The row of an event with its large texts."""
        for column in LARGE_COLUMNS:
            if row.get(f"{column}BlobName"):
                row = {**row, column: await self._fetch(row[f"{column}BlobName"])}
        return row

    async def fetch_instance(self, row: Row) -> Row:
        """The row of an instance with Input and Output fetched if the cell is the address of a blob."""
        texts = {column: await self._fetch_address(row[column]) for column in ("Input", "Output") if row.get(column)}
        return {**row, **texts}

    async def delete(self, instance_id: str, kept: Iterable[str] = ()) -> None:
        """Delete the large texts of an instance, except for those at the addresses in `kept`."""
        names = {self._name_of(address) for address in kept}
        await self._blobs.delete_by_prefix(self._container, f"{escape_key(instance_id)}/", names)

    async def _store_in_event(self, row: Row) -> Row:
        for column in LARGE_COLUMNS:
            if is_large(row.get(column)):
                row = {**row, f"{column}BlobName": await self._store(row, column, row["EventType"]), column: ""}
        return row

    async def _store(self, row: Row, column: str, kind: str) -> str:
        """Write the text of a cell as a blob; its name."""
        if not self._exists:
            await self._blobs.create_container(self._container)
            self._exists = True
        name = f"{row['PartitionKey']}/history-{row['RowKey']}-{kind}-{uuid.uuid4().hex[:8]}-{column}.json.gz"
        content = gzip.compress(row[column].encode(errors="surrogatepass"))
        await self._blobs.put(self._container, name, content, "application/octet-stream")
        return name

    async def _fetch_address(self, text: str) -> str:
        if not text.startswith(self._blobs.url(self._container, "")):
            return text
        return await self._fetch(self._name_of(text))

    def _name_of(self, address: str) -> str:
        base = self._blobs.url(self._container, "")
        return unquote(urlsplit(address).path.removeprefix(urlsplit(base).path))

    async def _fetch(self, name: str) -> str:
        content = await self._blobs.get(self._container, name)
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
