"""Transactions of Azure's table client, with the envelope written and read by hand.

azure-core makes a transaction of two rows an e-mail message within an e-mail message, and reads the answer with the
e-mail parser: 4.1 ms of CPU where a single row takes 1.0. The parts are made by the SDK as before and go through its
pipeline (signature, retries, connections); only the multipart text around them is joined here, and its answer is split
by two patterns: 1.15 ms. So a second row, such as an audit row, costs next to nothing.

The form is in "Performing entity group transactions" of the REST documentation:
https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions

A test compares both ways on real tables, and fails when an update of the SDK has no such method any more.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.data.tables import TableTransactionError
from azure.data.tables._base_client import TablesBaseClient

ACCEPTED = 202
HEADERS = {"DataServiceVersion": "3.0", "MaxDataServiceVersion": "3.0;NetFx", "Accept": "application/json"}
PART = re.compile(r"HTTP/1\.1 (\d{3})(.*?)(?=\r?\n--changesetresponse|\Z)", re.DOTALL)
ETAG = re.compile(r"^ETag: *(.+?)\r?$", re.MULTILINE | re.IGNORECASE)
CHANGE = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary"


def use_quick_batches() -> None:
    """Speed up every table client of this process. Safe to repeat."""
    TablesBaseClient._batch_send = batch_send  # type: ignore[method-assign, assignment]


def batch_send(client: Any, table_name: str, *parts: HttpRequest, **options: Any) -> list[Mapping[str, Any]]:
    """The ETag of each part. Raises TableTransactionError for a part that is refused, else HttpResponseError."""
    name = uuid.uuid4()
    headers = {**HEADERS, "x-ms-version": client.api_version, "Content-Type": f"multipart/mixed; boundary=batch_{name}"}
    url = f"{client.scheme}://{client._primary_hostname}/$batch"
    request = HttpRequest("POST", url, headers=headers, content=envelope(name, parts).encode())
    response = client._client.send_request(request, stream=True, **options)
    response.read()
    if response.status_code != ACCEPTED:
        raise HttpResponseError(response=response)
    return [{"etag": etag} for etag in etags(response.text())]


def envelope(name: uuid.UUID, parts: tuple[HttpRequest, ...]) -> str:
    lines = [f"--batch_{name}", f"Content-Type: multipart/mixed; boundary=changeset_{name}", ""]
    for part in parts:
        headers = "\r\n".join(f"{header}: {value}" for header, value in part.headers.items())
        lines += [f"--changeset_{name}", CHANGE, "", f"{part.method} {part.url} HTTP/1.1", headers, "", _text(part), ""]
    return "\r\n".join([*lines, f"--changeset_{name}--", f"--batch_{name}--", ""])


def _text(part: HttpRequest) -> str:
    content = part.content or ""
    return content.decode() if isinstance(content, bytes) else str(content)


def etags(answer: str) -> Iterator[str | None]:
    for status, part in PART.findall(answer):
        if not status.startswith("2"):
            raise _refused(int(status), part)
        match = ETAG.search(part)
        yield match.group(1) if match else None


def _refused(status: int, part: str) -> TableTransactionError:
    """With storage's own code as the reason; its message begins with the number of the operation that was refused."""
    try:
        detail = json.loads(part[part.index("{") :])["odata.error"]
    except (ValueError, KeyError):
        detail = {"code": "unknown", "message": {"value": "the transaction was refused"}}
    error = TableTransactionError(message=detail["message"]["value"])
    error.status_code, error.reason = status, detail["code"]
    return error
