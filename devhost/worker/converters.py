"""Converters of arguments and return values: a pair of functions for each trigger.

`prepare` makes the trigger's parameter from a call's header and body; `finish` makes an answer from the return value.
Both use the converters of azure-functions, as the real worker does.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import azure.functions as func
from azure.functions.durable_functions import ActivityTriggerConverter
from azure.functions.http import HttpResponseConverter
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequest

from devhost.history.events import compact_json, iso_time
from devhost.worker.answers import Answer

MAX_RESULT_BYTES = 64 * 2**20
MAX_STATUS = 999


def prepare_activity(header: dict[str, Any], body: bytes) -> Any:
    return ActivityTriggerConverter.decode(Datum(body.decode(), "string"), trigger_metadata=None)


def finish_activity(value: Any) -> Answer:
    text: str = ActivityTriggerConverter.encode(value, expected_type=None).value
    content = compact_json(json.loads(text)).encode()
    if len(content) > MAX_RESULT_BYTES:
        raise ValueError(f"the result has {len(content)} bytes of JSON; at most {MAX_RESULT_BYTES} can be kept")
    return {"ok": True, "at": iso_time(datetime.now(UTC))}, content


def prepare_http(header: dict[str, Any], body: bytes) -> Any:
    return func.HttpRequest(
        method=header["method"],
        url=header["url"],
        headers=header["headers"],
        params=header["params"],
        route_params=header["route_params"],
        body=body,
    )


def finish_http(value: Any) -> Answer:
    """The response of an HTTP function. Anything but an HttpResponse or a str is refused, as the real worker does."""
    if isinstance(value, str):
        return _finish_text(value)
    if not isinstance(value, func.HttpResponse):
        raise TypeError(f"an HTTP function must return func.HttpResponse or str, not {type(value).__name__}")
    cookies = [["Set-Cookie", cookie] for cookie in value.headers.get_all("Set-Cookie")]
    encoded = HttpResponseConverter.encode(value, expected_type=None).value
    headers = [[name, datum.value] for name, datum in encoded["headers"].items()]
    return {"ok": True, "status": _status(value.status_code), "headers": headers + cookies}, value.get_body()


def _finish_text(text: str) -> Answer:
    """A plain text, unless it is a JSON object with a `body`, which is read as a description of a response."""
    try:
        described = json.loads(text)
    except ValueError:
        described = None
    if not isinstance(described, dict) or "body" not in described:
        return {"ok": True, "status": 200, "headers": [["Content-Type", "text/plain; charset=utf-8"]]}, text.encode()
    body = described["body"]
    content = body if isinstance(body, str) else json.dumps(body)
    status = _status(described.get("status") or described.get("statusCode") or 200)
    headers = [[name, str(value)] for name, value in (described.get("headers") or {}).items()]
    return {"ok": True, "status": status, "headers": headers}, content.encode()


def _status(value: Any) -> int:
    """The status of an answer. Raises ValueError for one that clients do not take for a final answer."""
    status = int(value)
    if not HTTPStatus.OK <= status <= MAX_STATUS:
        raise ValueError(f"an HTTP function must answer with a status from 200 to {MAX_STATUS}, not {status}")
    return status


def prepare_timer(header: dict[str, Any], body: bytes) -> Any:
    return TimerRequest(past_due=header["past_due"], schedule_status=header["status"], schedule=header["schedule"])


def finish_timer(value: Any) -> Answer:
    return {"ok": True}, b""


CONVERTERS: dict[str, tuple[Callable[[dict[str, Any], bytes], Any], Callable[[Any], Answer]]] = {
    "activity": (prepare_activity, finish_activity),
    "http": (prepare_http, finish_http),
    "timer": (prepare_timer, finish_timer),
}
