"""Parameters in Stripe's form: form-encoded, nested by brackets, every value a text.

`metadata[order_id]=7&payment_method_types[]=card` becomes `{"metadata": {"order_id": "7"}, "payment_method_types":
{"0": "card"}}`: a list is a mapping from position to value, because only the reader of a parameter knows whether it is
a list.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from sandbox.ledger import JsonObject
from sandbox.payments.errors import StripeError, missing_parameter

BOOLEANS = {"true": True, "false": False}


def decode(form: str) -> JsonObject:
    """The nested parameters of a query string or a body. Raises StripeError (400) if two contradict each other."""
    params: JsonObject = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        _place(params, re.findall(r"^[^\[]+|(?<=\[)[^\]]*(?=\])", name) or [name], value)
    return params


def _place(params: JsonObject, path: list[str], value: str) -> None:
    *outer, last = path
    node: Any = params
    for part in outer:
        node = node.setdefault(part or str(len(node)), {})
        if not isinstance(node, dict):
            raise StripeError(400, f"Invalid parameters: {path[0]} is both a value and a hash.", param=path[0])
    node[last or str(len(node))] = value


class Params:
    """The parameters of one call, read by type. Every reader raises StripeError (400) for a wrong value."""

    def __init__(self, raw: JsonObject) -> None:
        self.raw = raw

    def refuse_unknown(self, known: frozenset[str]) -> None:
        if unknown := sorted(self.raw.keys() - known):
            many = "s" if len(unknown) > 1 else ""
            message = f"Received unknown parameter{many}: {', '.join(unknown)}"
            raise StripeError(400, message, code="parameter_unknown", param=unknown[0])

    def text(self, name: str) -> str | None:
        value = self.raw.get(name)
        if isinstance(value, dict):
            raise StripeError(400, f"Invalid string: {value}", param=name)
        return value or None

    def required(self, name: str) -> str:
        if not (value := self.text(name)):
            raise missing_parameter(name)
        return value

    def choice(self, name: str, among: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is not None and value not in among:
            raise StripeError(400, f"Invalid {name}: must be one of {', '.join(among)}", param=name)
        return value

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise StripeError(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
        return int(value)

    def positive(self, name: str) -> int | None:
        value = self.integer(name)
        if value is not None and value < 1:
            message = "This value must be greater than or equal to 1."
            raise StripeError(400, message, code="parameter_invalid_integer", param=name)
        return value

    def boolean(self, name: str) -> bool:
        value = self.text(name)
        if value is None:
            return False
        if value not in BOOLEANS:
            raise StripeError(400, f"Invalid boolean: {value}", param=name)
        return BOOLEANS[value]

    def hash(self, name: str) -> JsonObject:
        value = self.raw.get(name) or {}
        if not isinstance(value, dict):
            raise StripeError(400, f"Invalid object: {value}", param=name)
        return value

    def texts(self, name: str) -> list[str]:
        values = list(self.hash(name).values())
        if not all(isinstance(value, str) for value in values):
            raise StripeError(400, "Invalid array", param=name)
        return values

    def metadata(self) -> dict[str, str]:
        """At most 50 keys of 40 characters with values of 500; an empty value deletes its key."""
        pairs = self.hash("metadata")
        if len(pairs) > 50 or any(len(key) > 40 for key in pairs):
            raise StripeError(400, "Metadata can have up to 50 keys of up to 40 characters.", param="metadata")
        if not all(isinstance(value, str) and len(value) <= 500 for value in pairs.values()):
            raise StripeError(400, "Metadata values can have up to 500 characters.", param="metadata")
        return {key: value for key, value in pairs.items() if value}


@dataclass(frozen=True)
class Call:
    """`target` is the id in the path, `path` the whole path; `key` is the Idempotency-Key of a POST, if any.

    `version` is the caller's Stripe-Version, such as `2026-07-29.dahlia`; empty without one.
    """

    method: str
    path: str
    target: str | None
    params: Params
    key: str | None
    request_id: str
    version: str = ""
