"""PaymentIntents: create, confirm, capture, cancel, with the states of https://docs.stripe.com/payments/paymentintents/lifecycle.

Every operation takes the draft of its call and returns the intent, or raises StripeError with Stripe's answer.
"""

from sandbox.ledger import JsonObject
from sandbox.payments import currencies
from sandbox.payments.cards import AUTHENTICATION_REQUIRED, GENERIC_DECLINE, Decline, Method, described, method_named
from sandbox.payments.errors import StripeError, missing_parameter, no_such, unexpected_state
from sandbox.payments.request import Call, Params
from sandbox.payments.state import Draft, new_id, now

# Since this API version `payment_method_types` is an error:
# https://docs.stripe.com/changelog/endive/2026-09-30/removes-the-payment-method-types-parameter-from-payment-intents-and-setup-intents
METHOD_TYPES_REFUSED_FROM = "2026-09-30"
METHOD_CHOICES = ("automatic_payment_methods", "payment_method_types", "allowed_payment_method_types")
CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
CANCELLATION_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
KEPT_TEXTS = (
    "customer",
    "description",
    "receipt_email",
    "setup_future_usage",
    "statement_descriptor_suffix",
    "transfer_group",
)
"""Parameters that the sandbox stores and shows, and that have no other effect."""

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CAPTURABLE = ("requires_capture",)
CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing")

CONFIRM_PARAMS = frozenset({"expand", "payment_method", "return_url", "off_session", "error_on_requires_action"})
CREATE_PARAMS = CONFIRM_PARAMS | {"amount", "currency", "capture_method", "confirm", "metadata", "shipping"}
CREATE_PARAMS |= {*METHOD_CHOICES, *KEPT_TEXTS}
CAPTURE_PARAMS = frozenset({"expand", "amount_to_capture"})
CANCEL_PARAMS = frozenset({"expand", "cancellation_reason"})


def create(draft: Draft, call: Call) -> JsonObject:
    intent = _new_intent(call.params) | _chosen_methods(call)
    if id_ := call.params.text("payment_method"):
        _attach(intent, method_named(id_, "payment_method", status=400))
    draft.put(intent)
    draft.note("payment_intent.created", intent)
    if call.params.boolean("confirm"):
        return _confirm(draft, call.params, intent, refusal=None)
    return intent


def confirm(draft: Draft, call: Call) -> JsonObject:
    return _confirm(draft, call.params, existing(draft, call.target), refusal=None)


def confirm_declined(draft: Draft, call: Call) -> JsonObject:
    """A confirm that the issuer declines, whatever the card."""
    return _confirm(draft, call.params, existing(draft, call.target), refusal=GENERIC_DECLINE)


def capture(draft: Draft, call: Call) -> JsonObject:
    intent = existing(draft, call.target)
    amount = call.params.positive("amount_to_capture")
    _require(intent, "capture", CAPTURABLE)
    amount = amount or intent["amount_capturable"]
    currencies.refuse_fractions(amount, intent["currency"], "amount_to_capture")
    if amount > intent["amount_capturable"]:
        message = (
            f"The amount to capture ({amount}) is greater than what is capturable ({intent['amount_capturable']})."
        )
        raise StripeError(400, message, code="amount_too_large", param="amount_to_capture")
    charge = _charge_of(draft, intent)
    charge |= {"captured": True, "amount_captured": amount, "amount_refunded": charge["amount"] - amount}
    draft.put(charge)
    return _succeed(draft, intent, amount)


def cancel(draft: Draft, call: Call) -> JsonObject:
    intent = existing(draft, call.target)
    reason = call.params.choice("cancellation_reason", CANCELLATION_REASONS)
    _require(intent, "cancel", CANCELABLE)
    if intent["status"] == "requires_capture":
        _release(draft, _charge_of(draft, intent))
    intent |= {"status": "canceled", "canceled_at": now(), "cancellation_reason": reason}
    intent |= {"amount_capturable": 0, "next_action": None}
    draft.put(intent)
    draft.note("payment_intent.canceled", intent)
    return intent


