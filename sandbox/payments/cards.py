"""Stripe's test payment methods (https://docs.stripe.com/testing) that the sandbox knows, and the effect of each.

The id stays the alias (`pm_card_visa`), where Stripe would mint a new one for each use: an alias is easier to follow
in a ledger.
"""

from dataclasses import dataclass

from sandbox.ledger import JsonObject
from sandbox.payments.errors import no_such


@dataclass(frozen=True)
class Decline:
    """Why an issuer declines a payment, in the words of https://docs.stripe.com/declines/codes."""

    code: str
    message: str
    decline_code: str | None = None
    param: str | None = None


@dataclass(frozen=True)
class Method:
    id: str
    brand: str = "visa"
    last4: str = "4242"
    type: str = "card"
    decline: Decline | None = None
    needs_authentication: bool = False


GENERIC_DECLINE = Decline("card_declined", "Your card was declined.", "generic_decline")
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
)
_INSUFFICIENT = Decline("card_declined", "Your card has insufficient funds.", "insufficient_funds")
_LOST = Decline("card_declined", "Your card was declined.", "lost_card")
_STOLEN = Decline("card_declined", "Your card was declined.", "stolen_card")
_EXPIRED = Decline("expired_card", "Your card has expired.", param="exp_month")
_WRONG_CVC = Decline("incorrect_cvc", "Your card's security code is incorrect.", param="cvc")
_PROCESSING = Decline("processing_error", "An error occurred while processing your card. Try again in a little bit.")

METHODS = {
    method.id: method
    for method in (
        Method("pm_card_visa"),
        Method("pm_card_mastercard", brand="mastercard", last4="4444"),
        Method("pm_card_visa_chargeDeclined", last4="0002", decline=GENERIC_DECLINE),
        Method("pm_card_visa_chargeDeclinedInsufficientFunds", last4="9995", decline=_INSUFFICIENT),
        Method("pm_card_visa_chargeDeclinedLostCard", last4="9987", decline=_LOST),
        Method("pm_card_visa_chargeDeclinedStolenCard", last4="9979", decline=_STOLEN),
        Method("pm_card_chargeDeclinedExpiredCard", last4="0069", decline=_EXPIRED),
        Method("pm_card_chargeDeclinedIncorrectCvc", last4="0127", decline=_WRONG_CVC),
        Method("pm_card_chargeDeclinedProcessingError", last4="0119", decline=_PROCESSING),
        Method("pm_card_authenticationRequired", last4="3220", needs_authentication=True),
        Method("pm_usBankAccount", brand="", last4="6789", type="us_bank_account"),
    )
}


def method_named(id_: str, param: str, status: int) -> Method:
    """Raises StripeError `resource_missing` for an unknown one: 404 for what was asked for, 400 for a parameter."""
    if id_ not in METHODS:
        raise no_such("PaymentMethod", id_, param, status)
    return METHODS[id_]


def described(method: Method, created: int) -> JsonObject:
    """The PaymentMethod object."""
    return {
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": dict.fromkeys(_ADDRESS),
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        "created": created,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": method.type,
        method.type: _card(method) if method.type == "card" else _bank_account(method),
    }


_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def _card(method: Method) -> JsonObject:
    return {
        "brand": method.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "unchecked"},
        "country": "US",
        "display_brand": method.brand,
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"sandbox{method.last4}",
        "funding": "credit",
        "generated_from": None,
        "last4": method.last4,
        "networks": {"available": [method.brand], "preferred": None},
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _bank_account(method: Method) -> JsonObject:
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "last4": method.last4,
    }
