"""The queues of a hub, made and never used: so that the account looks to its readers as the real provider leaves it.

Nothing depends on them, so one attempt is enough; a storage without a queue service serves devhost as well.
"""

import asyncio
import logging
from http import HTTPStatus

import aiohttp
from yarl import URL

from devhost.storage_account import StorageAccount

log = logging.getLogger("devhost.storage")


class Queues:
    """The queues of one account."""

    def __init__(self, account: StorageAccount, session: aiohttp.ClientSession) -> None:
        self._account, self._session = account, session

    async def create(self, names: list[str]) -> None:
        """Make queues that are not there yet, if the account has queues."""
        if not self._account.queue_endpoint:
            return
        try:
            await asyncio.gather(*map(self._create, names))
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            log.info("The hub has no queues, which devhost can do without: %s", fault)

    async def _create(self, name: str) -> None:
        url = f"{self._account.queue_endpoint}/{name}"
        headers = self._account.sign_request("PUT", url, {}, 0)
        async with self._session.request(
            "PUT", URL(url, encoded=True), headers=headers, skip_auto_headers=("Content-Type",)
        ) as answer:
            if answer.status >= HTTPStatus.BAD_REQUEST and answer.status != HTTPStatus.CONFLICT:
                raise aiohttp.ClientError(f"{name} was answered with {answer.status}")
