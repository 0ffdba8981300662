"""Addresses of providers in settings: https to everywhere, http to this machine alone.

An address is taken whole by a narrow pattern instead of being parsed: parsers differ on what is odd (`\\`, a second
`@`, white space), and the one that judges is not the one that connects. So there is no user, no query, no fragment.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

HTTP = re.compile(
    r"(?P<scheme>[A-Za-z]+)://"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~%/-]*)?)"
)
EXPECTED = "must be https://host[:port]; http:// is for 127.0.0.1, [::1] and localhost alone"


class Address(NamedTuple):
    """`scheme` in lower case; `origin` is the host with its port, as it was written; `path` has no closing slash."""

    scheme: str
    origin: str
    path: str


def parse_http(text: str, encrypted: tuple[str, ...] = ("https",)) -> Address:
    """Parse an address that may be called. Raises ValueError; its text ends a sentence and does not quote the address.

    `encrypted`: the schemes that go to every host.
    """
    match = HTTP.fullmatch(text)
    if match is None or not 0 < int(match["port"] or 1) < 65536:
        raise ValueError(EXPECTED)
    scheme, host = match["scheme"].lower(), match["host"]
    if scheme not in encrypted and not (scheme == "http" and is_loopback(host)):
        raise ValueError(EXPECTED)
    port = f":{match['port']}" if match["port"] else ""
    return Address(scheme, f"{host}{port}", match["path"].rstrip("/"))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone: 127.0.0.0/8, ::1 or localhost. No name service is asked."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
