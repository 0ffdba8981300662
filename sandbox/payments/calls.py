"""One call as the handlers see it."""

from dataclasses import dataclass

from sandbox.payments.forms import Params


@dataclass(frozen=True)
class Call:
    """`target` is the id in the path, `path` the whole of it; `key` is the Idempotency-Key of a POST, if any.

    `version` is the Stripe-Version that the caller speaks, such as `2026-07-29.dahlia`; empty when it does not say.
    """

    method: str
    path: str
    target: str | None
    params: Params
    key: str | None
    request_id: str
    version: str = ""
