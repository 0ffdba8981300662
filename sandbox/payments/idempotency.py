"""Carries a call out once per idempotency key (https://docs.stripe.com/api/idempotent_requests).

- Same key, path and parameters: the stored answer again, marked `Idempotent-Replayed: true`, stored failures included.
- Same key with another path or parameters: 400 `idempotency_error`, without an effect.
- Same key while the first call is still under way: 409 `idempotency_key_in_use`.
- An error found before the endpoint began is not stored: the key stays free.

Keys are kept for ever. Stripe may drop them after 24 hours; no test waits that long.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sandbox.ledger import JsonObject
from sandbox.payments.errors import StripeError, refusal
from sandbox.payments.queries import expanded
from sandbox.payments.request import Call
from sandbox.payments.state import Announce, Books, Draft

Handler = Callable[[Draft, Call], JsonObject]


@dataclass(frozen=True)
class StripeResponse:
    """An HTTP answer; `replays` is the id of the first request that got it, when this is not the first."""

    status: int
    body: JsonObject
    replays: str | None = None


def refuse(_draft: Draft, _call: Call) -> JsonObject:
    raise refusal()


@dataclass(frozen=True)
class Route:
    """One operation: its path, its handler, its parameters, and its refusal for a fault plan."""

    method: str
    path: str
    handler: Handler
    known: frozenset[str]
    refused: Handler = refuse


@dataclass
class Till:
    books: Books
    announce: Announce
    under_way: set[str] = field(default_factory=set)

    def take(self, call: Call, route: Route, handler: Handler, ending: StripeError | None = None) -> StripeResponse:
        """Carry the call out, or replay it. `ending` replaces the true answer, also under the key."""
        try:
            if stored := self._stored(call):
                return stored
            return self._execute(call, route, handler, ending)
        except StripeError as error:
            return error_response(error)

    @contextmanager
    def in_flight(self, call: Call) -> Iterator[None]:
        """Occupies the call's key while open. Raises StripeError 409 when it is occupied already."""
        self._require_free(call)
        if call.key:
            self.under_way.add(call.key)
        try:
            yield
        finally:
            self.under_way.discard(call.key or "")

    def _require_free(self, call: Call) -> None:
        if call.key in self.under_way:
            message = (
                "There is currently another in-progress request using this Idempotent Key (that probably means you "
                f"submitted twice, and the other request is still going through): {call.key}. Please try again later."
            )
            raise StripeError(409, message, type="idempotency_error", code="idempotency_key_in_use")

    def _stored(self, call: Call) -> StripeResponse | None:
        self._require_free(call)
        stored = self.books.answers.get(call.key or "")
        if stored is None:
            return None
        if (stored["path"], stored["digest"]) != (call.path, _digest(call)):
            message = (
                "Keys for idempotent requests can only be used with the same endpoint and parameters they were first "
                f"used with. Try using a key other than '{call.key}' if you meant to execute a different request."
            )
            raise StripeError(400, message, type="idempotency_error")
        return StripeResponse(stored["status"], stored["body"], stored["request_id"])

    def _execute(self, call: Call, route: Route, handler: Handler, ending: StripeError | None) -> StripeResponse:
        draft = Draft(self.books, call.key)
        call.params.refuse_unknown(route.known)
        try:
            response = StripeResponse(200, expanded(draft, handler(draft, call), call.params.texts("expand")))
        except StripeError as error:
            if not error.executed:
                raise
            response = error_response(error)
        if ending:
            response = error_response(ending)
        self._keep(draft, call, response)
        return response

    def _keep(self, draft: Draft, call: Call, response: StripeResponse) -> None:
        if draft.changed or call.key:
            self.announce(self.books.commit(draft, _storable(call, response)))


def error_response(error: StripeError) -> StripeResponse:
    return StripeResponse(error.status, error.body)


def _storable(call: Call, response: StripeResponse) -> JsonObject | None:
    if call.key is None:
        return None
    return {
        "key": call.key,
        "path": call.path,
        "digest": _digest(call),
        "status": response.status,
        "body": response.body,
        "request_id": call.request_id,
    }


def _digest(call: Call) -> str:
    return hashlib.sha256(json.dumps(call.params.raw, sort_keys=True).encode()).hexdigest()
