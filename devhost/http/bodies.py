"""Bodies of requests, bounded while they are read: by a largest size and a least rate.

The size is the Functions host's (FUNCTIONS_REQUEST_BODY_SIZE_LIMIT), the least rate is that of its server, Kestrel
(https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/options#minimum-request-body-data-rate), with more
patience at the beginning. Nothing is inflated: the function itself decompresses a body, as on the real host.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from devhost.http.responses import Refusal

LEAST_BYTES_PER_S = 240
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ClientGone(Exception):
    """The client closed its connection, so that no answer can reach it."""


@dataclass(frozen=True)
class Bodies:
    """`limit` is in bytes; `grace_s` is how long a body may take at any rate."""

    limit: int
    grace_s: float = 30.0

    async def read(self, request: web.BaseRequest) -> bytes:
        """The whole body. Raises Refusal (413, 408, 400) and ClientGone."""
        content = request.content
        if (request.content_length or 0) > self.limit:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if request.headers.get("Expect", "").lower() == "100-continue" and not content.is_eof():
            await request.writer.write(CONTINUE)
            request.writer.output_size = 0  # no part of the answer has been sent
        try:
            if content.is_eof() and content.total_bytes <= self.limit:
                return content.read_nowait(-1)
            return await self._read_slowly(request)
        except TimeoutError:
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT) from None
        except ConnectionError as gone:
            raise ClientGone from gone
        except (RequestPayloadError, HttpProcessingError) as malformed:
            if is_gone(request):
                raise ClientGone from malformed
            raise Refusal(HTTPStatus.BAD_REQUEST) from malformed

    async def _read_slowly(self, request: web.BaseRequest) -> bytes:
        clock, body = asyncio.get_running_loop(), bytearray()
        start = clock.time()
        while not request.content.at_eof():
            async with asyncio.timeout_at(start + max(self.grace_s, len(body) / LEAST_BYTES_PER_S)):
                body += await request.content.readany()
            if len(body) > self.limit:
                raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return bytes(body)


def is_gone(request: web.BaseRequest) -> bool:
    """Whether the client has closed its connection."""
    return request.transport is None or request.transport.is_closing()
