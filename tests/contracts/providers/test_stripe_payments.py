"""`StripePayments` against the sandbox's Stripe, and against scripted answers where only Stripe itself gives them."""

from __future__ import annotations

import logging
import uuid

import pytest

from models.errors import OutcomeUnknown, Refused, Unavailable
from models.money import CURRENCIES, Total, refusal
from models.order_record import OrderRecord
from services.stripe_payments import StripePayments
from tests.contracts.providers.stripe_orders import (
    KEY,
    TOTAL,
    UNANSWERED,
    broken,
    entries,
    events,
    failure,
    opened,
    paid,
    paying_with,
)
from tests.support.servers import FreePorts, Sandbox

# -----------------------------------------------------------------------------------------------------------validation


@pytest.mark.parametrize("method", ["pm_nobody_knows", "pm_usBankAccount"])
def test_a_method_that_is_unknown_or_no_card_is_refused(payments: StripePayments, method: str) -> None:
    with pytest.raises(Refused) as refused:
        payments.check_method(method)
    assert refused.value.reason == "payment_method_invalid"


def test_a_card_passes(payments: StripePayments) -> None:
    payments.check_method("pm_card_visa")


@pytest.mark.parametrize("currency", ["gbp", "cny", "jpy", "kwd", "isk", "ugx", "huf", "inr", "idr"])
def test_stripe_itself_draws_the_line_where_we_draw_it(
    payments: StripePayments, order: OrderRecord, currency: str
) -> None:
    """Every currency's lines are held against the sandbox's in tests/unit/test_money.py; here they cross the wire."""
    rules = CURRENCIES[currency]
    for amount in (rules.minimum, rules.largest):
        charged = order.model_copy(update={"total": Total(amount_minor=amount, currency=currency)})
        assert payments.open_intent(charged, f"{order.order_id}:{amount}").startswith("pi_")
    for amount in (rules.minimum - 1, rules.largest + rules.granularity, rules.largest - 1):
        reason = refusal(amount, currency)
        if reason and amount:
            refused = order.model_copy(update={"total": Total(amount_minor=amount, currency=currency)})
            with pytest.raises(Refused, match=reason):
                payments.open_intent(refused, f"{order.order_id}:{amount}")


# ---------------------------------------------------------------------------------------------------------------charge


