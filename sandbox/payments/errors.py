"""Stripe's errors, in the shape of https://docs.stripe.com/api/errors.

`executed` separates the two kinds that the idempotency layer treats differently: an error before the endpoint began
(bad parameters, unknown ids) is not stored under the key; an error of the endpoint itself (a decline, a wrong state)
is.
"""

from typing import Any

from sandbox.ledger import JsonObject


class StripeError(Exception):
    """An error answer: its HTTP status and its body `{"error": {"type", "message", "code", ...}}`."""

    def __init__(
        self, status: int, message: str, *, type: str = "invalid_request_error", executed: bool = False, **details: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        self.body: JsonObject = {"error": {"type": type, "message": message, **details}}


def missing_parameter(name: str) -> StripeError:
    return StripeError(400, f"Missing required param: {name}.", code="parameter_missing", param=name)


def no_such(kind: str, id_: str, param: str, status: int = 404) -> StripeError:
    return StripeError(status, f"No such {kind}: '{id_}'", code="resource_missing", param=param)


def unexpected_state(message: str, intent: JsonObject) -> StripeError:
    return StripeError(400, message, executed=True, code="payment_intent_unexpected_state", payment_intent=intent)


def api_error() -> StripeError:
    return StripeError(500, "An error occurred on the provider's side.", type="api_error")


def refusal() -> StripeError:
    """The answer of a fault of kind `refuse` where no card is involved."""
    return StripeError(400, "This request was refused, as the sandbox's fault plan asks.", executed=True)
