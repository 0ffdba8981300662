"""A table client of the few calls that devhost makes: create, read, query, write one, write a transaction.

Raw REST over http_client.py, because azure-data-tables costs about 6 ms of client CPU an entity-group transaction (see
account.py). A row is a dict of column to value with the type carried by the Python value: str, bool, int (Int32),
datetime (UTC, DateTime).
"""

import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import quote

from devhost.history.events import Row, fit_for_utf8, utc_text
from devhost.storage.account import StorageAccount
from devhost.storage.http_client import StorageHttp, StorageResponse
from devhost.storage.retry import NotNow, StorageRefused, StorageRetry

HEADERS = {
    "Accept": "application/json;odata=minimalmetadata",
    "Content-Type": "application/json",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
    "x-ms-version": "2019-02-02",
    "Prefer": "return-no-content",
}


@dataclass(frozen=True)
class WriteMode:
    """A way of writing a row: the verb, and the condition it carries."""

    verb: str
    condition: str | None = None


INSERT = WriteMode("POST")
UPSERT_REPLACE = WriteMode("PUT")
UPSERT_MERGE = WriteMode("MERGE")
DELETE = WriteMode("DELETE", "*")


def replace_if(etag: str) -> WriteMode:
    """Replace the row if its etag is still this one (else 412)."""
    return WriteMode("PUT", etag)


# One boundary for all requests: it is random for each process, so that no text of a row contains it.
BATCH, CHANGES = f"batch_{uuid.uuid4()}", f"changeset_{uuid.uuid4()}"
MAX_ROWS_OF_A_PAGE = 1000
BATCH_FAILURE = re.compile(rb"HTTP/1\.1 ([45]\d\d)[^\r\n]*")


