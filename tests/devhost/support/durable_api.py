"""Requests of the Durable HTTP API, and the faults that the extension answers with."""

from devtools.processes.http import HttpResponse
from tests.devhost.support.hosts import Devhost

JSON_TYPE = "application/json; charset=utf-8"
ARGUMENT = "One or more of the arguments submitted is incorrect"
WRONG = "Something went wrong while processing your request"
FAULT = {"Message", "ExceptionMessage", "ExceptionType", "StackTrace"}


def send(host: Devhost, method: str, path: str, body: bytes | None = None, **headers: str) -> HttpResponse:
    return host.request(method, host.api(path), body, **headers)


def fault(response: HttpResponse, status: int, message: str, words: str) -> bool:
    """Whether an answer is one of the extension's faults."""
    body = response.json()
    assert (response.status, response.headers["Content-Type"]) == (status, JSON_TYPE)
    assert set(body) == FAULT
    return bool(body["Message"] == message and words in body["ExceptionMessage"])
