"""What a request of call_http carries, as the extension sends it."""

import asyncio
import json
import socket
from typing import Any

import pytest
from aiohttp import web

from devhost.orchestration.http_activity import HttpRefused, call_http


def types_sent(**request: Any) -> list[str]:
    """The Content-Type headers that arrive with a request."""

    async def show(asked: web.BaseRequest) -> web.Response:
        return web.json_response(asked.headers.getall("Content-Type", []))

    async def run() -> list[str]:
        runner = web.ServerRunner(web.Server(show))
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listener).start()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        try:
            answer = json.loads(await call_http(json.dumps({"method": "POST", "uri": uri, **request})))
        finally:
            await runner.cleanup()
        types: list[str] = json.loads(answer["content"])
        return types

    return asyncio.run(run())


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "CONTENT-TYPE"])
def test_a_type_that_the_orchestrator_names_is_the_only_one(name: str) -> None:
    assert types_sent(content="{}", headers={name: "application/json"}) == ["application/json"]


def test_content_without_a_type_is_plain_text_and_no_content_has_no_type() -> None:
    assert types_sent(content="a text") == ["text/plain"]
    assert types_sent(content=None) == types_sent(method="GET", headers={"Content-Type": "application/json"}) == []


def test_multipart_content_is_refused_as_by_the_extension() -> None:
    with pytest.raises(HttpRefused, match=r"^Multipart content is not supported with CallHttpAsync\.$"):
        types_sent(content="x", headers={"content-type": "multipart/form-data; boundary=b"})