class Tables:
    """The tables of one account. All calls wait for storage; only a refusal raises (StorageRefused)."""

    def __init__(self, account: StorageAccount, http: StorageHttp, retry: StorageRetry) -> None:
        self._account, self._http, self._retry = account, http, retry

    async def create_table(self, table: str) -> None:
        answer = await self._send("POST", "/Tables", json.dumps({"TableName": table}).encode())
        if answer.status != HTTPStatus.CONFLICT:
            _refuse_errors(answer)

    async def get(self, table: str, partition: str, row: str) -> Row | None:
        answer = await self._send("GET", _entity_path(table, partition, row))
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        _refuse_errors(answer)
        return decode_row(json.loads(answer.body))

    async def query(self, table: str, condition: str) -> AsyncIterator[Row]:
        """Every row that meets an OData condition, in key order."""
        token: dict[str, str] = {}
        while True:
            rows, token = await self.query_page(table, condition, MAX_ROWS_OF_A_PAGE, token)
            for row in rows:
                yield row
            if not token:
                return

    async def query_page(
        self, table: str, condition: str, top: int, token: dict[str, str]
    ) -> tuple[list[Row], dict[str, str]]:
        """One page of rows and the token of the next one (empty at the end)."""
        query = {"$top": str(top), **({"$filter": condition} if condition else {}), **token}
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        answer = await self._send("GET", f"/{table}()?{text}")
        _refuse_errors(answer)
        rows = [decode_row(row) for row in json.loads(answer.body)["value"]]
        return rows, _continuation(answer.headers)

    async def write(self, table: str, row: Row, mode: WriteMode) -> None:
        """Write one row. Raises StorageRefused: 409 for an insert of an existing row, 412 for a failed condition."""
        path = f"/{table}" if mode == INSERT else _entity_path(table, row["PartitionKey"], row["RowKey"])
        condition = {"If-Match": mode.condition} if mode.condition else {}
        _refuse_errors(await self._send(mode.verb, path, encode_row(row), condition))

    async def delete(self, table: str, partition: str, row: str) -> None:
        answer = await self._send("DELETE", _entity_path(table, partition, row), b"", {"If-Match": "*"})
        if answer.status != HTTPStatus.NOT_FOUND:
            _refuse_errors(answer)

    async def transact(self, table: str, operations: list[tuple[WriteMode, Row]]) -> None:
        """Do up to 100 operations on one partition, all or none."""
        body = self._batch_body(table, operations)
        headers = {"Content-Type": f"multipart/mixed; boundary={BATCH}"}
        answer = await self._send("POST", "/$batch", body, headers)
        _refuse_errors(answer)
        failure = BATCH_FAILURE.search(answer.body)
        if failure:
            raise StorageRefused(int(failure[1]), answer.body.decode(errors="replace"))

    def _batch_body(self, table: str, operations: list[tuple[WriteMode, Row]]) -> bytes:
        parts = [f"--{BATCH}\r\nContent-Type: multipart/mixed; boundary={CHANGES}\r\n\r\n".encode()]
        parts += [self._batch_part(table, mode, row) for mode, row in operations]
        parts.append(f"--{CHANGES}--\r\n--{BATCH}--\r\n".encode())
        return b"".join(parts)

    def _batch_part(self, table: str, mode: WriteMode, row: Row) -> bytes:
        path = f"/{table}" if mode == INSERT else _entity_path(table, row["PartitionKey"], row["RowKey"])
        body = b"" if mode == DELETE else encode_row(row)
        condition = f"If-Match: {mode.condition}\r\n" if mode.condition else ""
        head = (
            f"--{CHANGES}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            f"{mode.verb} {self._account.table_endpoint}{path} HTTP/1.1\r\n{condition}"
            "Content-Type: application/json\r\nAccept: application/json;odata=minimalmetadata\r\n"
            f"Prefer: return-no-content\r\nDataServiceVersion: 3.0;\r\n\r\n"
        )
        return head.encode() + body + b"\r\n"

    async def _send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> StorageResponse:
        return await self._retry.until_answered(lambda: self._try(method, path, body, headers or {}))

    async def _try(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> StorageResponse:
        url = self._account.table_endpoint + path
        full = {**HEADERS, **headers, **self._account.sign_table_request(url)}
        answer = await self._http.request(method, url, full, body)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise NotNow(f"it answered {answer.status}")
        return answer


def _refuse_errors(answer: StorageResponse) -> None:
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise StorageRefused(answer.status, answer.body.decode(errors="replace"))


def _entity_path(table: str, partition: str, row: str) -> str:
    return f"/{table}(PartitionKey='{_key(partition)}',RowKey='{_key(row)}')"


def _key(key: str) -> str:
    return quote(key.replace("'", "''"), safe="")


def _continuation(headers: dict[str, str]) -> dict[str, str]:
    partition = headers.get("x-ms-continuation-nextpartitionkey")
    if not partition:
        return {}
    return {"NextPartitionKey": partition, "NextRowKey": headers.get("x-ms-continuation-nextrowkey", "")}


def encode_row(row: Row) -> bytes:
    """A row as the service's JSON; None is left out, as by the service itself."""
    cells = [CELLS[value.__class__](column, value) for column, value in row.items() if value is not None]
    return fit_for_utf8(f"{{{','.join(cells)}}}").encode()


# By hand: a dict of cells and the encoder took twice as long, 26 times an order. Names of columns need no escapes.
CELLS: dict[type, Callable[[str, Any], str]] = {
    str: lambda column, value: f'"{column}":{encode_basestring(value)}',
    bool: lambda column, value: f'"{column}":{"true" if value else "false"}',
    int: lambda column, value: f'"{column}":{value}',
    datetime: lambda column, value: f'"{column}":"{odata_time(value)}","{column}@odata.type":"Edm.DateTime"',
}


def odata_time(value: datetime) -> str:
    """ISO 8601 with microseconds and a Z."""
    return utc_text(value) + "Z"


def decode_row(cells: dict[str, Any]) -> Row:
    """A row of the service's JSON. `odata.etag` stays, for conditional writes."""
    row: Row = {}
    for column, value in cells.items():
        if "@odata" in column:
            continue
        is_time = cells.get(f"{column}@odata.type") == "Edm.DateTime"
        row[column] = parse_time(value) if is_time else value
    return row


def parse_time(text: str) -> datetime:
    """A time of the table service: up to seven digits of fraction, always UTC."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0"))) if fraction else moment
