"""The sentences for wrong fields: one plain sentence for each kind of fault, which says what is allowed.

pydantic's own texts quote regular expressions and name Python's types, which mean nothing to a shop's developer.
A rule of our own that raises ValueError brings its sentence along.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import ErrorDetails

from models.order_request import (
    COUNTRY_PATTERN,
    CUSTOMER_ID_PATTERN,
    EMAIL_PATTERN,
    ORDER_ID_PATTERN,
    PAYMENT_METHOD_PATTERN,
    SKU_PATTERN,
)

# By the pattern that a text has to match.
PATTERNS: Mapping[str, str] = {
    ORDER_ID_PATTERN: "must be 1 to 64 letters, digits or hyphens",
    SKU_PATTERN: "must be 1 to 64 capital letters, digits or hyphens",
    CUSTOMER_ID_PATTERN: "must be 1 to 100 letters, digits or characters of _.@-",
    EMAIL_PATTERN: "must be a mail address such as ada@example.com, of ASCII characters only: "
    "give an international domain in its xn-- form",
    PAYMENT_METHOD_PATTERN: "must be the id of a Stripe PaymentMethod: pm_ and 1 to 64 letters, digits or underscores",
    COUNTRY_PATTERN: "must be an ISO 3166 alpha-2 code in capital letters, such as GB",
}
WHOLE_NUMBER = "must be a whole number"
NOT_ALLOWED = "is not allowed here"
"""The sentence for a kind of fault without one of its own; a test shows that no field of today gets it."""
# By pydantic's name of the fault; the words in braces are what it knows of the limit.
KINDS: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} entry",
    "too_long": "must have at most {max_length} entries",
    "bool_type": "must be true or false",
    "int_type": WHOLE_NUMBER,
    "int_parsing_size": WHOLE_NUMBER,
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_type": "must be a text",
    "string_unicode": "must be a text of whole characters",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
}


def sentence_of(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], NOT_ALLOWED)
    return KINDS.get(kind, NOT_ALLOWED).format(**context)
