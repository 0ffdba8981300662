"""The shared access signature of Service Bus and Notification Hubs, checked.

`SharedAccessSignature sr=<resource>&sig=<signature>&se=<expiry>&skn=<key name>`: the resource is the lower-case URI,
URL-encoded; the signature is the base64 of HMAC-SHA256 over that encoded resource, a line feed and the expiry in
seconds since 1970, URL-encoded; https://learn.microsoft.com/rest/api/eventhub/generate-sas-token. A token is valid for
its resource and everything below it.
"""

import base64
import hashlib
import hmac
import re
from urllib.parse import unquote

KEY_NAME = "sandbox"
KEY = "sandbox-push-key"


class TokenRefused(Exception):
    """The caller may not send; the message says why."""


def check(authorization: str, url: str, now: float) -> None:
    """Raises TokenRefused unless the header allows a call of this URL at this moment (seconds since 1970)."""
    scheme, _, token = authorization.partition(" ")
    parts = dict(part.partition("=")[::2] for part in token.split("&"))
    if scheme != "SharedAccessSignature" or not {"sr", "sig", "se", "skn"} <= parts.keys():
        raise TokenRefused("The Authorization header must be a SharedAccessSignature with sr, sig, se and skn.")
    if parts["skn"] != KEY_NAME:
        raise TokenRefused(f"There is no key of the name {parts['skn']}.")
    if not hmac.compare_digest(unquote(parts["sig"]).encode(), signature(parts["sr"], parts["se"], KEY).encode()):
        raise TokenRefused("The signature does not match the resource, the expiry and the key.")
    if not parts["se"].isdecimal() or int(parts["se"]) <= now:
        raise TokenRefused("The token has expired.")
    if not covers(unquote(parts["sr"]), url):
        raise TokenRefused("The token is for another resource; its URI must be lower-case and lead to this hub.")


def signature(encoded_resource: str, expiry: str, key: str) -> str:
    """The base64 text, not yet URL-encoded."""
    digest = hmac.new(key.encode(), f"{encoded_resource}\n{expiry}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def covers(resource: str, url: str) -> bool:
    """Whether the URL is the resource or below it. The scheme does not count: sb:// and https:// name the same hub."""
    granted, wanted = (re.sub(r"^[a-z]+://", "", uri).rstrip("/") + "/" for uri in (resource, url.lower()))
    return wanted.startswith(granted)
