"""Reading requests and writing answers: JSON out, problems as RFC 9457, never a 500 for input.

Rejected: the validation packages for Azure Functions. Each has one author and a version below 1.0, and all that is
needed is a content type, a status and a list of fields.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import azure.functions as func
from pydantic import BaseModel, ValidationError

from models.errors import Conflict, OutcomeUnknown, Unavailable
from models.sentences import sentence_of

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 256 * 1024
JSON_TYPE = re.compile(r"(application/json|[\w.!#$&^-]+/[\w.!#$&^+-]+\+json)\s*(;.*)?", re.ASCII | re.IGNORECASE)
PARAMETERS_OF_THE_HOST = frozenset({"code", "clientId"})
"""The function key and its name. The Functions host passes them on when they are in the query."""
MAX_NAME_SHOWN = 100
SAFE_IN_A_FRAGMENT = "~!$&'()*+,;=:@?"
ModelT = TypeVar("ModelT", bound=BaseModel)
ServicesT = TypeVar("ServicesT")
Fault = Mapping[str, str]
"""One wrong field: its `pointer`, and the `detail` that says what is allowed."""


def title_of(status: int) -> str:
    """The phrase of a status, the same on each Python: from 3.13 on, Python has another phrase for 413."""
    return "Request Entity Too Large" if status == 413 else HTTPStatus(status).phrase


class Problem(Exception):
    """An answer of 4xx or 503. `errors` names each wrong field by JSON pointer (`#/items/0/quantity`).

    `more`: further members of the body.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Fault] = (),
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = [dict(error) for error in errors]
        self.more = more or {}

    def response(self) -> func.HttpResponse:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": title_of(self.status),
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


async def respond(
    services: Callable[[], ServicesT], handle: Callable[[ServicesT], Awaitable[func.HttpResponse]]
) -> func.HttpResponse:
    """Call a handler, and turn the errors of this product into problems. Any other exception is a bug: the host's 500.

    `services` builds what the handler needs. It may block on I/O, and raises Unavailable while settings are wrong or
    storage does not answer.
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


def read_body(req: func.HttpRequest, model: type[ModelT], faults: Sequence[Fault] = ()) -> ModelT:
    """Parse the body strictly. Raises Problem 413 beyond 256 KiB, 415 for what is not declared as JSON, 400 naming
    every wrong field. A route that has a body takes no parameters of the query.

    `faults`: those of the path and the headers. The same 400 names them.
    """
    faults = [*faults, *unknown_parameters(req)]
    try:
        value = _validated(_body_of(req), model)
    except Problem as problem:
        if problem.status != 400:
            raise
        raise bad_request([*faults, *problem.errors]) from None
    refuse(faults)
    return value


def _body_of(req: func.HttpRequest) -> bytes:
    """Raises Problem."""
    body = req.get_body()
    if len(body) > MAX_BODY_BYTES:
        raise Problem(413, f"The body has {len(body)} bytes; at most {MAX_BODY_BYTES} are read.")
    if not body:
        raise _no_body(req)
    if not JSON_TYPE.fullmatch(req.headers.get("Content-Type", "").strip()):
        raise Problem(415, "The body must be JSON and declared so: send `Content-Type: application/json`.")
    if req.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise body_problem("The body is compressed, and is not unpacked here: send it without a Content-Encoding.")
    return bytes(body)


def _validated(body: bytes, model: type[ModelT]) -> ModelT:
    """Raises Problem 400 with every fault."""
    faults = _doubled_names(_parsed(body))
    try:
        value = model.model_validate_json(body)
    except ValidationError as invalid:
        raise bad_request([*faults, *_faults_of(invalid)]) from None
    refuse(faults)
    return value


def read_query(req: func.HttpRequest, model: type[ModelT]) -> ModelT:
    """Parse the parameters of the query: the model's fields, by their aliases. An empty one counts as left out.

    Raises Problem 400 naming every wrong and every unknown parameter.
    """
    known = [field.alias or name for name, field in model.model_fields.items()]
    faults = unknown_parameters(req, known)
    try:
        query = model.model_validate({name: req.params[name] for name in known if req.params.get(name)})
    except ValidationError as invalid:
        raise bad_request([*faults, *_faults_of(invalid)]) from None
    refuse(faults)
    return query


def refuse_unknown_parameters(req: func.HttpRequest, *known: str) -> None:
    """Raises Problem 400 for a parameter of the query that the route does not have. The host's own are let through."""
    refuse(unknown_parameters(req, known))


