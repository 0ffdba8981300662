"""Forwards a request unchanged, for the proxies. Its signature may cover any header, the host too."""

from __future__ import annotations

from aiohttp import ClientSession, web
from yarl import URL

# The client may add none of these.
NOT_OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}


async def forward(session: ClientSession, target: str, request: web.Request, body: bytes) -> web.Response:
    """The answer of the server at `target`, such as `http://127.0.0.1:10002`. The session must not decompress."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
    async with session.request(
        request.method,
        URL(target + request.raw_path, encoded=True),
        data=body or None,
        headers=headers,
        allow_redirects=False,
        skip_auto_headers=NOT_OURS,
    ) as answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        return web.Response(status=answer.status, body=await answer.read(), headers=kept)
