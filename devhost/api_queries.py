"""How the HTTP API reads queries and JSON, and the extension's bodies for what it refuses."""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from devhost.responses import Refusal

DEFAULT_PAGE, MAX_PAGE = 100, 1000
TOKEN_HEADER = "x-ms-continuation-token"  # noqa: S105 - the name of a header

Query = dict[str, str]


def json_body(text: str) -> Any:
    """A request's JSON. Raises Refusal with the extension's answer for what is not."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        body = {
            "Message": "Invalid JSON content",
            "ExceptionMessage": str(fault),
            "ExceptionType": "JsonReaderException",
        }
        raise Refusal(HTTPStatus.BAD_REQUEST, {**body, "StackTrace": ""}) from fault


def argument_fault(text: str) -> Refusal:
    message = "One or more of the arguments submitted is incorrect"
    return Refusal(HTTPStatus.BAD_REQUEST, fault_body(message, text, "System.ArgumentException"))


def server_fault(text: str) -> Refusal:
    message = "Something went wrong while processing your request"
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, fault_body(message, text, "System.InvalidOperationException"))


def fault_body(message: str, text: str, kind: str) -> dict[str, str]:
    return {"Message": message, "ExceptionMessage": text, "ExceptionType": kind, "StackTrace": ""}


def page_size(query: Query) -> int:
    text = query.get("top") or str(DEFAULT_PAGE)
    if not text.isdigit() or not 1 <= int(text) <= MAX_PAGE:
        raise argument_fault(f"top must be a number from 1 to {MAX_PAGE}.")
    return int(text)


def flag(query: Query, name: str, default: bool) -> bool:
    return query.get(name, str(default)).lower() == "true"


def moment(text: str) -> datetime:
    """A time of a query, UTC where it names no zone. Raises Refusal (400)."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as fault:
        raise argument_fault(f"'{text}' is not a time.") from fault
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def quoted(text: str) -> str:
    return text.strip().replace("'", "''")