def unknown_parameters(req: func.HttpRequest, known: Collection[str] = ()) -> list[Fault]:
    there_are = f"there are {', '.join(known)}" if known else "there are none here"
    unknown = [name for name in req.params if name not in {*known, *PARAMETERS_OF_THE_HOST}]
    return [{"pointer": _pointer((name,)), "detail": f"There is no such parameter; {there_are}."} for name in unknown]


def head_fault(name: str, detail: str) -> Fault:
    """One wrong value of a header or of a part of the path, which no JSON pointer leads to: it goes by its name."""
    return {"pointer": name, "detail": detail}


def refuse(faults: Sequence[Fault]) -> None:
    """Raises Problem 400 if there are any."""
    if faults:
        raise bad_request(faults)


def bad_request(faults: Iterable[Fault]) -> Problem:
    """400 that names each wrong field once. The detail says what is wrong with a single one."""
    once = list({fault["pointer"]: fault for fault in reversed([*faults])}.values())[::-1]
    if len(once) > 1:
        return Problem(400, f"{len(once)} fields are wrong: {', '.join(fault['pointer'] for fault in once)}.", once)
    name, detail = once[0]["pointer"].removeprefix("#").removeprefix("/"), once[0]["detail"]
    return Problem(400, f"{name}: {detail}" if name else detail, once)


def body_problem(sentence: str) -> Problem:
    """A body that is wrong as a whole."""
    return bad_request([{"pointer": "#", "detail": sentence}])


def _no_body(req: func.HttpRequest) -> Problem:
    if req.headers.get("Transfer-Encoding"):
        return body_problem("The body is empty: a chunked upload is not read here. Send a Content-Length.")
    return body_problem("The body is empty: send a JSON object.")


class _Doubled(dict[str, Any]):
    """An object of a body that has some of its names twice."""

    names: tuple[str, ...] = ()


def _parsed(body: bytes) -> Any:
    """The body as JSON, numbers as their texts. Raises Problem 400."""
    try:
        return json.loads(
            body.decode(), object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise body_problem("The body is not UTF-8.") from None
    except json.JSONDecodeError as fault:
        where = f"line {fault.lineno}, column {fault.colno}"
        raise body_problem(f"The body is not JSON: {fault.msg} at {where}.") from None
    except RecursionError:
        raise body_problem("The body is nested too deeply.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) == len(pairs):
        return dict(pairs)
    doubled = _Doubled(pairs)
    doubled.names = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return doubled


def _refuse_constant(name: str) -> Any:
    raise body_problem(f"The body is not JSON: {name} is no value of it.")


def _doubled_names(content: Any) -> list[Fault]:
    """Faults for repeated names, whose value is ambiguous. Raises Problem 400 for a body that is nested too deeply."""
    try:
        twice = [_pointer(location) for location in _doubled_in(content)]
    except RecursionError:
        raise body_problem("The body is nested too deeply.") from None
    return [{"pointer": pointer, "detail": "This name stands twice in one object."} for pointer in twice]


def _doubled_in(content: Any, at: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    if isinstance(content, _Doubled):
        yield from ((*at, name) for name in content.names)
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for place, value in inside:
        yield from _doubled_in(value, (*at, place))


def _faults_of(invalid: ValidationError) -> list[Fault]:
    errors = invalid.errors(include_url=False, include_input=False)
    if errors[0]["type"] == "json_invalid":  # what JSON has and Python's own reader lets through, such as half an emoji
        reason = errors[0]["msg"].removeprefix("Invalid JSON: ")
        return [{"pointer": "#", "detail": f"The body is not JSON: {reason}."}]
    return [{"pointer": _pointer(error["loc"]), "detail": sentence_of(error)} for error in errors]


def _pointer(location: tuple[int | str, ...]) -> str:
    """RFC 6901, as a URI fragment."""
    parts = [str(part).replace("~", "~0").replace("/", "~1")[:MAX_NAME_SHOWN] for part in location]
    return "#" + "".join(f"/{quote(part, safe=SAFE_IN_A_FRAGMENT, errors='replace')}" for part in parts)
