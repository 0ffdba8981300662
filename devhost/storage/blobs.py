"""A blob client of the few calls that devhost makes: containers, put, get, list and delete by prefix.

The large payloads of an orchestration and the marker of a task hub are blobs. Raw REST as in tables.py, so that one
set of connections, one signature module and one retry serve both.
"""

from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import quote
from xml.etree import ElementTree

from devhost.storage.account import StorageAccount
from devhost.storage.http_client import StorageHttp, StorageResponse
from devhost.storage.retry import NotNow, StorageRefused, StorageRetry


class Blobs:
    """The blobs of one account. All calls wait for storage; only a refusal raises (StorageRefused)."""

    def __init__(self, account: StorageAccount, http: StorageHttp, retry: StorageRetry) -> None:
        self._account, self._http, self._retry = account, http, retry

    async def create_container(self, container: str) -> None:
        await self._expect("PUT", f"/{container}?restype=container", allowed=(HTTPStatus.CONFLICT,))

    async def put(self, container: str, name: str, content: bytes, content_type: str) -> None:
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": content_type}
        await self._expect("PUT", f"/{container}/{quote(name)}", content, headers)

    async def get(self, container: str, name: str) -> bytes | None:
        answer = await self._expect("GET", f"/{container}/{quote(name)}", allowed=(HTTPStatus.NOT_FOUND,))
        return None if answer.status == HTTPStatus.NOT_FOUND else answer.body

    async def delete_by_prefix(self, container: str, prefix: str, kept: Collection[str] = ()) -> None:
        for name in await self._names(container, prefix):
            if name in kept:
                continue
            await self._expect("DELETE", f"/{container}/{quote(name)}", allowed=(HTTPStatus.NOT_FOUND,))

    def url(self, container: str, name: str) -> str:
        """The address of a blob, every segment of its name escaped."""
        return f"{self._account.blob_endpoint}/{container}/{quote(name)}"

    async def _names(self, container: str, prefix: str) -> list[str]:
        path = f"/{container}?restype=container&comp=list&prefix={quote(prefix, safe='')}"
        answer = await self._expect("GET", path, allowed=(HTTPStatus.NOT_FOUND,))
        if answer.status == HTTPStatus.NOT_FOUND:
            return []
        tree = ElementTree.fromstring(answer.body.lstrip(b"\xef\xbb\xbf"))  # noqa: S314 - our own storage's answer
        return [name.text for name in tree.iterfind("./Blobs/Blob/Name") if name.text]

    async def _expect(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
        allowed: tuple[int, ...] = (),
    ) -> StorageResponse:
        answer = await self._retry.until_answered(lambda: self._try(method, path, content, headers or {}))
        if answer.status >= HTTPStatus.BAD_REQUEST and answer.status not in allowed:
            raise StorageRefused(answer.status, answer.body.decode(errors="replace"))
        return answer

    async def _try(self, method: str, path: str, content: bytes, headers: dict[str, str]) -> StorageResponse:
        url = self._account.blob_endpoint + path
        full = self._account.sign_request(method, url, headers, len(content))
        answer = await self._http.request(method, url, full, content)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise NotNow(f"it answered {answer.status}")
        return answer
