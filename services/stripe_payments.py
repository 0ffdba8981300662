"""Payments over Stripe's API, in the two phases that `activities.payment` describes.

What keeps the money right, in the order in which it matters:

1. One idempotency key per effect: `<order>:pay`, `<order>:confirm`, `<order>:refund`. The SDK's own retries are off:
   the saga's durable loop retries, and asks before it acts again.
2. An effect is looked up by Stripe's own id, never searched for: Stripe's search lags, and proves no absence.
3. Stripe stores a 5xx under its key and replays it for ever. Such a key is burnt, and the next generation of it
   (`<order>:pay:2`) may be used, but only after a read has shown that the effect is absent (an unconfirmed intent needs
   no read: it holds no money). A 5xx that is not a replay burns nothing: the same key is sent again. A stored refusal
   is final for a charge, and burns the key of a refund, which must succeed in the end (a balance may have been
   filled up since).
4. Cancelling has no key of ours. It is guarded by the intent's state, so a repeat is harmless, while a stored 5xx under
   a fixed key would block it.

Errors carry order ids, Stripe's ids and its codes, never its texts: those quote payment methods, and what is raised
here is written into the orchestration's history. For the same reason no error keeps Stripe's own as its cause.

Rejected: one request that creates and confirms. Its answer can be lost together with the only id to ask by. Rejected
too: the API version that the SDK brings. From 2026-09-30 on Stripe refuses `payment_method_types`, and its successor
`allowed_payment_method_types` drops what does not fit without a word, where an order that cannot be paid by card is to
be refused.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

import stripe

from models.errors import OrderSagaError, OutcomeUnknown, Refused, Unavailable
from models.order_record import OrderRecord
from services.connections import CompleteRequests

GENERATIONS = 5
CONNECT_AND_READ_S = (10.0, 10.0)
# A version that takes `payment_method_types`; they were removed here:
# https://docs.stripe.com/changelog/endive/2026-09-30/removes-the-payment-method-types-parameter-from-payment-intents-and-setup-intents
API_VERSION = "2026-07-29.dahlia"

# Stripe's codes where our own word says more; its other codes are passed on as they are.
REASONS = {"resource_missing": "payment_method_invalid"}

ResponseT = TypeVar("ResponseT")


class _Rejected(Exception):
    """Stripe read the request and said no (400, 402, 404). Holds its codes, not its text."""

    def __init__(self, status: int, no: object, replayed: bool) -> None:
        super().__init__(f"{status} {getattr(no, 'code', None)}")
        self.status = status
        self.replayed = replayed
        self.code: str | None = getattr(no, "code", None)
        self.refusal = _refusal(no)


class _KeyBurnt(Exception):
    """Stripe replayed a stored 5xx: this key will never be answered by anything else."""


class StripePayments:
    """Fulfils `Payments` and `PaymentMethods`. Safe to share between threads."""

    def __init__(self, api_key: str, api_base: str) -> None:
        # At INFO the SDK logs the path of every request, and paths contain payment methods.
        logging.getLogger("stripe").setLevel(logging.WARNING)
        client = stripe.StripeClient(
            api_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=stripe.RequestsClient(timeout=CONNECT_AND_READ_S, session=CompleteRequests()),
            max_network_retries=0,
        )
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds
        self._methods = client.v1.payment_methods

    # ---------------------------------------------------------------------------------------------------- validation

    def check_method(self, payment_method: str) -> None:
        """Raises Refused("payment_method_invalid") for a method that Stripe does not know or that is no card."""
        try:
            method = _ask("a payment method", lambda: self._methods.retrieve(payment_method), Unavailable)
        except _Rejected:
            raise Refused("payment_method_invalid") from None
        if method.type != "card":
            raise Refused("payment_method_invalid")

    # -------------------------------------------------------------------------------------------------------- charge

    def open_intent(self, order: OrderRecord, operation_id: str) -> str:
        """Create the order's unconfirmed intent, or have Stripe replay its creation. Returns its id.

        Where Stripe replays a stored 5xx, the next generation of the key is used. Whether the first creation took
        effect does not matter here: an unconfirmed intent holds no money, and its id is known to nobody who could
        confirm it. Do and undo walk the same generations from the first, and a stored answer does not change, so both
        end at the same intent. Raises Refused, and Unavailable when Stripe does not answer.
        """
        for key in _generations(operation_id):
            with contextlib.suppress(_KeyBurnt):
                return self._create_intent(order, key).id
        raise _all_burnt(order.order_id, operation_id)

    def _create_intent(self, order: OrderRecord, key: str) -> stripe.PaymentIntent:
        total = order.priced_total()
        params: Any = {  # the SDK's types are those of its own API version
            "amount": total.amount_minor,
            "currency": total.currency,
            "payment_method": order.contents.payment_method,
            "payment_method_types": ["card"],
            "capture_method": "automatic",
            "metadata": {"order_id": order.order_id},
        }
        about = f"order {order.order_id}: the opening of its payment intent"
        try:
            return _ask(about, lambda: self._intents.create(params, {"idempotency_key": key}), Unavailable)
        except _Rejected as no:
            raise no.refusal from None

    def confirm(self, order_id: str, intent_id: str) -> None:
        """Charge: one request. Returns when Stripe says succeeded, raises Refused, OutcomeUnknown or Unavailable.

        A refusal is raised only once the intent is cancelled, so that nothing can charge it later. Where cancelling
        fails, the outcome is unknown, and `settle` finishes the work without a second confirmation.
        """
        try:
            self._confirm(order_id, intent_id, _confirm_key(order_id))
        except _KeyBurnt:
            raise _unknown(order_id, intent_id, "confirmation failed before") from None

    def settle(self, order_id: str, intent_id: str) -> None:
        """Read what became of the intent; confirm it only where it still waits for that. Raises as `confirm`."""
        for key in _generations(_confirm_key(order_id)):
            intent = self._read(order_id, intent_id)
            if intent.status != "requires_confirmation":
                return self._conclude(order_id, intent)
            with contextlib.suppress(_KeyBurnt):  # the next key only after the next read
                return self._confirm(order_id, intent_id, key)
        raise _all_burnt(order_id, _confirm_key(order_id))

    def _confirm(self, order_id: str, intent_id: str, key: str) -> None:
        about = f"order {order_id}: the confirmation of payment intent {intent_id}"
        try:
            intent = _ask(
                about, lambda: self._intents.confirm(intent_id, options={"idempotency_key": key}), OutcomeUnknown
            )
        except _Rejected as no:
            return self._refuse(order_id, intent_id, no)
        return self._conclude(order_id, intent)

    def _refuse(self, order_id: str, intent_id: str, no: _Rejected) -> None:
        if no.code == "payment_intent_unexpected_state":  # another attempt was quicker; its outcome counts, not this
            raise _unknown(order_id, intent_id, "is past its confirmation") from None
        self._cancel(order_id, intent_id)
        raise no.refusal from None

    def _conclude(self, order_id: str, intent: stripe.PaymentIntent) -> None:
        CONCLUSIONS.get(intent.status, StripePayments._stays_unknown)(self, order_id, intent)

    def _is_paid(self, order_id: str, intent: stripe.PaymentIntent) -> None:
        """Nothing is left to do."""

    def _was_canceled(self, order_id: str, intent: stripe.PaymentIntent) -> None:
        if intent.cancellation_reason == "abandoned":  # what `_wants_the_customer` writes, if its answer was lost
            raise Refused("authentication_required")
        raise _refusal(intent.last_payment_error) if intent.last_payment_error else Refused("payment_canceled")

    def _wants_the_customer(self, order_id: str, intent: stripe.PaymentIntent) -> None:
        """3-D Secure wants somebody at a screen; the shop's server that posts orders is not."""
        self._cancel(order_id, intent.id, {"cancellation_reason": "abandoned"})
        raise Refused("authentication_required")

    def _was_declined(self, order_id: str, intent: stripe.PaymentIntent) -> None:
        self._cancel(order_id, intent.id)
        raise _refusal(intent.last_payment_error)

    def _stays_unknown(self, order_id: str, intent: stripe.PaymentIntent) -> None:
        raise _unknown(order_id, intent.id, f"is {intent.status}")

    # ----------------------------------------------------------------------------------------------------- give back

    def give_back(self, order_id: str, intent_id: str) -> str | None:
        """Cancel the intent, or refund it where money has moved; safe to repeat. Returns the refund's id or None.

        Returns only what Stripe has confirmed. Raises OutcomeUnknown while it has not, and Unavailable where a person
        has to act. Never raises Refused: an undo must succeed in the end.
        """
        intent = self._read(order_id, intent_id)
        if intent.status == "succeeded":
            return self._refund(order_id, intent)
        if intent.status == "processing":  # not to be cancelled, not yet to be refunded
            raise _unknown(order_id, intent_id, "is processing")
        if intent.status != "canceled":
            self._cancel(order_id, intent_id)
        return None

    def _refund(self, order_id: str, intent: stripe.PaymentIntent) -> str:
        for key in _generations(f"{order_id}:refund"):
            refund_id = self._found_refund(order_id, intent)
            if refund_id is not None:
                return refund_id
            with contextlib.suppress(_KeyBurnt):  # the next key only after the next look
                return self._create_refund(order_id, intent.id, key)
        raise _all_burnt(order_id, f"{order_id}:refund")

    def _found_refund(self, order_id: str, intent: stripe.PaymentIntent) -> str | None:
        """The id of the refund that completes the whole amount; None when some of it has still to be refunded."""
        about = f"order {order_id}: the refunds of payment intent {intent.id}"
        try:
            listed = _ask(
                about, lambda: self._refunds.list({"payment_intent": intent.id, "limit": 100}), OutcomeUnknown
            )
        except _Rejected as no:
            raise _beyond_us(order_id, intent.id, no) from None
        given_back = [refund for refund in listed.data if _is_confirmed(order_id, refund)]
        whole = sum(refund.amount for refund in given_back) >= intent.amount_received
        return given_back[0].id if given_back and whole else None

    def _create_refund(self, order_id: str, intent_id: str, key: str) -> str:
        """Without an amount Stripe refunds all that is left, so the parameters of the key never change."""
        params: stripe.params.RefundCreateParams = {"payment_intent": intent_id, "metadata": {"order_id": order_id}}
        about = f"order {order_id}: the refund of payment intent {intent_id}"
        try:
            refund = _ask(about, lambda: self._refunds.create(params, {"idempotency_key": key}), OutcomeUnknown)
        except _Rejected as no:
            if no.replayed:
                raise _KeyBurnt from None
            if no.code == "charge_already_refunded":  # since we looked: the next attempt finds it
                raise _unknown(order_id, intent_id, "was refunded meanwhile") from None
            raise _beyond_us(order_id, intent_id, no) from None
        if not _is_confirmed(order_id, refund):
            raise Unavailable(f"order {order_id}: refund {refund.id} ended {refund.status}: refund it by hand.")
        return refund.id

    # -------------------------------------------------------------------------------------------------------- the sweep

    def recent(self, since: datetime, limit: int) -> list[tuple[str, str]]:
        """(order id, intent id) of the newest captured payments since then that name an order of ours, at most `limit`.

        A list, not a search: a list does not lag. Raises Unavailable.
        """
        params: Any = {"created": {"gte": int(since.timestamp())}, "limit": min(limit, 100)}
        try:
            intents = _ask("the recent payments", lambda: self._intents.list(params), Unavailable)
        except _Rejected as no:
            raise Unavailable(f"Stripe refused to list the recent payments: {no}.") from None
        named = ((_order_of(intent), intent) for intent in intents.data)
        return [(order_id, intent.id) for order_id, intent in named if order_id and intent.status == "succeeded"]

    # ------------------------------------------------------------------------------------------------ read and cancel

    def _read(self, order_id: str, intent_id: str) -> stripe.PaymentIntent:
        about = f"order {order_id}: the state of payment intent {intent_id}"
        try:
            return _ask(about, lambda: self._intents.retrieve(intent_id), OutcomeUnknown)
        except _Rejected as no:
            raise _beyond_us(order_id, intent_id, no) from None

    def _cancel(
        self, order_id: str, intent_id: str, params: stripe.params.PaymentIntentCancelParams | None = None
    ) -> None:
        """Returns when the intent is cancelled, by this call or an earlier one. Raises OutcomeUnknown otherwise."""
        about = f"order {order_id}: the cancelling of payment intent {intent_id}"
        try:
            _ask(about, lambda: self._intents.cancel(intent_id, params), OutcomeUnknown)
        except _Rejected:
            status = self._read(order_id, intent_id).status
            if status != "canceled":
                raise _unknown(order_id, intent_id, f"could not be cancelled and is {status}") from None


