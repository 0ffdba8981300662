"""`call_http`: the built-in activity that makes an HTTP request for an orchestrator.

The host makes it, not the app's worker, as in Azure. An answer of any status is a success; only a request without an
answer fails. Like every activity it may be repeated after a crash.
"""

import json
from typing import Any

import aiohttp
from multidict import CIMultiDict

from devhost.history.events import compact_json

TIMEOUT_S = 100.0
CONTENT_HEADERS = ("content-", "expires", "last-modified", "allow")


class HttpRefused(Exception):
    """The request cannot be made, or had no answer; the text says why."""


async def call_http(body: str) -> str:
    """`body`: the request as the SDK describes it, JSON text; the answer as JSON text. Raises HttpRefused."""
    request: dict[str, Any] = json.loads(body)
    if request.get("tokenSource"):
        raise HttpRefused("call_http with a token source needs the managed identity of a function app in Azure.")
    timeout, headers = aiohttp.ClientTimeout(total=TIMEOUT_S), _request_headers(request)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                request["method"],
                request["uri"],
                data=_content(request),
                headers=headers,
                skip_auto_headers=["Content-Type"],
            ) as answer,
        ):
            content = await answer.text()
            return compact_json({"statusCode": answer.status, "headers": _headers(answer), "content": content})
    except Exception as fault:  # the request is the app's: a header may be a number, a text half of a surrogate pair
        raise HttpRefused(f"{type(fault).__name__}: {fault}") from fault


def _request_headers(request: dict[str, Any]) -> CIMultiDict[Any]:
    """The headers of a request. As from the extension, only a request with content has a type, text/plain by default.
    Raises HttpRefused.
    """
    headers: CIMultiDict[Any] = CIMultiDict(request.get("headers") or {})
    kind = headers.popall("Content-Type", ["text/plain"])[-1]
    if "multipart" in str(kind):
        raise HttpRefused("Multipart content is not supported with CallHttpAsync.")
    if request.get("content") is not None:
        headers["Content-Type"] = kind
    return headers


def _content(request: dict[str, Any]) -> bytes | None:
    content = request.get("content")
    if content is None:
        return None
    return content.encode() if isinstance(content, str) else compact_json(content).encode()


def _headers(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """All headers but the content's, as the extension returns them; a repeated header is a list."""
    names = [name for name in dict.fromkeys(answer.headers) if not name.lower().startswith(CONTENT_HEADERS)]
    values = {name: answer.headers.getall(name) for name in names}
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in values.items()}
