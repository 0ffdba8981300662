"""The storage account: how it is named by settings, how its faults are translated, how writers make way for each other.

The connection is the Functions host's own (`AzureWebJobsStorage`), in each of its forms: a connection string,
`UseDevelopmentStorage=true`, or an identity (`AzureWebJobsStorage__accountName`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.data.tables import TableClient, TableServiceClient
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, LinearRetry

from models.errors import OrderSagaError, Unavailable

SETTING = "AzureWebJobsStorage"
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
PATIENCE: dict[str, Any] = {"retry_total": 2, "retry_backoff_factor": 0.2, "connection_timeout": 5, "read_timeout": 15}
# The blob client waits 15 seconds before its first retry, unless it is told otherwise by a policy of its own kind.
BLOB_PATIENCE: dict[str, Any] = {
    "retry_policy": LinearRetry(backoff=1, retry_total=2, random_jitter_range=1),
    "connection_timeout": 5,
    "read_timeout": 15,
}
WRITE_ATTEMPTS = 60


class Storage(NamedTuple):
    tables: TableServiceClient
    blobs: BlobServiceClient


def faults(env: Mapping[str, str]) -> list[str]:
    """What is wrong with the storage settings, as sentences."""
    if env.get(f"{SETTING}__accountName"):
        return []
    connection = env.get(SETTING, "")
    if not connection:
        return [f"{SETTING} is not set: give a connection string, or {SETTING}__accountName to use an identity."]
    if connection != "UseDevelopmentStorage=true" and "AccountName=" not in connection:
        return [f"{SETTING} is no storage connection string: it names no AccountName."]
    return []


def connect(env: Mapping[str, str]) -> Storage:
    """Clients for tables and blobs. Opens no connection."""
    account = env.get(f"{SETTING}__accountName")
    if account:
        return _by_identity(env, account)
    connection = env[SETTING]
    text = EMULATOR if connection == "UseDevelopmentStorage=true" else connection
    return Storage(
        TableServiceClient.from_connection_string(text, **PATIENCE),
        BlobServiceClient.from_connection_string(text, **BLOB_PATIENCE),
    )


def _by_identity(env: Mapping[str, str], account: str) -> Storage:
    credential = DefaultAzureCredential(managed_identity_client_id=env.get(f"{SETTING}__clientId"))
    tables = env.get(f"{SETTING}__tableServiceUri", f"https://{account}.table.core.windows.net")
    blobs = env.get(f"{SETTING}__blobServiceUri", f"https://{account}.blob.core.windows.net")
    return Storage(
        TableServiceClient(tables, credential=credential, **PATIENCE),
        BlobServiceClient(blobs, credential=credential, **BLOB_PATIENCE),
    )


def open_table(storage: Storage, name: str) -> TableClient:
    """The table, created when it is not there. Raises Unavailable."""
    with storage_faults(f"table {name}"):
        try:
            return storage.tables.create_table(name)
        except ResourceExistsError:
            return storage.tables.get_table_client(name)


@contextmanager
def storage_faults(what: str) -> Iterator[None]:
    """Translate what storage raises into Unavailable, once, without its text (which quotes requests)."""
    try:
        yield
    except OrderSagaError:
        raise
    except HttpResponseError as error:
        raise Unavailable(f"Storage refused {what}: {error.status_code} {error.reason}.") from error
    except AzureError as error:
        raise Unavailable(f"Storage did not answer for {what}: {type(error).__name__}.") from error


def write_attempts(what: str) -> Iterator[int]:
    """Attempts at a write that other writers may win: each waits a little longer, with jitter.

    Losing all of them is a fault, never a refusal: nothing was decided.
    """
    for attempt in range(WRITE_ATTEMPTS):
        yield attempt
        time.sleep(random.uniform(0, min(0.01 * (attempt + 1), 0.2)))  # noqa: S311  # jitter, no secret
    raise Unavailable(f"Too many writers want {what} at once.")