Conclusion = Callable[[StripePayments, str, stripe.PaymentIntent], None]

# What an intent's state says about the charge. A state that is not listed decides nothing yet.
CONCLUSIONS: dict[str, Conclusion] = {
    "succeeded": StripePayments._is_paid,
    "canceled": StripePayments._was_canceled,
    "requires_action": StripePayments._wants_the_customer,
    "requires_payment_method": StripePayments._was_declined,
    "processing": StripePayments._stays_unknown,
}


def _ask(
    about: str, request: Callable[[], ResponseT], unanswered: type[OutcomeUnknown] | type[Unavailable]
) -> ResponseT:
    """Send one request and sort what can go wrong: `_Rejected`, `_KeyBurnt`, Unavailable, or `unanswered`."""
    try:
        return request()
    except stripe.StripeError as error:
        raise _sorted_fault(about, error, unanswered) from None


def _sorted_fault(
    about: str, error: stripe.StripeError, unanswered: type[OutcomeUnknown] | type[Unavailable]
) -> Exception:
    status = error.http_status or 0
    replayed = (error.headers or {}).get("Idempotent-Replayed") == "true"
    trace = f"{status or 'no answer'}, request {error.request_id or 'unknown'}"
    if status in {401, 403}:
        return Unavailable(f"Stripe refused the key in STRIPE_API_KEY ({trace}).")
    if isinstance(error, stripe.IdempotencyError):
        return Unavailable(f"{about}: its idempotency key was used before with other parameters ({trace}).")
    if status in {400, 402, 404}:
        return _Rejected(status, error.error, replayed)
    if status >= 500 and replayed:
        return _KeyBurnt()
    return unanswered(f"{about} is not known: Stripe did not say ({trace}).")