def existing(draft: Draft, id_: str | None, param: str = "intent") -> JsonObject:
    """The intent of that id. Raises StripeError 404 `resource_missing`."""
    intent = draft.get("payment_intent", id_)
    if intent is None:
        raise no_such("payment_intent", id_ or "", param)
    return intent


def _new_intent(params: Params) -> JsonObject:
    currency = currencies.known(params.required("currency"))
    id_ = new_id("pi")
    return {
        "id": id_,
        "object": "payment_intent",
        "amount": _amount(params, currency),
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.choice("capture_method", CAPTURE_METHODS) or "automatic_async",
        "client_secret": f"{id_}_secret_{new_id('sandbox')}",
        "confirmation_method": "automatic",
        "created": now(),
        "currency": currency,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": params.metadata(),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "processing": None,
        "review": None,
        "shipping": params.hash("shipping") or None,
        "source": None,
        "statement_descriptor": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        **{name: params.text(name) for name in KEPT_TEXTS},
    }


def _amount(params: Params, currency: str) -> int:
    amount = params.positive("amount")
    if amount is None:
        raise missing_parameter("amount")
    currencies.refuse_fractions(amount, currency, "amount")
    currencies.refuse_out_of_limits(amount, currency)
    return amount


def _chosen_methods(call: Call) -> JsonObject:
    """The parameter by which the caller chooses the kinds of method: one of three, or none for the automatic choice."""
    params = call.params
    _require_one_choice(call)
    fixed = params.texts("payment_method_types") or _compatible(params.texts("allowed_payment_method_types"))
    if fixed:
        return {"automatic_payment_methods": None, "payment_method_types": fixed}
    wanted = Params(params.hash("automatic_payment_methods"))
    redirects = wanted.choice("allow_redirects", ("always", "never")) or "always"
    automatic = {"enabled": True, "allow_redirects": redirects}
    return {"automatic_payment_methods": automatic, "payment_method_types": ["card"]}


def _require_one_choice(call: Call) -> None:
    chosen = [name for name in METHOD_CHOICES if call.params.hash(name)]
    if len(chosen) > 1:
        message = f"You may only specify one of these parameters: {', '.join(chosen)}."
        raise StripeError(400, message, code="parameters_exclusive", param=chosen[0])
    if chosen == ["payment_method_types"] and call.version[:10] >= METHOD_TYPES_REFUSED_FROM:
        message = f"payment_method_types is no longer supported in API version {call.version}."
        raise StripeError(400, message, code="payment_method_types_no_longer_supported", param=chosen[0])


def _compatible(allowed: list[str]) -> list[str]:
    """The allowed kinds that this account accepts, which is cards. Other kinds are dropped without an error."""
    if allowed and "card" not in allowed:
        message = "None of the allowed payment method types can be used for this PaymentIntent."
        raise StripeError(400, message, param="allowed_payment_method_types")
    return [kind for kind in allowed if kind == "card"]


def _attach(intent: JsonObject, method: Method) -> None:
    if method.type not in intent["payment_method_types"]:
        allowed = ", ".join(intent["payment_method_types"])
        message = (
            f"The PaymentMethod provided ({method.type}) is not allowed for this PaymentIntent. Allowed: {allowed}."
        )
        raise StripeError(400, message, code="payment_intent_incompatible_payment_method", param="payment_method")
    intent |= {"payment_method": method.id, "status": "requires_confirmation"}


def _confirm(draft: Draft, params: Params, intent: JsonObject, refusal: Decline | None) -> JsonObject:
    method_id = params.text("payment_method")
    method = method_named(method_id, "payment_method", status=400) if method_id else None
    _require(intent, "confirm", CONFIRMABLE)
    if method:
        _attach(intent, method)
    if intent["payment_method"] is None:
        raise unexpected_state("You cannot confirm this PaymentIntent because it's missing a payment method.", intent)
    _require_return_url(intent, params)
    method = method_named(intent["payment_method"], "payment_method", status=400)
    if decline := refusal or _decline(method, params):
        return _fail(draft, intent, method, decline)
    if method.needs_authentication:
        return _ask_for_authentication(draft, intent, params.text("return_url"))
    return _charge(draft, intent, method)


