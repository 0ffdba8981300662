"""The API document, OpenAPI 3.1: made from the registered triggers, the pydantic models and operations.py.

Route, methods and key level come from the triggers themselves, so that the document cannot name a route that is not
served. Rejected: FastAPI behind one catch-all function. The key level, the name and the metrics of each route would be
lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from api.document.answers import Front, ProblemAnswer
from api.document.described import Operation, Parameter, Reply
from api.document.examples import EXAMPLE_ID, EXAMPLE_SKU, PROBLEMS
from api.document.operations import OPERATIONS
from api.problems import title_of
from models.order_request import OrderId, Sku
from models.states import COMPENSATION_NAMES
from models.view import Failure

PREFIX = "api"
REFERENCE = "#/components/schemas/{model}"
ROUTE_PARAMETER = re.compile(r"\{\*{0,2}(\w+)([^}]*)\}")
KEY = "functionKey"
UNDOS = list(reversed(COMPENSATION_NAMES))
# The path's parameters by their names in the routes: meaning, schema, example.
PATH_PARAMETERS: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "order_id": ("The order's id.", TypeAdapter(OrderId).json_schema(), EXAMPLE_ID),
    "sku": ("The article's SKU.", TypeAdapter(Sku).json_schema(), EXAMPLE_SKU),
    "compensation": ("The undo.", {"type": "string", "enum": UNDOS}, "refund_payment"),
    "asset": ("The name of the file.", {"type": "string", "pattern": r"^[a-z.-]+$"}, "docs.js"),
}
EXAMPLES_OF_A_ROUTE = {"dashboard/{asset}": "dashboard.js"}
HEADERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "Location": ("Where the orchestration's status is.", {"type": "string"}),
    "Retry-After": ("Seconds to wait.", {"type": "string", "pattern": "^[0-9]+$"}),
    "ETag": ("Identifies this state.", {"type": "string"}),
    "Content-Disposition": ("Shows the file instead of saving it.", {"type": "string"}),
    "Cache-Control": ("How long the response may be cached.", {"type": "string"}),
}
MEANINGS = {
    400: "The request is wrong. Each wrong field is named.",
    404: "The order, SKU, undo or file does not exist.",
    409: "The current state does not allow it. `detail` names the state.",
    410: "It existed, and is gone for good.",
    412: "The `If-Match` is not the current ETag.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    503: "A setting is wrong, or a service does not answer. Try again later.",
}


class Trigger(NamedTuple):
    """An HTTP function as the app registers it. `anonymous`: no key is asked for."""

    name: str
    route: str
    methods: tuple[str, ...]
    anonymous: bool


def trigger_of(function: Any) -> Trigger | None:
    """The HTTP trigger of a function that the SDK has built; None if it has another trigger."""
    trigger = function.get_trigger()
    if trigger.type != "httpTrigger":
        return None
    methods = tuple(getattr(method, "value", method) for method in trigger.methods)
    return Trigger(function.get_function_name(), trigger.route, methods, trigger.auth_level.value == "anonymous")


def document(triggers: Iterable[Trigger]) -> dict[str, Any]:
    """Raises KeyError for a trigger that operations.py does not describe."""
    paths: dict[str, dict[str, Any]] = {}
    for trigger in triggers:
        for method in trigger.methods:
            paths.setdefault(path_of(trigger.route), {})[method.lower()] = _operation(trigger)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Order saga",
            "version": "1",
            "summary": "Orders that complete, or are undone step by step.",
            "description": "Money is in whole minor units (pence, cents) with a lower-case ISO 4217 currency.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The function app that serves this document."}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in OPERATIONS.values())],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _schemas(),
            "responses": {_component(status): _problem(status) for status in PROBLEMS} | {"Unauthorized": UNAUTHORIZED},
            "securitySchemes": {KEY: FUNCTION_KEY},
        },
    }


FUNCTION_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": "x-functions-key",
    "description": "A function key or the host key of the function app. On a laptop no key is needed.",
}
UNAUTHORIZED = {"description": "The function key is missing or wrong. The host answers, with an empty body."}


def path_of(route: str) -> str:
    """`orders/{order_id}` -> `/api/orders/{order_id}`; an optional parameter is left out."""
    plain = ROUTE_PARAMETER.sub(lambda match: "" if match[2].endswith("?") else f"{{{match[1]}}}", route)
    return f"/{PREFIX}/{plain}".rstrip("/")


def _operation(trigger: Trigger) -> dict[str, Any]:
    operation = OPERATIONS[trigger.name]
    entry: dict[str, Any] = {"operationId": trigger.name, "tags": [operation.tag], "summary": operation.summary}
    if operation.says:
        entry["description"] = operation.says
    parameters = [*_path_parameters(trigger.route), *map(_parameter, operation.parameters)]
    if parameters:
        entry["parameters"] = parameters
    if operation.body is not None:
        entry["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": {"schema": _reference(operation.body), "example": operation.body_example}},
        }
    entry["responses"] = _responses(operation, trigger.anonymous)
    entry["security"] = [] if trigger.anonymous else [{KEY: []}]
    return entry


def _path_parameters(route: str) -> Iterable[dict[str, Any]]:
    for name, tail in ROUTE_PARAMETER.findall(route):
        if not tail.endswith("?"):
            means, schema, example = PATH_PARAMETERS[name]
            yield {
                "name": name,
                "in": "path",
                "required": True,
                "description": means,
                "schema": schema,
                "example": EXAMPLES_OF_A_ROUTE.get(route, example),
            }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    entry = {"name": parameter.name, "in": parameter.place, "description": parameter.means, "schema": parameter.schema}
    return entry if parameter.example is None else {**entry, "example": parameter.example}


def _responses(operation: Operation, anonymous: bool) -> dict[str, Any]:
    responses: dict[str, Any] = {str(status): _reply(reply) for status, reply in operation.replies.items()}
    if not anonymous:
        responses["401"] = {"$ref": "#/components/responses/Unauthorized"}
    for status in operation.problems:
        responses[str(status)] = {"$ref": f"#/components/responses/{_component(status)}"}
    return dict(sorted(responses.items()))


def _reply(reply: Reply) -> dict[str, Any]:
    entry: dict[str, Any] = {"description": reply.means}
    if isinstance(reply.content, str):
        entry["content"] = {reply.content: {}}
    elif reply.content is not None:
        entry["content"] = {"application/json": {"schema": _reference(reply.content), "example": reply.example}}
    if reply.content is Front:
        entry["content"]["text/html"] = {}
    if reply.headers:
        entry["headers"] = {name: _header(name) for name in reply.headers}
    return entry


def _header(name: str) -> dict[str, Any]:
    means, schema = HEADERS[name]
    return {"description": means, "required": True, "schema": schema}


def _problem(status: int) -> dict[str, Any]:
    detail, more = PROBLEMS[status]
    example = {"type": "about:blank", "title": title_of(status), "status": status, "detail": detail, **more}
    entry: dict[str, Any] = {
        "description": MEANINGS[status],
        "content": {"application/problem+json": {"schema": _reference(ProblemAnswer), "example": example}},
    }
    if status == 503:
        entry["headers"] = {"Retry-After": _header("Retry-After")}
    return entry


def _component(status: int) -> str:
    return title_of(status).replace(" ", "")


def _schemas() -> dict[str, Any]:
    """Request bodies as they are validated, response bodies as they are serialized."""
    bodies = {operation.body for operation in OPERATIONS.values() if operation.body is not None}
    replies = {reply.content for operation in OPERATIONS.values() for reply in operation.replies.values()}
    written = {model for model in replies if isinstance(model, type)} | {ProblemAnswer}
    _, definitions = models_json_schema(
        [
            *((body, "validation") for body in _by_name(bodies)),
            *((each, "serialization") for each in _by_name(written)),
        ],
        ref_template=REFERENCE,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    # Failure omits an empty code by its own serializer, from which pydantic reads no schema.
    schemas["Failure"] = TypeAdapter(Failure).json_schema(ref_template=REFERENCE)
    return dict(sorted(schemas.items()))


def _by_name(models: Iterable[type[BaseModel]]) -> list[type[BaseModel]]:
    return sorted(models, key=lambda model: model.__name__)


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}