def _order_of(intent: stripe.PaymentIntent) -> str | None:
    metadata: dict[str, str] = intent.to_dict().get("metadata") or {}
    return metadata.get("order_id")


def _refusal(no: object) -> Refused:
    """Our reason for Stripe's no: an error, or an intent's `last_payment_error`. Fields without a value are absent."""
    code, decline_code = getattr(no, "code", None), getattr(no, "decline_code", None)
    if "authentication_required" in {code, decline_code}:
        return Refused("authentication_required")
    if getattr(no, "type", None) == "card_error":
        return Refused("card_declined", decline_code or code)
    return Refused(REASONS.get(code or "", code or "payment_refused"))


def _is_confirmed(order_id: str, refund: stripe.Refund) -> bool:
    """True: the money is back. False: this refund came to nothing. Raises OutcomeUnknown while neither is certain."""
    if refund.status in {"failed", "canceled"}:
        return False
    if refund.status != "succeeded":
        raise OutcomeUnknown(f"order {order_id}: refund {refund.id} is {refund.status}.")
    return True


def _generations(key: str) -> Iterator[str]:
    """`key`, then `key:2` and so on: always the same ones in the same order."""
    yield key
    for generation in range(2, GENERATIONS + 1):
        yield f"{key}:{generation}"


def _confirm_key(order_id: str) -> str:
    return f"{order_id}:confirm"


def _unknown(order_id: str, intent_id: str, state: str) -> OutcomeUnknown:
    return OutcomeUnknown(f"order {order_id}: payment intent {intent_id} {state}.")


def _all_burnt(order_id: str, key: str) -> OrderSagaError:
    return Unavailable(f"order {order_id}: Stripe replays a stored failure for all {GENERATIONS} generations of {key}.")


def _beyond_us(order_id: str, intent_id: str, no: _Rejected) -> Unavailable:
    if no.status == 404:
        hint = "is STRIPE_API_KEY a key of the account that opened it?"
        return Unavailable(f"order {order_id}: Stripe does not know payment intent {intent_id}: {hint}")
    return Unavailable(
        f"order {order_id}: Stripe refuses work on payment intent {intent_id} ({no}): see its dashboard."
    )
