"""Tracking links: a customer follows one order without an account, for a limited time.

A token is `<end>.<mac>`: the second at which it ends, and an HMAC-SHA256 over the order's id and that second. The end
counts from acceptance, so every attempt to write a mail writes the same link. A token says nothing of the customer,
opens its own order alone, and needs nothing stored.

With several secrets one can be replaced: the first signs, each verifies. Rejected: a token in the record. The record
would have to be read before a wrong token is refused.
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from urllib.parse import quote

from models.order_record import OrderRecord

PURPOSE = "order-saga tracking v1"
TOKEN = re.compile(r"(?P<end>[0-9]{1,12})\.(?P<mac>[A-Za-z0-9_-]{43})")
DAY_S = 86400


class Tracking(NamedTuple):
    """Without `secrets` there are no links. `origin` is the app's address for customers, `https://host`."""

    secrets: tuple[str, ...]
    days: float
    origin: str

    def url(self, order: OrderRecord) -> str | None:
        """The order's tracking page. None if there are no links."""
        if not self.secrets or not self.origin:
            return None
        return f"{self.origin}/api/track/{quote(order.order_id, safe='')}?token={self.token(order)}"

    def token(self, order: OrderRecord) -> str:
        end = int(order.accepted_at.timestamp() + self.days * DAY_S)
        return f"{end}.{_mac(self.secrets[0], order.order_id, end)}"

    def judge(self, order_id: str, token: str, now: datetime) -> Literal["valid", "expired", "wrong"]:
        """`expired` only for a token that we signed. Any other token is `wrong`, whatever end it claims."""
        match = TOKEN.fullmatch(token)
        if match is None:
            return "wrong"
        end = int(match["end"])
        matches = [hmac.compare_digest(_mac(secret, order_id, end), match["mac"]) for secret in self.secrets]
        if not any(matches):
            return "wrong"
        return "valid" if now.astimezone(UTC).timestamp() < end else "expired"


def _mac(secret: str, order_id: str, end: int) -> str:
    message = f"{PURPOSE}\n{order_id}\n{end}".encode()
    return base64.urlsafe_b64encode(hmac.digest(secret.encode(), message, "sha256")).rstrip(b"=").decode()
