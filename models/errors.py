"""The kinds of failure, ordered by the saga's response.

    OrderSagaError
    ├── Refused          a refusal for a business reason, no effect   -> undo the earlier steps, at once
    ├── Unavailable      a technical fault of a service               -> retry, then undo
    ├── OutcomeUnknown   a request without an answer, perhaps done    -> read by our own id, then decide
    └── Conflict         the record has changed meanwhile             -> the caller reads again and decides

Adapters translate their vendor's errors into these once; nothing above them knows a vendor. A refusal and an
unknown outcome cross the durable boundary as typed outcomes (`models.messages`), a fault as an exception, because
exceptions reach an orchestrator as mere text.

Messages carry ids, amounts and the names of settings. Never names, addresses, e-mails, payment methods or keys:
they are written into the orchestration's history.
"""

from __future__ import annotations

from collections.abc import Sequence


class OrderSagaError(Exception):
    """Anything that this product raises on purpose."""


class Refused(OrderSagaError):
    """A business refusal: proof that nothing happened.

    `reason` is a stable snake_case code for programs, `decline_code` the card network's own, when there is one; `skus`
    names the lines that it is about, when it is about some of them.
    """

    def __init__(self, reason: str, decline_code: str | None = None, skus: Sequence[str] = ()) -> None:
        super().__init__(reason if decline_code is None else f"{reason} ({decline_code})")
        self.reason = reason
        self.decline_code = decline_code
        self.skus = tuple(skus)


class Unavailable(OrderSagaError):
    """A service did not do what was asked and may do so later: try again."""


class OutcomeUnknown(OrderSagaError):
    """A service was asked and its answer is missing: it may or may not have acted."""


class Conflict(OrderSagaError):
    """The change does not fit the current state.

    `stale`: the `If-Match` is wrong, because the caller's copy is old. Otherwise the state forbids the change.
    """

    def __init__(self, message: str, *, stale: bool = False) -> None:
        super().__init__(message)
        self.stale = stale
