"""Refuses requests of foreign web pages: every page in a browser on this machine can reach a server on 127.0.0.1.

Two attacks are refused. A page whose own name leads to 127.0.0.1 (DNS rebinding) sends that name as `Host`: 421. A page
of another site that sends a form or a `fetch` has a foreign `Origin`, or its browser says so in `Sec-Fetch-Site`: 403.
A top-level navigation is allowed, because a link in a mail and the way back from a bank are one; it is a `GET`.
Programs send none of these headers. Routes also accept a body of JSON only when it is declared as JSON (`is_json`),
which a form of another site cannot do.

Rejected: a token in each form (programs would have to fetch one first), and a list of allowed origins (a page that the
server itself has served has its origin in `Host`).
"""

import argparse
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from multidict import CIMultiDictProxy

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
ORIGIN = re.compile(r"https?://(.+)")
JSON_TYPE = re.compile(r"(application/json|[\w.!#$&^-]+/[\w.!#$&^+-]+\+json)\s*(;.*)?", re.ASCII | re.IGNORECASE)
FOREIGN_SITES = frozenset({"cross-site", "same-site"})


class Refused(NamedTuple):
    """The answer to a refused request: the status, and a sentence for its sender."""

    status: int
    sentence: str


class Visitors:
    """`names`: the hosts, besides the loopback names, by which the server may be called; see `host_name`."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset((*LOOPBACK_NAMES, *names))

    def refused(self, method: str, headers: CIMultiDictProxy[str], *, keyless: bool) -> Refused | None:
        """The refusal of this request, or None. `keyless`: the server needs no key."""
        hosts = headers.getall("Host", [])
        if len(hosts) != 1:  # RFC 9112, section 3.2
            return Refused(400, "A request names one Host.")
        host = hosts[0].lower()
        match = HOST.fullmatch(host)
        if match is None or match[1] not in self._names:
            return Refused(421, self._only_these())
        if keyless and _is_foreign(host, headers) and not _is_navigation(method, headers):
            return Refused(403, "A page of another site may not send this request.")
        return None

    def _only_these(self) -> str:
        return f"This server answers to {', '.join(sorted(self._names))}; --allow-host names another host."


def is_json(content_type: str) -> bool:
    """Whether a Content-Type is `application/json` or ends in `+json`."""
    return JSON_TYPE.fullmatch(content_type.strip()) is not None


def host_name(text: str) -> str:
    """A host in the form of `Visitors`: lower-case, without the port. Raises ArgumentTypeError."""
    match = HOST.fullmatch(text.lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is no name of a host")
    return match[1]


ALLOW_HOST: dict[str, Any] = {
    "action": "append",
    "default": [],
    "type": host_name,
    "metavar": "NAME",
    "help": "answer requests that name this host, too (a tunnel, a container's name for this machine)",
}
"""The options of argparse for `--allow-host NAME`, which may be repeated."""


def _is_foreign(host: str, headers: CIMultiDictProxy[str]) -> bool:
    """Whether a browser says that a page of another site sent the request. A page's own origin is the called host.

    A form of a page with `Referrer-Policy: no-referrer` has the origin `null`, as a sandboxed frame has: the browser's
    own `Sec-Fetch-Site`, which no page can set, tells them apart.
    """
    sites = [site.strip().lower() for site in headers.getall("Sec-Fetch-Site", ())]
    for origin in headers.getall("Origin", ()):
        own = ORIGIN.fullmatch(origin.lower())
        hidden = origin.lower() == "null" and sites == ["same-origin"]
        if not hidden and (own is None or own[1] != host):
            return True
    return any(site in FOREIGN_SITES for site in sites)


def _is_navigation(method: str, headers: CIMultiDictProxy[str]) -> bool:
    return method == "GET" and headers.get("Sec-Fetch-Mode", "").strip().lower() == "navigate"
