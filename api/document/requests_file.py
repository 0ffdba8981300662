"""`GET /api/requests.http`: a request for each route, for editors that can send them (Visual Studio Code, JetBrains).

It is made from the API document, so it has every route. The repository's own requests.http also follows the orders of
the documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

HEAD = """# One request for each route. Put the app's address and a function key here. On a laptop no key is needed.

@host = http://127.0.0.1:7071
@key = none
"""


def text_of(document: Mapping[str, Any]) -> str:
    """The file for an API document."""
    requests = (
        _request(path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    )
    return "\n".join((HEAD, *requests))


def _request(path: str, method: str, operation: Mapping[str, Any]) -> str:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    lines = [f"### {operation['summary']}", f"{method.upper()} {{{{host}}}}{path}", *_headers(operation)]
    body = operation.get("requestBody")
    if body is not None:
        example = body["content"]["application/json"]["example"]
        lines += ["", json.dumps(example, indent=2, ensure_ascii=False)]
    return "\n".join(lines) + "\n"


def _headers(operation: Mapping[str, Any]) -> Iterator[str]:
    if operation["security"]:
        yield "x-functions-key: {{key}}"
    if "requestBody" in operation:
        yield "Content-Type: application/json"
