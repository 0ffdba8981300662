"""Reading requests and writing answers: JSON out, problems as RFC 9457, never a 500 for input.

A small writer of our own: the validation packages for Azure Functions are single-author 0.x, and there is nothing here
but a content type, a status and a list of fields.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import azure.functions as func
from pydantic import BaseModel, ValidationError

from models.errors import Conflict, OutcomeUnknown, Unavailable

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
ModelT = TypeVar("ModelT", bound=BaseModel)
ServicesT = TypeVar("ServicesT")


class Problem(Exception):
    """An answer of 4xx or 503. `errors` names each wrong field by JSON pointer (`#/items/0/quantity`).

    `more`: further members of the body.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: list[dict[str, str]] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors or []
        self.more = more or {}

    def response(self) -> func.HttpResponse:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        body |= self.more
        headers = {"Retry-After": "5"} if self.status == 503 else None
        return func.HttpResponse(
            json.dumps(body), status_code=self.status, mimetype="application/problem+json", headers=headers
        )


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    text = json.dumps(body, ensure_ascii=False)
    return func.HttpResponse(text, status_code=status, mimetype="application/json", headers=headers)


async def answered(
    services: Callable[[], ServicesT], handle: Callable[[ServicesT], Awaitable[func.HttpResponse]]
) -> func.HttpResponse:
    """Let a handler answer, and turn what it raises on purpose into an answer. Anything else is a bug: the host's 500.

    `services` builds what the handler needs; it may block on I/O, and raises Unavailable while that cannot be had.
    """
    try:
        return await handle(await asyncio.to_thread(services))
    except Problem as problem:
        return problem.response()
    except Conflict as conflict:
        return Problem(412 if conflict.stale else 409, str(conflict)).response()
    except (OutcomeUnknown, Unavailable) as fault:
        log.warning("answered 503: %s", fault)
        return Problem(503, f"{fault} Try again later.").response()


def read_body(req: func.HttpRequest, model: type[ModelT]) -> ModelT:
    """Parse the body strictly. Raises Problem 413 beyond 256 KiB, 400 naming every wrong field."""
    body = req.get_body()
    if len(body) > MAX_BODY_BYTES:
        raise Problem(413, f"The body has {len(body)} bytes; at most {MAX_BODY_BYTES} are read.")
    try:
        return model.model_validate_json(body)
    except ValidationError as invalid:
        raise _bad_fields(invalid) from None


def field_problem(name: str, detail: str) -> Problem:
    """One wrong value that does not stand in the body: a header or a part of the path."""
    return Problem(400, f"{name}: {detail}", [{"pointer": name, "detail": detail}])


def _bad_fields(invalid: ValidationError) -> Problem:
    errors = [
        {"pointer": _pointer(error["loc"]), "detail": error["msg"].removeprefix("Value error, ")}
        for error in invalid.errors(include_url=False, include_context=False, include_input=False)
    ]
    count = "1 field is" if len(errors) == 1 else f"{len(errors)} fields are"
    return Problem(400, f"{count} wrong: {', '.join(error['pointer'] for error in errors)}.", errors)


def _pointer(location: tuple[int | str, ...]) -> str:
    """RFC 6901, as a URI fragment."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in location]
    return "#" + "".join(f"/{part}" for part in parts)
