"""Stripe's API over HTTP: checks the API key, finds the operation, and sends its answer.

The order of the layers gives the faults their meaning: the API key is checked, then the fault plan decides, and then
the idempotency layer works. So an `error_before_commit` is not stored under an idempotency key, and an
`error_after_commit` is.
"""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.faults import Cut, Faults, under_fault
from sandbox.ledger import JsonObject
from sandbox.payments import intents, queries, refunds, search
from sandbox.payments.errors import StripeError, api_error
from sandbox.payments.idempotency import Route, StripeResponse, Till, error_response
from sandbox.payments.request import Call, Params, decode
from sandbox.payments.state import Books, new_id
from sandbox.process import cut

INTENTS = "/v1/payment_intents"
REFUNDS = "/v1/refunds"
KEY_LENGTH = 255


def operations(search_lag_s: float) -> dict[str, Route]:
    """Every operation of the sandbox, by its name in fault plans."""
    return {
        "payment_methods.retrieve": Route(
            "GET", "/v1/payment_methods/{id}", queries.payment_method, queries.ONE_PARAMS
        ),
        "payment_intents.create": Route("POST", INTENTS, intents.create, intents.CREATE_PARAMS),
        "payment_intents.confirm": Route(
            "POST", f"{INTENTS}/{{id}}/confirm", intents.confirm, intents.CONFIRM_PARAMS, intents.confirm_declined
        ),
        "payment_intents.capture": Route("POST", f"{INTENTS}/{{id}}/capture", intents.capture, intents.CAPTURE_PARAMS),
        "payment_intents.cancel": Route("POST", f"{INTENTS}/{{id}}/cancel", intents.cancel, intents.CANCEL_PARAMS),
        "payment_intents.search": Route("GET", f"{INTENTS}/search", search.search(search_lag_s), search.PARAMS),
        "payment_intents.retrieve": Route("GET", f"{INTENTS}/{{id}}", queries.intent, queries.INTENT_PARAMS),
        "payment_intents.list": Route("GET", INTENTS, queries.intents, queries.INTENTS_PARAMS),
        "refunds.create": Route("POST", REFUNDS, refunds.create, refunds.CREATE_PARAMS),
        "refunds.retrieve": Route("GET", f"{REFUNDS}/{{id}}", queries.refund, queries.ONE_PARAMS),
        "refunds.list": Route("GET", REFUNDS, queries.refunds, queries.REFUNDS_PARAMS),
    }


@dataclass(frozen=True)
class StripeCall:
    """One call as an operation for faults."""

    till: Till
    route: Route
    call: Call

    def perform(self) -> StripeResponse:
        return self.till.take(self.call, self.route, self.route.handler)

    def perform_then_fail(self) -> StripeResponse:
        return self.till.take(self.call, self.route, self.route.handler, ending=api_error())

    def refuse(self) -> StripeResponse:
        return self.till.take(self.call, self.route, self.route.refused)

    def fail(self) -> StripeResponse:
        return error_response(api_error())

    def in_flight(self) -> AbstractContextManager[None]:
        return self.till.in_flight(self.call)


class Edge:
    def __init__(self, till: Till, faults: Faults, routes: dict[str, Route]) -> None:
        self._till = till
        self._faults = faults
        self._routes = routes

    def serve(self, app: web.Application) -> None:
        for name, route in self._routes.items():
            app.router.add_route(route.method, route.path, self._handler(name, route))
        app.router.add_route("*", "/v1{rest:.*}", _unrecognized)

    def _handler(self, name: str, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            request_id = new_id("req")
            try:
                call = await _read(request, request_id)
                fired = self._faults.fire(name, order_of(self._till.books, name, call))
                response = await under_fault(fired, StripeCall(self._till, route, call))
            except StripeError as error:
                response = error_response(error)
            except Cut:
                return cut(request)
            return _response(request, response, request_id)

        return handle


def order_of(books: Books, operation: str, call: Call) -> str | None:
    """The order of a call: from its metadata at a create, from a search's clause, else from its intent."""
    if operation == "payment_intents.create":
        return _text(call.params.raw.get("metadata"), "order_id")
    if operation == "payment_intents.search":
        match = re.search(r"metadata\[[\"']order_id[\"']\]:[\"']([^\"']*)", str(call.params.raw.get("query")))
        return match[1] if match else None
    intent = _intent_of(books, call)
    return intent["metadata"].get("order_id") if intent else None


def _intent_of(books: Books, call: Call) -> JsonObject | None:
    for id_ in (call.target, *(_text(call.params.raw, name) for name in ("payment_intent", "charge"))):
        if intent := books.get("payment_intent", id_):
            return intent
        if link := books.get("refund", id_) or books.get("charge", id_):
            return books.get("payment_intent", link["payment_intent"])
    return None


def _text(params: Any, name: str) -> str | None:
    value = params.get(name) if isinstance(params, dict) else None
    return value if isinstance(value, str) else None


async def _read(request: web.Request, request_id: str) -> Call:
    _authenticate(request)
    form = request.query_string if request.method == "GET" else (await request.read()).decode("utf-8", "replace")
    key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    if key and len(key) > KEY_LENGTH:
        raise StripeError(400, f"Idempotency keys are at most {KEY_LENGTH} characters long.", type="idempotency_error")
    target, version = request.match_info.get("id"), request.headers.get("Stripe-Version", "")
    return Call(request.method, request.path, target, Params(decode(form)), key or None, request_id, version)


def _authenticate(request: web.Request) -> None:
    key = _api_key(request.headers.get("Authorization", ""))
    if not key:
        raise StripeError(401, "You did not provide an API key: use `Authorization: Bearer sk_test_...`.")
    if not key.startswith("sk_test_"):
        raise StripeError(
            401, f"Invalid API Key provided: {key[:8]}***. The sandbox takes keys that begin with sk_test_."
        )


def _api_key(authorization: str) -> str:
    """The bearer's token, or the user name of basic authentication."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


async def _unrecognized(request: web.Request) -> web.StreamResponse:
    message = f"Unrecognized request URL ({request.method}: {request.path}), or the sandbox does not offer it."
    return _response(request, error_response(StripeError(404, message)), new_id("req"))


def _response(request: web.Request, response: StripeResponse, request_id: str) -> web.Response:
    headers = {"Request-Id": request_id, "Stripe-Version": request.headers.get("Stripe-Version", "")}
    if key := request.headers.get("Idempotency-Key"):
        headers["Idempotency-Key"] = key
    if response.replays:
        headers |= {"Idempotent-Replayed": "true", "Original-Request": response.replays}
    if response.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="Stripe"'
    return web.json_response(response.body, status=response.status, headers=headers)
