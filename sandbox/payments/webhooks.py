"""Signed webhooks (https://docs.stripe.com/webhooks#verify-manually): events of the ledger, sent to one receiver.

Delivery is at least once and out of order, as Stripe's is: each event has a task of its own with a few tries. Events
that are undelivered when the process ends are lost: the receiver needs a sweep in any case, and a queue in the sandbox
would hide that need.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from sandbox.ledger import JsonObject
from sandbox.payments.state import Books, new_id

API_VERSION = "2026-10-28.endive"
TYPES = {
    "payment_intent.succeeded": "payment_intent.succeeded",
    "payment_intent.canceled": "payment_intent.canceled",
    "charge.failed": "payment_intent.payment_failed",
    "refund.succeeded": "charge.refunded",
}
PAUSES_S = (0.5, 2.0, 5.0)
"""The pauses between tries; after the last try the event is given up."""
TIMEOUT_S = 10.0


@dataclass
class Webhooks:
    """One receiver: its URL and the secret (`whsec_...`) that signs its webhooks."""

    url: str
    secret: str
    _session: aiohttp.ClientSession | None = None
    _deliveries: set[asyncio.Task[None]] = field(default_factory=set)

    async def live(self, _app: web.Application) -> AsyncIterator[None]:
        """Ends the deliveries with the process, as a `cleanup_ctx`."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as self._session:
            yield
            for task in self._deliveries:
                task.cancel()
            await asyncio.gather(*self._deliveries, return_exceptions=True)

    def announce(self, books: Books, rows: list[JsonObject]) -> None:
        """Start the delivery of every row that is a public event, with the present object."""
        for row in rows:
            if row["event"] in TYPES:
                task = asyncio.create_task(self._deliver(json.dumps(_event(books, row)).encode()))
                self._deliveries.add(task)
                task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, body: bytes) -> None:
        for pause in (*PAUSES_S, None):
            problem = await self._attempt(body)
            if problem is None:
                return
            if pause is not None:
                await asyncio.sleep(pause)
        print(f"A webhook to {self.url} was given up: {problem}", file=sys.stderr, flush=True)

    async def _attempt(self, body: bytes) -> str | None:
        """Send an event once; None when the receiver has accepted it, else the reason."""
        assert self._session is not None
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature(body, self.secret)}
        try:
            async with self._session.post(self.url, data=body, headers=headers) as response:
                return None if response.ok else f"it answered {response.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return str(error) or type(error).__name__


def signature(body: bytes, secret: str) -> str:
    """The header `t=<seconds>,v1=<hex HMAC-SHA256 of "t.body">`, dated now."""
    moment = int(time.time())
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def _event(books: Books, row: JsonObject) -> JsonObject:
    type_ = TYPES[row["event"]]
    item = books.get("payment_intent", row["payment_intent"])
    if type_.startswith("charge.") and item:
        item = books.get("charge", item["latest_charge"])
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": {"object": item},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": row["idempotency_key"]},
        "type": type_,
    }
