"""The frames between the host and its worker: one JSON header and one raw body each.

A frame is `>II` (length of header, length of body), the header as JSON, the body as bytes. Large values (HTTP bodies,
orchestration histories) are bodies. They travel raw, because base64 or a second JSON escape would cost more than the
rest of a call. Rejected: multiprocessing's pickles (both sides would need the app's classes) and gRPC as in the real
host (a dependency and a code generator for two processes on one pipe).
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

PREFIX = struct.Struct(">II")
HEADERS = json.JSONEncoder(separators=(",", ":"))
ORCHESTRATOR_THREADS = 4
MAX_SESSIONS = 1000


@dataclass(frozen=True)
class Reply:
    """The worker's answer: `ok`, or `error` and `stack`; other fields depend on the call."""

    header: dict[str, Any]
    body: bytes

    @property
    def ok(self) -> bool:
        return bool(self.header["ok"])

    @property
    def error(self) -> str:
        return str(self.header["error"])

    @property
    def stack(self) -> str:
        return str(self.header.get("stack", ""))


def encode(header: dict[str, Any], body: bytes = b"") -> bytes:
    """The frame of a header and a body, ready to be written."""
    head = HEADERS.encode(header).encode()
    return PREFIX.pack(len(head), len(body)) + head + body


def read(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next frame of a blocking stream, or None when the other side has closed it."""
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    head_size, body_size = PREFIX.unpack(prefix)
    head, body = stream.read(head_size), stream.read(body_size)
    if len(head) < head_size or len(body) < body_size:
        return None
    return json.loads(head), body


def cut(received: bytearray) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The complete frames at the beginning of the received bytes, which are cut off."""
    while len(received) >= PREFIX.size:
        head_size, body_size = PREFIX.unpack_from(received)
        body_at = PREFIX.size + head_size
        if len(received) < body_at + body_size:
            return
        header = json.loads(received[PREFIX.size : body_at])
        body = bytes(received[body_at : body_at + body_size])
        del received[: body_at + body_size]
        yield header, body
