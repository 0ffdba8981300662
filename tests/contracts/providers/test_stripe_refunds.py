"""`StripePayments.give_back` against the sandbox's Stripe: the money goes back once, and a late charge takes none."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from models.errors import OutcomeUnknown, Refused, Unavailable
from models.order_record import OrderRecord
from services.stripe_payments import StripePayments
from tests.contracts.providers.stripe_orders import (
    KEY,
    TOTAL,
    UNANSWERED,
    broken,
    events,
    opened,
    paid,
    paying_with,
    refunded,
)
from tests.support.servers import Sandbox
from tests.unit.orders import running_order

# ------------------------------------------------------------------------------------------------------------give back


def test_an_intent_without_money_is_cancelled_and_refuses_a_late_confirmation(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    intent_id = opened(payments, order)
    assert payments.give_back(order.order_id, intent_id) is None
    assert payments.give_back(order.order_id, intent_id) is None
    with pytest.raises(OutcomeUnknown):
        payments.confirm(order.order_id, intent_id)
    with pytest.raises(Refused, match="payment_canceled"):
        payments.settle(order.order_id, intent_id)
    assert events(sandbox, order) == ["payment_intent.created", "payment_intent.canceled"]


def test_a_confirmation_that_arrives_after_the_undo_takes_no_money(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    intent_id = opened(payments, order)
    late = {"operation": "payment_intents.confirm", "fault": "hold_then_commit", "order_id": order.order_id}
    sandbox.faults("payments", [{**late, "delay_s": 0.3}])
    with ThreadPoolExecutor(1) as pool:
        confirmed = pool.submit(payments.confirm, order.order_id, intent_id)
        wait_until_fired(sandbox)
        assert payments.give_back(order.order_id, intent_id) is None
        assert isinstance(confirmed.exception(), OutcomeUnknown)
    assert events(sandbox, order) == ["payment_intent.created", "payment_intent.canceled"]


def wait_until_fired(sandbox: Sandbox) -> None:
    """The planned fault has met its request."""
    deadline = time.monotonic() + 10
    while not fired(sandbox):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def fired(sandbox: Sandbox) -> bool:
    with urllib.request.urlopen(f"{sandbox.payments}/sandbox/faults", timeout=10) as answer:
        return any(json.load(answer)["fired"])


def test_many_orders_at_once_share_one_client(payments: StripePayments, sandbox: Sandbox) -> None:
    orders = [running_order(str(uuid.uuid4())) for _ in range(32)]
    with ThreadPoolExecutor(16) as pool:
        intents = list(pool.map(lambda order: paid(payments, order), orders))
    assert len(set(intents)) == 32
    for order in orders:
        assert events(sandbox, order) == ["payment_intent.created", "payment_intent.succeeded"]


def test_a_charge_is_refunded_once_however_often_it_is_asked_for(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    intent_id = paid(payments, order)
    first, second = (payments.give_back(order.order_id, intent_id) for _ in range(2))
    assert first == second
    assert first is not None
    assert first.startswith("re_")
    assert refunded(sandbox, order) == [TOTAL]


@pytest.mark.parametrize("fault", UNANSWERED)
def test_a_refund_without_an_answer_is_found_out_and_made_once(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord, fault: str
) -> None:
    intent_id = paid(payments, order)
    broken(sandbox, "refunds.create", fault, order)
    with pytest.raises(OutcomeUnknown):
        payments.give_back(order.order_id, intent_id)
    assert payments.give_back(order.order_id, intent_id) is not None
    assert refunded(sandbox, order) == [TOTAL]


def test_a_refund_that_was_refused_once_is_asked_for_again(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    intent_id = paid(payments, order)
    broken(sandbox, "refunds.create", "refuse", order)
    with pytest.raises(Unavailable, match=intent_id):
        payments.give_back(order.order_id, intent_id)
    assert payments.give_back(order.order_id, intent_id) is not None
    assert refunded(sandbox, order) == [TOTAL]


def test_what_somebody_refunded_by_hand_is_not_refunded_twice(
    payments: StripePayments, sandbox: Sandbox, order: OrderRecord
) -> None:
    intent_id = paid(payments, order)
    by_hand = stripe.StripeClient(KEY, base_addresses={"api": sandbox.payments})
    by_hand.v1.refunds.create({"payment_intent": intent_id, "amount": 5800})
    assert payments.give_back(order.order_id, intent_id) is not None
    assert payments.give_back(order.order_id, intent_id) is not None
    assert refunded(sandbox, order) == [5800, TOTAL - 5800]


def test_a_decline_leaves_nothing_to_give_back(payments: StripePayments, sandbox: Sandbox, order: OrderRecord) -> None:
    intent_id = opened(payments, paying_with(order, "pm_card_visa_chargeDeclined"))
    with pytest.raises(Refused):
        payments.confirm(order.order_id, intent_id)
    assert payments.give_back(order.order_id, intent_id) is None
    assert refunded(sandbox, order) == []


def test_an_intent_of_another_account_is_a_fault_that_names_the_setting(
    payments: StripePayments, order: OrderRecord
) -> None:
    for ask in (payments.confirm, payments.settle, payments.give_back):
        with pytest.raises(Unavailable, match="STRIPE_API_KEY"):
            ask(order.order_id, "pi_of_somebody_else")
