"""The storage account: which settings name it, how its faults are translated, how competing writers retry.

The connection is the Functions host's own (`AzureWebJobsStorage`), in each of its forms: a connection string,
`UseDevelopmentStorage=true`, or an identity. An identity comes with the account's name
(`AzureWebJobsStorage__accountName`) or with its three addresses (`__blobServiceUri`, `__queueServiceUri` and
`__tableServiceUri`), which is what azd's templates set. As in the host, a connection string goes before an identity,
and an address before the name.
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.core.utils import parse_connection_string
from azure.data.tables import EdmType, EntityProperty, TableClient, TableServiceClient
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, LinearRetry

from models.errors import OrderSagaError, Unavailable
from services.addresses import parse_http
from services.connections import azure_transport
from services.tables.quick_batches import use_quick_batches

SETTING = "AzureWebJobsStorage"
ACCOUNT = f"{SETTING}__accountName"
# The app uses no queues; the host does.
URIS = {service: f"{SETTING}__{service}ServiceUri" for service in ("blob", "queue", "table")}
DEVELOPMENT = "UseDevelopmentStorage=true"
# The emulator's account and key are published constants:
# https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
# Short: an activity that fails is retried by the saga on durable timers, which hold no thread.
CONNECT_AND_READ_S = (5.0, 15.0)
PATIENCE: dict[str, Any] = {"retry_total": 2, "retry_backoff_factor": 0.2}
# The blob client waits 15 seconds before its first retry, unless it has a policy of its own kind.
BLOB_PATIENCE: dict[str, Any] = {
    "retry_policy": LinearRetry(backoff=1, retry_total=2, random_jitter_range=1),
}
WRITE_ATTEMPTS = 60


class Storage(NamedTuple):
    tables: TableServiceClient
    blobs: BlobServiceClient


def faults(env: Mapping[str, str]) -> list[str]:
    """The faults of the storage settings, as sentences that quote no value."""
    connection = env.get(SETTING, "")
    if not connection:
        return _faults_of_an_identity(env)
    fault = None if connection == DEVELOPMENT else _fault_of_a_connection(connection)
    return [f"{SETTING} is no storage connection string: {fault}."] if fault else []


def _fault_of_a_connection(connection: str) -> str | None:
    """The end of a sentence. The SDK's clients raise ValueError for each of these."""
    try:
        parts = parse_connection_string(connection)
    except ValueError:
        return "it must be name=value pairs with semicolons between them"
    if "accountname" not in parts:
        return "it names no AccountName"
    if "accountkey" not in parts:
        return None if "sharedaccesssignature" in parts else "it has no AccountKey"
    try:
        base64.b64decode(parts["accountkey"], validate=True)
    except ValueError:
        return "its AccountKey is not in base 64"
    return None


def _faults_of_an_identity(env: Mapping[str, str]) -> list[str]:
    addresses = {name: env[name] for name in URIS.values() if env.get(name)}
    if not addresses and not env.get(ACCOUNT):
        return [
            f"{SETTING} is not set: give a connection string, or {ACCOUNT} or the three of "
            f"{SETTING}__blobServiceUri, __queueServiceUri and __tableServiceUri to use an identity."
        ]
    missing = [] if env.get(ACCOUNT) else [name for name in URIS.values() if name not in addresses]
    return [
        *(f"{name} is not set: an identity needs all three addresses, or {ACCOUNT}." for name in missing),
        *(f"{name} {fault}." for name, value in addresses.items() if (fault := _fault_of(value)) is not None),
    ]


def _fault_of(address: str) -> str | None:
    try:
        parse_http(address)
    except ValueError as fault:
        return str(fault)
    return None


def connect(env: Mapping[str, str]) -> Storage:
    """Clients for tables and blobs. Opens no connection."""
    use_quick_batches()
    connection = env.get(SETTING)
    if not connection:
        return _by_identity(env)
    text = EMULATOR if connection == DEVELOPMENT else connection
    return Storage(
        TableServiceClient.from_connection_string(text, **PATIENCE, transport=azure_transport(*CONNECT_AND_READ_S)),
        BlobServiceClient.from_connection_string(text, **BLOB_PATIENCE, transport=azure_transport(*CONNECT_AND_READ_S)),
    )


def _by_identity(env: Mapping[str, str]) -> Storage:
    credential = DefaultAzureCredential(managed_identity_client_id=env.get(f"{SETTING}__clientId"))
    tables, blobs = (
        env.get(URIS[service]) or f"https://{env[ACCOUNT]}.{service}.core.windows.net" for service in ("table", "blob")
    )
    return Storage(
        TableServiceClient(tables, credential=credential, **PATIENCE, transport=azure_transport(*CONNECT_AND_READ_S)),
        BlobServiceClient(
            blobs, credential=credential, **BLOB_PATIENCE, transport=azure_transport(*CONNECT_AND_READ_S)
        ),
    )


def open_table(storage: Storage, name: str) -> TableClient:
    """The table, created when it is not there. Raises Unavailable."""
    with storage_faults(f"table {name}"):
        try:
            return storage.tables.create_table(name)
        except ResourceExistsError:
            return storage.tables.get_table_client(name)


def number(value: int) -> int | EntityProperty:
    """A whole number as the value of a column, marked as 64-bit if it does not fit into 32 bits."""
    return value if -(2**31) <= value < 2**31 else EntityProperty(value, EdmType.INT64)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row, with 64-bit numbers as plain numbers."""
    return {name: value.value if isinstance(value, EntityProperty) else value for name, value in row.items()}


@contextmanager
def storage_faults(subject: str) -> Iterator[None]:
    """Translate what storage raises into Unavailable, once, without its text (which quotes requests)."""
    try:
        yield
    except OrderSagaError:
        raise
    except HttpResponseError as error:
        # Without a status it is a fault of the key or of the identity, which the SDK found before it sent anything.
        why = f"{error.status_code} {error.reason}" if error.status_code else type(error).__name__
        raise Unavailable(f"Storage refused {subject}: {why}.") from error
    except AzureError as error:
        raise Unavailable(f"Storage did not answer for {subject}: {type(error).__name__}.") from error


def write_attempts(subject: str) -> Iterator[int]:
    """Attempts at a write that other writers may win: each waits a little longer, with jitter.

    Losing all of them is a fault, never a refusal: nothing was decided.
    """
    for attempt in range(WRITE_ATTEMPTS):
        yield attempt
        time.sleep(random.uniform(0, min(0.01 * (attempt + 1), 0.2)))  # noqa: S311  # jitter, no secret
    raise Unavailable(f"Too many writers want {subject} at once.")
