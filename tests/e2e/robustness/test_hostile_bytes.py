"""Nothing that a stranger sends to the app makes a 500 or a traceback: bytes on a raw socket, drawn from a seed.

The routes are those that ask for no key, and the others as well, because on a laptop none asks for one.
"""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.product import Product

SEED = 9
REQUESTS = 400
ROUTES = [
    *("GET /api/track/{}?token={}", "GET /api/track/armchairs-1?token={}", "POST /api/track/{}/cancel"),
    *("GET /api/health", "GET /api/inventory/{}", "POST /api/webhooks/stripe", "POST /api/webhooks/stripe"),
    *("GET /api/openapi.json", "GET /api/docs/{}", "GET /api/dashboard/{}", "GET /{}", "GET /api/{}", "POST /{}"),
    *(
        "GET /api/orders?{}",
        "GET /api/orders/{}",
        "POST /api/orders",
        "POST /api/orders?{}",
        "POST /api/orders/{}/cancel",
    ),
    *("DELETE /api/orders/{}/personal-data", "POST /api/orders/x/compensations/{}/retry", "PUT /api/inventory/{}"),
    *("PUT /api/inventory/NOBODY-SELLS-THIS", "PUT /api/inventory/CRUNCHY-ARMCHAIR"),
]
HEADERS = [
    *("Stripe-Signature", "Stripe-Signature", "Content-Type", "Content-Encoding", "Accept", "Cookie", "If-Match"),
    *("Idempotency-Key", "X-Functions-Key", "User-Agent", "Expect", "Range", "Authorization", "X-Forwarded-Host"),
]
PIECES: list[bytes | str] = [
    *(b"t=1,v1=", b"v1=", b"t=", b",", b"'", b'"', b"%", b"%00", b"%FF", b"%2e%2e", b"%2F", b"\\", b"..", b"*", b"W/"),
    *("é", "٣", "\u202e", "\ufffe", "\U0001f600"),
    *(b"application/json", b"gzip", b"{}", b'{"a":1,"a":2}', b"[", b"null", b"1e999", b"-0", b"\\ud800", b"top=", b"&"),
]


def junk(draw: random.Random, longest: int = 6) -> bytes:
    """Bytes of any kind, but for those that end a line or a word of HTTP."""
    parts = [draw.choice(PIECES) if draw.random() < 0.6 else draw.randbytes(draw.randrange(8)) for _ in range(longest)]
    whole = b"".join(part.encode() if isinstance(part, str) else part for part in parts[: draw.randint(0, longest)])
    return re.sub(rb"[\0\r\n]", b"", whole)


def requests() -> Iterator[bytes]:
    draw = random.Random(SEED)
    for _ in range(REQUESTS):
        method, _, path = draw.choice(ROUTES).partition(" ")
        part = junk(draw)
        part = quote(part).encode() if draw.random() < 0.8 else part.replace(b" ", b"")
        line = b" ".join([method.encode(), path.encode().replace(b"{}", part), b"HTTP/1.1"])
        body = junk(draw, 20) if method in {"POST", "PUT"} else b""
        heads = [b"Host: 127.0.0.1", b"Content-Length: %d" % len(body), b"Connection: close"]
        heads += [draw.choice(HEADERS).encode() + b": " + junk(draw) for _ in range(draw.randrange(4))]
        if draw.random() < 0.5:
            heads.append(b"Content-Type: application/json")
        yield b"\r\n".join([line, *heads, b"", body])


def answered(port: int, request: bytes) -> int:
    """The status of the last answer on a connection of its own; 0: it was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    statuses = re.findall(rb"^HTTP/1.[01] (\d{3})", answer, re.MULTILINE)
    return int(statuses[-1]) if statuses else 0


def said_since(log: Path, before: int) -> str:
    return log.read_bytes()[before:].decode(errors="replace")


def test_nothing_that_a_stranger_sends_is_a_500_or_a_traceback(product: Product) -> None:
    log = product.data / "logs" / "devhost.log"
    before = log.stat().st_size
    statuses = {}
    for number, request in enumerate(requests()):
        statuses[number] = answered(product.port, request)
        assert 200 <= statuses[number] < 500, (number, request)
    assert {200, 400, 404, 415} <= set(statuses.values())  # they come far enough to be judged by many rules
    assert "Traceback" not in said_since(log, before)
    assert product.get("/api/health").status == 200


@pytest.mark.parametrize(
    "signature", [b"t=1,v1=\xff", "t=1,v1=é".encode(), b"t=\xd9\xa3,v1=a", b"\xff" * 1000, b"t=1" + b",v1=x" * 1000]
)
def test_a_signature_of_any_bytes_is_a_wrong_one(product: Product, signature: bytes) -> None:
    heads = [b"POST /api/webhooks/stripe HTTP/1.1", b"Host: localhost", b"Content-Length: 2", b"Connection: close"]
    assert answered(product.port, b"\r\n".join([*heads, b"Stripe-Signature: " + signature, b"", b"{}"])) == 400
