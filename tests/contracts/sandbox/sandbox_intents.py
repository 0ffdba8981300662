"""Payment intents, made through Stripe's own client."""

import itertools
from typing import Any

import stripe

ORDERS = (f"order-{n}" for n in itertools.count())
DECLINES = {
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedLostCard": ("card_declined", "lost_card"),
    "pm_card_visa_chargeDeclinedStolenCard": ("card_declined", "stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None),
    "pm_card_chargeDeclinedIncorrectCvc": ("incorrect_cvc", None),
    "pm_card_chargeDeclinedProcessingError": ("processing_error", None),
}


def created(client: stripe.StripeClient, order: str, card: str = "pm_card_visa", **more: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": 12900, "currency": "gbp", "payment_method": card, "payment_method_types": ["card"], **more}
    return client.v1.payment_intents.create(params | {"metadata": {"order_id": order}})
