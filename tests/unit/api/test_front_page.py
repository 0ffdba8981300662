"""The front page: links to what is served, as a page or as JSON; the requests file: a request for each route."""

from __future__ import annotations

import json
import re

import azure.functions as func
import pytest

import function_app
from api import pages
from api.document.requests_file import text_of
from api.pages import prefers_json

SERVED = ["/api/docs", "/api/health", "/api/openapi.json", "/api/requests.http", "/api/orders"]
REQUEST_LINE = re.compile(r"^([A-Z]+) \{\{host\}\}(/\S*)$", re.MULTILINE)


@pytest.mark.parametrize(
    ("accept", "json_is_wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/json", True),
        ("application/json, */*;q=0.1", True),
        ("Application/JSON;charset=utf-8", True),
        ("application/*", True),
        ("application/json;q=0.5, text/html;q=0.4", True),
        ("application/json;q=0.4, text/html", False),
        ("text/html;q=0, */*", True),
        ("application/json;q=0", False),
        ("application/json;q=nonsense", False),
        ("text/plain", False),
        (";;,,/;q", False),
    ],
)
def test_the_page_is_given_unless_json_is_preferred(accept: str, json_is_wanted: bool) -> None:
    assert prefers_json(accept) is json_is_wanted


def front(served: list[str], **headers: str) -> func.HttpResponse:
    return pages.front(func.HttpRequest("GET", "/api", headers=headers, body=b""), served)


def test_the_front_page_leads_to_what_is_served_and_nowhere_else() -> None:
    answer = front(SERVED)
    links = re.findall(r'<a href="([^"]+)"', answer.get_body().decode())
    assert links == ["/api/docs", "/api/openapi.json", "/api/health", "/api/requests.http"]
    assert answer.mimetype == "text/html" and answer.headers["Vary"] == "Accept"
    assert "/api/dashboard" in front([*SERVED, "/api/dashboard"]).get_body().decode()


def test_the_front_page_as_json_has_the_same_links() -> None:
    answer = front(SERVED, Accept="application/json")
    assert (answer.mimetype, answer.headers["Vary"]) == ("application/json", "Accept")
    assert json.loads(answer.get_body())["links"] == {
        "docs": "/api/docs",
        "openapi": "/api/openapi.json",
        "health": "/api/health",
        "requests": "/api/requests.http",
    }


def test_the_front_page_has_no_code_and_asks_nobody_else() -> None:
    answer = front(SERVED)
    html = answer.get_body().decode()
    assert "<script" not in html and "style=" not in html and "//" not in html
    assert answer.headers["Content-Security-Policy"] == pages.CONTENT_SECURITY_POLICY


def test_the_requests_file_has_every_operation_once_and_no_gap() -> None:
    document = function_app.described_api()
    text = text_of(document)
    requests = REQUEST_LINE.findall(text)
    operations = [(method.upper(), path) for path, item in document["paths"].items() for method in item]
    assert len(requests) == len(set(requests)) == len(operations)
    for part, (method, path), (shown_method, shown_path) in zip(
        text.split("###")[1:], requests, operations, strict=True
    ):
        assert method == shown_method
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^/{}]+", shown_path), path)
        operation = document["paths"][shown_path][method.lower()]
        assert ("x-functions-key: {{key}}" in part) == bool(operation["security"])
        if "requestBody" in operation:
            json.loads(part.split("\n\n", 1)[1])
