"""The queues of a hub: created so that the account looks as the real provider leaves it, and never used.

Nothing depends on them, so one attempt is enough. devhost works with storage that has no queue service.
"""

import asyncio
import logging
from http import HTTPStatus

from devhost.storage.account import StorageAccount
from devhost.storage.http_client import StorageHttp

log = logging.getLogger("devhost.storage")


class Queues:
    """The queues of one account."""

    def __init__(self, account: StorageAccount, http: StorageHttp) -> None:
        self._account, self._http = account, http

    async def create(self, names: list[str]) -> None:
        """Create the missing queues, if the account has queues."""
        if not self._account.queue_endpoint:
            return
        try:
            await asyncio.gather(*map(self._create, names))
        except OSError as fault:
            log.info("The hub has no queues, which devhost can do without: %s", fault)

    async def _create(self, name: str) -> None:
        url = f"{self._account.queue_endpoint}/{name}"
        answer = await self._http.request("PUT", url, self._account.sign_request("PUT", url, {}, 0))
        if answer.status >= HTTPStatus.BAD_REQUEST and answer.status != HTTPStatus.CONFLICT:
            raise OSError(f"{name} was answered with {answer.status}")
