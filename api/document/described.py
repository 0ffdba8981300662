"""The types that describe a route, for operations.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

Schema = Mapping[str, Any]


class Reply(NamedTuple):
    """A success. `content`: a model, or a media type if the body is not JSON; None: an empty body."""

    means: str
    content: type[BaseModel] | str | None = None
    example: Any = None
    headers: tuple[str, ...] = ()


class Parameter(NamedTuple):
    """A parameter of the query, or a header. Path parameters are read from the route."""

    name: str
    place: str
    means: str
    schema: Schema
    example: Any = None


class Operation(NamedTuple):
    """`problems`: the statuses that the route answers as application/problem+json."""

    tag: str
    summary: str
    replies: Mapping[int, Reply]
    problems: tuple[int, ...] = ()
    body: type[BaseModel] | None = None
    body_example: Any = None
    parameters: tuple[Parameter, ...] = ()
    says: str = ""
    body_required: bool = True
