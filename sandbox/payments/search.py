"""The search over PaymentIntents, which lags.

It searches the books as they were some seconds ago: it finds new objects late, and shows the old state of changed ones.
These are the two errors that a caller of Stripe's search has to survive.
"""

import re
import time
from collections.abc import Callable

from sandbox.ledger import JsonObject
from sandbox.payments.errors import StripeError
from sandbox.payments.queries import BOUNDS, page_size
from sandbox.payments.request import Call
from sandbox.payments.state import Draft

PARAMS = frozenset({"expand", "limit", "page", "query"})
OPERATORS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
Matches = Callable[[JsonObject], bool]


def search(lag_s: float) -> Callable[[Draft, Call], JsonObject]:
    """The search over PaymentIntents as they were `lag_s` seconds ago."""

    def searched(draft: Draft, call: Call) -> JsonObject:
        matches = parsed(call.params.required("query"))
        hits = [intent for intent in draft.books.intents_as_of(time.time() - lag_s) if matches(intent)]
        start, size = call.params.positive("page") or 0, page_size(call.params)
        end = start + size
        more = len(hits) > end
        page = {"object": "search_result", "url": call.path, "data": hits[start:end], "has_more": more}
        return page | {"next_page": str(end) if more else None}

    return searched


def parsed(query: str) -> Matches:
    """Clauses joined by AND over `metadata['key']`, `status`, `currency`, `customer`, `amount`, `created`; `-` negates.

    Raises StripeError (400) for anything else of https://docs.stripe.com/search#search-query-language.
    """
    clauses = [_clause(text, query) for text in re.split(r"\s+AND\s+", query.strip())]
    return lambda intent: all(matches(intent) for matches in clauses)


def _clause(text: str, query: str) -> Matches:
    if text.startswith("-"):
        unwanted = _clause(text[1:], query)
        return lambda intent: not unwanted(intent)
    for pattern, clause in CLAUSES:
        if match := re.fullmatch(pattern, text):
            return clause(match)
    raise StripeError(400, f"We were unable to parse your search query `{query}` at `{text}`.", param="query")


def _metadata_is(match: re.Match[str]) -> Matches:
    return lambda intent: intent["metadata"].get(match["key"]) == match["text"]


def _text_is(match: re.Match[str]) -> Matches:
    return lambda intent: intent[match["field"]] == match["text"]


def _number_is(match: re.Match[str]) -> Matches:
    return lambda intent: intent[match["field"]] == int(match["number"])


def _number_is_beyond(match: re.Match[str]) -> Matches:
    holds, bound = BOUNDS[OPERATORS[match["operator"]]], int(match["number"])
    return lambda intent: holds(intent[match["field"]], bound)


TEXT = r"""["'](?P<text>[^"']*)["']"""
CLAUSES: list[tuple[str, Callable[[re.Match[str]], Matches]]] = [
    (rf"""metadata\[["'](?P<key>[^"']+)["']\]:{TEXT}""", _metadata_is),
    (rf"(?P<field>status|currency|customer):{TEXT}", _text_is),
    (r"(?P<field>amount|created):(?P<number>\d+)", _number_is),
    (r"(?P<field>amount|created)(?P<operator>>=|<=|>|<)(?P<number>\d+)", _number_is_beyond),
]
