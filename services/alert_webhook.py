"""Alerts as a webhook: one POST of JSON, signed as Stripe signs its own.

`Order-Saga-Signature: t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>" in hex>`. The receiver can check the sender and
the age of an alert with the libraries that check the webhooks of Stripe.
"""

from __future__ import annotations

import hmac
import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any

from models.errors import Unavailable
from models.operations.alerts import alert_of
from models.order_record import OrderRecord

# Short: the step that sends an alert has a deadline of 20 seconds.
TIMEOUT_S = 5.0
SIGNATURE = "Order-Saga-Signature"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is not followed: the alert counts as not accepted."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


class AlertWebhook:
    """Fulfils `Alerts`. `origin`: where the dashboard is. Safe to share between threads."""

    def __init__(self, url: str, secret: str, origin: str) -> None:
        self._url, self._secret, self._origin = url, secret, origin

    def send(self, order: OrderRecord) -> None:
        """One POST. Raises Unavailable unless it was answered with 2xx."""
        alert = alert_of(order, self._origin)
        body = json.dumps(alert.body).encode()
        headers = {"Content-Type": "application/json", SIGNATURE: signature(self._secret, body, int(time.time()))}
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310 - the settings let https and loopback through
        try:
            _opener.open(request, timeout=TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise Unavailable(f"order {order.order_id}: ALERT_WEBHOOK_URL answered {error.code}.") from None
        except (OSError, http.client.HTTPException) as error:
            why = type(getattr(error, "reason", error)).__name__
            raise Unavailable(f"order {order.order_id}: ALERT_WEBHOOK_URL did not answer ({why}).") from None


def signature(secret: str, body: bytes, seconds: int) -> str:
    mac = hmac.digest(secret.encode(), f"{seconds}.".encode() + body, "sha256").hex()
    return f"t={seconds},v1={mac}"
