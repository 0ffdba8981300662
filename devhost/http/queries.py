"""How the HTTP API reads queries and JSON, and the extension's bodies for its refusals.

A client's text becomes a value that storage accepts, or is refused with 400: texts in a filter are quoted, numbers
and times are parsed and bounded, and a continuation token must be one that an earlier page gave.
"""

import json
import math
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from devhost.history.events import STATUS_NUMBERS, SURROGATE, Row, compact_json
from devhost.http.responses import Refusal
from devhost.storage.keys import escape_key
from devhost.storage.retry import StorageRefused
from devhost.storage.tables import odata_time
from devhost.storage.task_hub import TaskHub
from loopback.visitors import is_json

DEFAULT_PAGE, MAX_PAGE = 100, 1000
TOKEN_HEADER = "x-ms-continuation-token"  # noqa: S105 - the name of a header
TOKEN_PARTS = frozenset({"NextPartitionKey", "NextRowKey"})
BODY = web.RequestKey("body", str)
"""The key under which a request keeps the text of its body."""
MAX_DEPTH = 64
"""Newtonsoft.Json's own, since its version 13."""
JSON_MARKS = re.compile(r'"(?:[^"\\]+|\\.)*"|[\[\]{}]', re.DOTALL)
NUMBER = re.compile(r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
EARLIEST = datetime(1601, 1, 1, tzinfo=UTC)
"""The first moment that a table knows."""
LAST_CHARACTER = "\uffff"

Query = dict[str, str]


def readable(text: str) -> str:
    """A text of a head that can be encoded again: each byte that was no UTF-8 is a replacement character."""
    return text if text.isascii() else SURROGATE.sub("\ufffd", text)


def query_of(request: web.BaseRequest) -> Query:
    """The query by lower-case names; of a repeated name, the last value."""
    return {readable(name).lower(): readable(value) for name, value in request.query.items()}


def json_text(request: web.BaseRequest, body: bytes) -> str:
    """The text of a body that is declared as JSON, "" without one. Raises Refusal (415)."""
    if body and not is_json(request.headers.get("Content-Type", "")):
        message = "Only application/json request content is supported"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {"Message": message})
    return body.decode("utf-8-sig", errors="replace")


def json_body(text: str) -> Any:
    """A request's JSON. Raises Refusal with the extension's answer for a body that is none."""
    try:
        if is_deeper_than(MAX_DEPTH, text):
            raise ValueError(f"The reader's MaxDepth of {MAX_DEPTH} has been exceeded.")
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        body = {
            "Message": "Invalid JSON content",
            "ExceptionMessage": str(fault),
            "ExceptionType": "JsonReaderException",
        }
        raise Refusal(HTTPStatus.BAD_REQUEST, {**body, "StackTrace": ""}) from fault


def is_deeper_than(most: int, text: str) -> bool:
    """Whether arrays and objects of a JSON text are nested more than `most` deep."""
    if text.count("[") + text.count("{") <= most:
        return False
    depth = 0
    for mark in JSON_MARKS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
        if depth > most:
            return True
    return False


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
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_PAGE:
        raise argument_fault(f"top must be a number from 1 to {MAX_PAGE}.")
    return int(text)


def seconds(query: Query, name: str) -> float:
    """A number of seconds of a query. Raises Refusal (400)."""
    text = query[name.lower()].strip()
    number = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        raise argument_fault(f"{name} must be a number of seconds from 0.")
    return number


def flag(query: Query, name: str, default: bool) -> bool:
    """A parameter that is true or false, in upper or lower case; otherwise the default, as .NET parses it."""
    return {"true": True, "false": False}.get(query.get(name, "").strip().lower(), default)


def moment(text: str) -> datetime:
    """A time of a query in UTC, which is the default zone. Raises Refusal (400)."""
    try:
        time = datetime.fromisoformat(text)
        return max(time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC), EARLIEST)
    except (ValueError, OverflowError) as fault:  # overflow: in UTC the year is outside datetime's range
        raise argument_fault(f"'{text}' is not a time.") from fault


def since(query: Query, column: str, name: str) -> list[str]:
    """The OData conditions of the pair of parameters `<name>From` and `<name>To` on a column of time."""
    bounds = ((query.get(f"{name}{end}"), operator) for end, operator in (("from", "ge"), ("to", "le")))
    return [f"{column} {operator} datetime'{odata_time(moment(text))}'" for text, operator in bounds if text]


def statuses(request: web.BaseRequest) -> list[str]:
    """The OData conditions of `runtimeStatus`, a list with commas or a repeated name; none when it is empty."""
    known = {status.lower(): status for status in STATUS_NUMBERS}
    texts = [readable(text) for name, text in request.query.items() if name.lower() == "runtimestatus"]
    names = [each.strip().lower() for text in texts for each in text.split(",") if each.strip()]
    if not all(each in known for each in names):
        raise argument_fault(f"runtimeStatus must be of {', '.join(STATUS_NUMBERS)}.")
    either = " or ".join(f"RuntimeStatus eq '{known[each]}'" for each in names)
    return [f"({either})"] if either else []


def beginning_with(prefix: str) -> str:
    """The OData condition of the ids that begin with a text."""
    first, last = (quoted(escape_key(text)) for text in (prefix, prefix + LAST_CHARACTER))
    return f"PartitionKey ge '{first}' and PartitionKey lt '{last}'"


def quoted(text: str) -> str:
    return text.replace("'", "''")


def token_of(request: web.BaseRequest) -> dict[str, str]:
    """The continuation token of a request, empty for the first page. Raises Refusal (400)."""
    text = readable(request.headers.get(TOKEN_HEADER, ""))
    token = json_body(text) if text else {}
    if not isinstance(token, dict) or not token.keys() <= TOKEN_PARTS or not all(map(_is_text, token.values())):
        raise bad_token()
    return token


def bad_token() -> Refusal:
    return argument_fault(f"{TOKEN_HEADER} must be one that an earlier page gave.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and readable(value) == value


async def page(
    request: web.BaseRequest, task_hub: TaskHub, condition: str, top: int
) -> tuple[list[Row], dict[str, str]]:
    """A page of instance rows, and the header that leads to the next one. Raises Refusal (400)."""
    first = token_of(request)
    try:
        rows, token = await task_hub.instances.page(condition, top, first)
    except StorageRefused as refusal:
        if not first:
            raise
        raise bad_token() from refusal
    return rows, {TOKEN_HEADER: compact_json(token)} if token else {}
