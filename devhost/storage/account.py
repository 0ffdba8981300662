"""A storage account: endpoints, key and the signatures of requests.

devhost signs its own requests instead of going through azure-data-tables: measured against the same Azurite, that SDK
spends about 6 ms of CPU on one entity-group transaction, which would be most of the cost of an orchestration's turn.
The signatures are Shared Key Lite for tables (date and resource), and Shared Key for blobs and queues.
"""

import base64
import hmac
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
EMULATOR = (
    "AccountName=devstoreaccount1;AccountKey=" + EMULATOR_KEY + ";BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
SERVICE_VERSION = "2021-12-02"


@dataclass(frozen=True)
class StorageAccount:
    name: str
    key: bytes
    blob_endpoint: str
    table_endpoint: str
    queue_endpoint: str

    def sign_table_request(self, url: str) -> dict[str, str]:
        """The Date and Authorization headers of a table request (Shared Key Lite: the query does not count)."""
        date = http_date(int(time.time()))
        signature = self._hmac(f"{date}\n/{self.name}{urlsplit(url).path}")
        return {"x-ms-date": date, "Authorization": f"SharedKeyLite {self.name}:{signature}"}

    def sign_request(self, method: str, url: str, headers: dict[str, str], length: int) -> dict[str, str]:
        """The headers of a request for blobs or queues, including those of the argument."""
        full = {**headers, "x-ms-date": http_date(int(time.time())), "x-ms-version": SERVICE_VERSION}
        lines = [method, "", "", str(length) if length else "", "", full.get("Content-Type", "")]
        lines += ["", "", full.get("If-Match", ""), full.get("If-None-Match", ""), "", ""]
        lines += [f"{name}:{full[name]}" for name in sorted(full) if name.startswith("x-ms-")]
        signature = self._hmac("\n".join(lines) + "\n" + self._canonical_resource(url))
        return {**full, "Authorization": f"SharedKey {self.name}:{signature}"}

    def _canonical_resource(self, url: str) -> str:
        parts = urlsplit(url)
        query = sorted((name.lower(), value) for name, value in parse_qsl(parts.query, keep_blank_values=True))
        return "\n".join([f"/{self.name}{parts.path}", *(f"{name}:{value}" for name, value in query)])

    def _hmac(self, text: str) -> str:
        return base64.b64encode(hmac.digest(self.key, text.encode(), "sha256")).decode()


@lru_cache(maxsize=2)
def http_date(second: int) -> str:
    """A second since 1970 as an HTTP date; cached, because many requests are signed in the same second."""
    return formatdate(second, usegmt=True)


def parse_connection_string(text: str) -> StorageAccount:
    """The account that a storage connection string names. Raises ValueError with a sentence for the user."""
    parts = dict(part.split("=", 1) for part in text.strip().strip(";").split(";") if "=" in part)
    if parts.get("UseDevelopmentStorage", "").lower() == "true":
        return parse_connection_string(EMULATOR)
    name, key = parts.get("AccountName"), parts.get("AccountKey")
    if not name or not key:
        raise ValueError(
            "AzureWebJobsStorage must be a connection string with AccountName and AccountKey, "
            "or UseDevelopmentStorage=true."
        )
    blobs, tables = _endpoint(parts, "blob"), _endpoint(parts, "table")
    # A string with an address for blobs and none for queues means that there are no queues.
    queues = "" if "BlobEndpoint" in parts and "QueueEndpoint" not in parts else _endpoint(parts, "queue")
    return StorageAccount(name, _decoded(key), blobs, tables, queues)


def _decoded(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except ValueError:
        raise ValueError("AzureWebJobsStorage: its AccountKey is not the base64 text that Azure shows.") from None


def _endpoint(parts: dict[str, str], service: str) -> str:
    endpoint = parts.get(f"{service.capitalize()}Endpoint")
    if endpoint:
        return endpoint.rstrip("/")
    scheme = parts.get("DefaultEndpointsProtocol", "https")
    suffix = parts.get("EndpointSuffix", "core.windows.net")
    return f"{scheme}://{parts['AccountName']}.{service}.{suffix}"
