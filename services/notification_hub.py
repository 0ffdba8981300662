"""Push through Azure Notification Hubs: one template notification to one tag.

https://learn.microsoft.com/rest/api/notificationhubs/send-template-notification
One call, so urllib of the standard library makes it: the hub has no Python SDK, and an HTTP client of its own would be
a dependency for thirty lines.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from models.errors import Unavailable
from services.addresses import parse_http

API_VERSION = "2015-01"
TIMEOUT_S = 10.0
TOKEN_LIFE_S = 300
PARTS = ("Endpoint", "SharedAccessKeyName", "SharedAccessKey", "EntityPath")
ENCRYPTED = ("sb", "https")
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
HUB_NAME = re.compile(r"[A-Za-z0-9._-]{1,260}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is not followed: the token would be sent to another address, perhaps over http."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


class Hub(NamedTuple):
    """`url` is the hub's own address, without a closing slash."""

    url: str
    key_name: str
    key: str


def parse_connection(connection: str) -> Hub:
    """`Endpoint=sb://...;SharedAccessKeyName=...;SharedAccessKey=...;EntityPath=<hub>`, in any order.

    `sb://` is called as https. Raises ValueError with a sentence that names what is wrong and never quotes the key.
    """
    pairs = (part.partition("=") for part in connection.split(";") if part)
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    missing = [name for name in PARTS if not fields.get(name.lower())]
    if missing:
        raise ValueError(f"PUSH_CONNECTION lacks {' and '.join(f'{name}=...' for name in missing)}")
    endpoint, key_name, key, hub = (fields[name.lower()] for name in PARTS)
    try:
        address = parse_http(endpoint, ENCRYPTED)
    except ValueError:
        raise ValueError(
            "PUSH_CONNECTION must have an Endpoint of sb://host or https://host; http:// is for this machine alone"
        ) from None
    if not HUB_NAME.fullmatch(hub):
        raise ValueError("PUSH_CONNECTION must have an EntityPath of letters, digits, dots, hyphens and underscores")
    scheme = "https" if address.scheme in ENCRYPTED else address.scheme
    return Hub(f"{scheme}://{address.origin}/{hub}", key_name, key)


class NotificationHub:
    """Fulfils `Push`. Holds nothing but its settings, so it is safe to share between threads."""

    def __init__(self, connection: str) -> None:
        self._hub = parse_connection(connection)

    def send(self, tag: str, order_id: str, message: str) -> None:
        """Send one notification. Raises Unavailable unless the hub accepted it."""
        request = urllib.request.Request(  # noqa: S310 - parse_connection lets http and https through, nothing else
            f"{self._hub.url}/messages?api-version={API_VERSION}",
            json.dumps({"message": message, "order_id": order_id}).encode(),
            {
                "Authorization": sas_token(self._hub, int(time.time()) + TOKEN_LIFE_S),
                "Content-Type": "application/json;charset=utf-8",
                "ServiceBusNotification-Format": "template",
                "ServiceBusNotification-Tags": tag,
                "X-Order-Id": order_id,
            },
        )
        try:
            _opener.open(request, timeout=TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            error.close()
            hint = " (is PUSH_CONNECTION right?)" if error.code in {401, 403, 404} else ""
            raise Unavailable(f"order {order_id}: the notification hub answered {error.code}{hint}.") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"order {order_id}: the notification hub did not answer ({_cause(error)}).") from None


def sas_token(hub: Hub, expires_at: int) -> str:
    """The shared access signature for the hub, good until `expires_at` (seconds since 1970).

    https://learn.microsoft.com/rest/api/eventhub/generate-sas-token: HMAC-SHA256, by the key as text, over the
    percent-encoded lower-case address, a line feed and the expiry.
    """
    resource = quote_plus(hub.url.lower())
    digest = hmac.new(hub.key.encode(), f"{resource}\n{expires_at}".encode(), hashlib.sha256).digest()
    signature = quote_plus(base64.b64encode(digest))
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expires_at}&skn={quote_plus(hub.key_name)}"


def _cause(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return type(reason).__name__
