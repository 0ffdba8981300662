"""Refunds: never more in all than was captured."""

from sandbox.ledger import JsonObject
from sandbox.payments import currencies
from sandbox.payments.errors import StripeError, missing_parameter, no_such
from sandbox.payments.intents import existing
from sandbox.payments.request import Call
from sandbox.payments.state import Draft, new_id, now

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
CREATE_PARAMS = frozenset({"amount", "charge", "expand", "metadata", "payment_intent", "reason"})


def create(draft: Draft, call: Call) -> JsonObject:
    charge = _charge_to_refund(draft, call)
    amount = call.params.positive("amount")
    reason = call.params.choice("reason", REASONS)
    metadata = call.params.metadata()
    amount = _refundable(charge, amount)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    refund = _new_refund(charge, amount) | {"reason": reason, "metadata": metadata}
    draft.put(charge)
    draft.put(refund)
    draft.note("refund.succeeded", existing(draft, charge["payment_intent"]), amount)
    return refund


def _charge_to_refund(draft: Draft, call: Call) -> JsonObject:
    intent_id, charge_id = call.params.text("payment_intent"), call.params.text("charge")
    if intent_id is None and charge_id is None:
        raise missing_parameter("payment_intent")
    if intent_id is not None:
        charge_id = existing(draft, intent_id, "payment_intent")["latest_charge"]
    charge = draft.get("charge", charge_id)
    if charge is None and intent_id is None:
        raise no_such("charge", charge_id or "", "charge")
    if charge is None or not (charge["paid"] and charge["captured"]):
        paid_by = intent_id or (charge or {})["payment_intent"]
        message = f"This PaymentIntent ({paid_by}) does not have a successful charge to refund."
        raise StripeError(400, message, executed=True, param="payment_intent")
    return charge


def _refundable(charge: JsonObject, wanted: int | None) -> int:
    """The amount to refund: the requested one, or the whole rest. Raises StripeError where less is left."""
    if wanted is not None:
        currencies.refuse_fractions(wanted, charge["currency"], "amount")
    left: int = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeError(400, message, executed=True, code="charge_already_refunded", charge=charge["id"])
    if wanted is not None and wanted > left:
        message = f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({left})."
        raise StripeError(400, message, executed=True, param="amount")
    return wanted or left


def _new_refund(charge: JsonObject, amount: int) -> JsonObject:
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": now(),
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "payment_intent": charge["payment_intent"],
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