def test_a_good_card_is_charged_once_the_exact_total(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    intent_id = paid(payments, order)
    payments.settle(order.order_id, intent_id)
    assert events(sandbox, order) == ["payment_intent.created", "payment_intent.succeeded"]
    charge = entries(sandbox, order)[-1]
    assert (charge["amount_minor"], charge["currency"], charge["payment_intent"]) == (TOTAL, "gbp", intent_id)
    assert [row["idempotency_key"] for row in entries(sandbox, order)] == [
        f"{order.order_id}:pay",
        f"{order.order_id}:confirm",
    ]


def test_an_intent_that_was_opened_before_is_found_again(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    assert opened(payments, order) == opened(payments, order)
    assert events(sandbox, order) == ["payment_intent.created"]


DECLINES = {
    "pm_card_visa_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_visa_chargeDeclinedLostCard": "lost_card",
    "pm_card_visa_chargeDeclinedStolenCard": "stolen_card",
    "pm_card_chargeDeclinedExpiredCard": "expired_card",
    "pm_card_chargeDeclinedIncorrectCvc": "incorrect_cvc",
    "pm_card_chargeDeclinedProcessingError": "processing_error",
}


@pytest.mark.parametrize("method", DECLINES)
def test_a_declined_card_is_tried_once_and_its_intent_cancelled(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord, method: str
) -> None:
    intent_id = opened(payments, paying_with(order, method))
    with pytest.raises(Refused) as refused:
        payments.confirm(order.order_id, intent_id)
    assert (refused.value.reason, refused.value.decline_code) == ("card_declined", DECLINES[method])
    assert events(sandbox, order) == ["payment_intent.created", "charge.failed", "payment_intent.canceled"]
    with pytest.raises(Refused) as again:
        payments.settle(order.order_id, intent_id)
    assert (again.value.reason, again.value.decline_code) == ("card_declined", DECLINES[method])


def test_a_decline_whose_cancelling_fails_is_refused_later_without_a_second_charge(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    intent_id = opened(payments, paying_with(order, "pm_card_visa_chargeDeclined"))
    broken(sandbox, "payment_intents.cancel", "error_before_commit", order)
    with pytest.raises(OutcomeUnknown):
        payments.confirm(order.order_id, intent_id)
    with pytest.raises(Refused, match="card_declined"):
        payments.settle(order.order_id, intent_id)
    assert events(sandbox, order) == ["payment_intent.created", "charge.failed", "payment_intent.canceled"]


def test_a_card_that_wants_its_holder_is_refused_and_its_intent_cancelled(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    intent_id = opened(payments, paying_with(order, "pm_card_authenticationRequired"))
    with pytest.raises(Refused, match="authentication_required"):
        payments.confirm(order.order_id, intent_id)
    assert events(sandbox, order)[-1] == "payment_intent.canceled"


def test_the_reason_survives_when_the_answer_to_the_cancelling_is_lost(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    intent_id = opened(payments, paying_with(order, "pm_card_authenticationRequired"))
    broken(sandbox, "payment_intents.cancel", "drop_after_commit", order)
    with pytest.raises(OutcomeUnknown):
        payments.confirm(order.order_id, intent_id)
    with pytest.raises(Refused, match="authentication_required"):
        payments.settle(order.order_id, intent_id)


@pytest.mark.parametrize("fault", UNANSWERED)
def test_a_confirmation_without_an_answer_is_found_out_and_charged_once(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord, fault: str
) -> None:
    intent_id = opened(payments, order)
    broken(sandbox, "payment_intents.confirm", fault, order)
    with pytest.raises(OutcomeUnknown):
        payments.confirm(order.order_id, intent_id)
    payments.settle(order.order_id, intent_id)
    assert events(sandbox, order).count("payment_intent.succeeded") == 1


@pytest.mark.parametrize("fault", UNANSWERED)
def test_an_opening_without_an_answer_ends_at_one_intent_for_do_and_undo(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord, fault: str
) -> None:
    broken(sandbox, "payment_intents.create", fault, order)
    with pytest.raises(Unavailable):
        opened(payments, order)
    assert opened(payments, order) == opened(payments, order)


def test_a_stored_failure_of_the_opening_is_passed_by_with_the_next_key(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    broken(sandbox, "payment_intents.create", "error_after_commit", order)
    with pytest.raises(Unavailable):
        opened(payments, order)
    opened(payments, order)
    assert [row["idempotency_key"] for row in entries(sandbox, order)] == [
        f"{order.order_id}:pay",
        f"{order.order_id}:pay:2",
    ]


def test_other_parameters_under_the_same_key_are_a_fault(payments: StripePayments, order: OrderRecord) -> None:
    opened(payments, order)
    dearer = order.model_copy(update={"total": Total(amount_minor=TOTAL + 1, currency="gbp")})
    with pytest.raises(Unavailable, match="other parameters"):
        opened(payments, dearer)


# -------------------------------------------------------------------------------------------------------------messages


def test_a_wrong_key_is_a_fault_that_names_the_setting_and_not_the_key(sandbox: Sandbox, order: OrderRecord) -> None:
    key = f"sk_live_{uuid.uuid4().hex}"
    report = failure(lambda: opened(StripePayments(key, sandbox.payments), order))
    assert "Unavailable: Stripe refused the key in STRIPE_API_KEY" in report
    assert key not in report


def test_no_failure_and_no_log_holds_a_payment_method(
    payments: StripePayments, order: OrderRecord, caplog: pytest.LogCaptureFixture
) -> None:
    method = f"pm_{uuid.uuid4().hex}"
    with caplog.at_level(logging.INFO):
        report = failure(lambda: payments.check_method(method))
        report += failure(lambda: opened(payments, paying_with(order, method)))
    assert report.count("Refused: payment_method_invalid") == 2
    assert method not in report
    assert method not in caplog.text


def test_an_address_where_nobody_listens_is_a_delay_and_a_charge_there_is_unknown(
    ports: FreePorts, order: OrderRecord
) -> None:
    payments = StripePayments(KEY, f"http://127.0.0.1:{ports()}")
    with pytest.raises(Unavailable):
        opened(payments, order)
    with pytest.raises(OutcomeUnknown, match="pi_1"):
        payments.confirm(order.order_id, "pi_1")