def _decline(method: Method, params: Params) -> Decline | None:
    """The decline of a card, if any: also when it needs a customer who is absent, or an action that is not allowed."""
    absent = params.boolean("off_session") or params.boolean("error_on_requires_action")
    return AUTHENTICATION_REQUIRED if method.needs_authentication and absent else method.decline


def _require(intent: JsonObject, verb: str, statuses: tuple[str, ...]) -> None:
    if intent["status"] not in statuses:
        message = (
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}. "
            f"Only a PaymentIntent with one of the following statuses allows this: {', '.join(statuses)}."
        )
        raise unexpected_state(message, intent)


def _require_return_url(intent: JsonObject, params: Params) -> None:
    automatic = intent["automatic_payment_methods"]
    if automatic and automatic["allow_redirects"] == "always" and not params.text("return_url"):
        message = (
            "This PaymentIntent is configured to accept payment methods that might redirect your customer off of your "
            "page: you must provide a `return_url`, or set `automatic_payment_methods[allow_redirects]` to `never`, or "
            "name `payment_method_types`."
        )
        raise StripeError(400, message, param="return_url")


def _charge(draft: Draft, intent: JsonObject, method: Method) -> JsonObject:
    manual = intent["capture_method"] == "manual"
    charge = _new_charge(intent, method) | {"paid": True, "status": "succeeded", "captured": not manual}
    charge["amount_captured"] = 0 if manual else intent["amount"]
    draft.put(charge)
    intent |= {"latest_charge": charge["id"], "next_action": None, "last_payment_error": None}
    return _authorize(draft, intent) if manual else _succeed(draft, intent, intent["amount"])


def _authorize(draft: Draft, intent: JsonObject) -> JsonObject:
    intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
    draft.put(intent)
    draft.note("payment_intent.amount_capturable_updated", intent)
    return intent


def _succeed(draft: Draft, intent: JsonObject, amount: int) -> JsonObject:
    intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
    draft.put(intent)
    draft.note("payment_intent.succeeded", intent, amount)
    return intent


def _ask_for_authentication(draft: Draft, intent: JsonObject, return_url: str | None) -> JsonObject:
    if return_url:
        action = {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": return_url}}
    else:
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    intent |= {"status": "requires_action", "next_action": action}
    draft.put(intent)
    draft.note("payment_intent.requires_action", intent)
    return intent


def _fail(draft: Draft, intent: JsonObject, method: Method, decline: Decline) -> JsonObject:
    """Always raises the 402; the intent then waits for another payment method."""
    charge = _new_charge(intent, method) | {"failure_code": decline.code, "failure_message": decline.message}
    details = {
        "charge": charge["id"],
        "code": decline.code,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code}",
    }
    details |= {name: value for name in ("decline_code", "param") if (value := getattr(decline, name))}
    details["payment_method"] = described(method, intent["created"])
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "latest_charge": charge["id"],
    }
    intent["last_payment_error"] = {"type": "card_error", "message": decline.message, **details}
    draft.put(charge)
    draft.put(intent)
    draft.note("charge.failed", intent)
    raise StripeError(402, decline.message, type="card_error", executed=True, payment_intent=intent, **details)


def _new_charge(intent: JsonObject, method: Method) -> JsonObject:
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": False,
        "created": now(),
        "currency": intent["currency"],
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": intent["metadata"],
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": method.id,
        "refunded": False,
        "status": "failed",
    }


def _charge_of(draft: Draft, intent: JsonObject) -> JsonObject:
    charge = draft.get("charge", intent["latest_charge"])
    assert charge is not None, f"{intent['id']} has been charged, but its charge is not in the books"
    return charge


def _release(draft: Draft, charge: JsonObject) -> None:
    """Cancel an authorisation, which Stripe shows as a charge refunded in full, without a refund object."""
    draft.put(charge | {"refunded": True, "amount_refunded": charge["amount"]})
