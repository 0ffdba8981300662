"""What functions answer, passed on by the Functions host's rules."""

import pytest

from tests.devhost.support.hosts import APPS, Devhost

APP = APPS / "conformance"


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "body"),
    [
        ("text", 200, "text/plain; charset=utf-8", "Łódź".encode()),
        ("html", 200, "text/html; charset=latin-1", b"<p>"),
        ("json", 201, "application/json", b"{}"),
        ("header", 200, "text/csv", b"a"),
        ("bytes", 200, "application/octet-stream", b"\x00\xff"),
        ("empty", 204, None, b""),
        ("str", 200, "text/plain; charset=utf-8", b"plain"),
        ("none", 500, None, b""),
        ("unknown", 500, None, b""),
    ],
)
def test_the_answer_of_a_function_is_passed_on(
    host: Devhost, kind: str, status: int, content_type: str | None, body: bytes
) -> None:
    response = host.get(f"/api/answers/{kind}")
    assert (response.status, response.body) == (status, body)
    assert content_type is None or response.headers["Content-Type"] == content_type


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
def test_a_verb_that_a_function_does_not_list_is_404(host: Devhost, method: str) -> None:
    response = host.request(method, "/api/answers/text", b"" if method == "POST" else None)
    assert (response.status, response.body) == (404, b"")
