"""What the payments process owes to Stripe's API, asked through Stripe's own client wherever that client can ask."""

from typing import Any

import pytest
import stripe

from tests.contracts.sandbox.sandbox_intents import DECLINES, created
from tests.contracts.sandbox.sandbox_process import KEY, SandboxProcess


def test_an_intent_is_created_unconfirmed_and_takes_money_only_when_confirmed(
    client: stripe.StripeClient, payments: SandboxProcess, order: str
) -> None:
    intent = created(client, order, capture_method="automatic")
    assert (intent.status, intent.amount_received, intent.latest_charge) == ("requires_confirmation", 0, None)
    paid = client.v1.payment_intents.confirm(intent.id)
    assert (paid.status, paid.amount_received) == ("succeeded", 12900)
    assert str(paid.latest_charge).startswith("ch_")
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    assert payments.events(order) == ["payment_intent.created", "payment_intent.succeeded"]


def test_a_row_of_the_ledger_holds_order_money_and_key(
    client: stripe.StripeClient, payments: SandboxProcess, order: str
) -> None:
    intent = created(client, order)
    client.v1.payment_intents.confirm(intent.id, None, {"idempotency_key": f"{order}:confirm"})
    rows = payments.ledger()
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    row = rows[-1]
    assert isinstance(row.pop("at"), str)
    assert row == {
        "seq": len(rows),
        "event": "payment_intent.succeeded",
        "payment_intent": intent.id,
        "amount_minor": 12900,
        "currency": "gbp",
        "order_id": order,
        "idempotency_key": f"{order}:confirm",
    }


@pytest.mark.parametrize(("card", "reason"), DECLINES.items())
def test_a_declined_card_is_a_402_and_the_intent_wants_another_method(
    client: stripe.StripeClient, payments: SandboxProcess, order: str, card: str, reason: tuple[str, str | None]
) -> None:
    intent = created(client, order, card)
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.confirm(intent.id)
    error = caught.value.error
    assert caught.value.http_status == 402
    assert error is not None
    assert (error.code, getattr(error, "decline_code", None)) == reason
    assert error.payment_intent is not None
    assert error.payment_intent.status == "requires_payment_method"
    after = client.v1.payment_intents.retrieve(intent.id)
    assert (after.status, after.payment_method, after.amount_received) == ("requires_payment_method", None, 0)
    assert after.last_payment_error is not None
    assert after.last_payment_error.code == reason[0]
    assert payments.events(order) == ["payment_intent.created", "charge.failed"]


def test_a_declined_intent_can_be_paid_with_another_card(client: stripe.StripeClient, order: str) -> None:
    intent = created(client, order, "pm_card_visa_chargeDeclined")
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.confirm(intent.id)
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        client.v1.payment_intents.confirm(intent.id)
    paid = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_mastercard"})
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)


def test_a_card_that_wants_authentication_holds_no_money_and_can_be_cancelled(
    client: stripe.StripeClient, payments: SandboxProcess, order: str
) -> None:
    intent = created(client, order, "pm_card_authenticationRequired")
    confirmed = client.v1.payment_intents.confirm(intent.id)
    assert confirmed.status == "requires_action"
    assert confirmed.next_action is not None
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    assert payments.events(order)[1:] == ["payment_intent.requires_action", "payment_intent.canceled"]


def test_a_card_that_wants_authentication_is_declined_when_nobody_is_there(
    client: stripe.StripeClient, order: str
) -> None:
    intent = created(client, order, "pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.confirm(intent.id, {"off_session": True})
    assert caught.value.code == "authentication_required"


def test_a_cancelled_intent_cannot_be_confirmed(client: stripe.StripeClient, order: str) -> None:
    intent = created(client, order)
    cancelled = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.confirm(intent.id)
    assert (caught.value.http_status, caught.value.code) == (400, "payment_intent_unexpected_state")
    assert client.v1.payment_intents.retrieve(intent.id).amount_received == 0


def test_a_paid_intent_can_neither_be_cancelled_nor_confirmed_again(client: stripe.StripeClient, order: str) -> None:
    intent = client.v1.payment_intents.confirm(created(client, order).id)
    for refused in (client.v1.payment_intents.cancel, client.v1.payment_intents.confirm):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            refused(intent.id)
        assert caught.value.code == "payment_intent_unexpected_state"


def test_a_manual_capture_takes_money_in_two_steps(
    client: stripe.StripeClient, payments: SandboxProcess, order: str
) -> None:
    intent = client.v1.payment_intents.confirm(created(client, order, capture_method="manual").id)
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 12900, 0)
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        client.v1.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 12901})
    assert caught.value.code == "amount_too_large"
    captured = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 10000})
    assert (captured.status, captured.amount_received) == ("succeeded", 10000)
    assert payments.ledger()[-1]["amount_minor"] == 10000
    assert client.v1.refunds.create({"payment_intent": intent.id}).amount == 10000


def test_an_authorisation_that_is_cancelled_takes_no_money(
    client: stripe.StripeClient, payments: SandboxProcess, order: str
) -> None:
    intent = client.v1.payment_intents.confirm(created(client, order, capture_method="manual").id)
    assert client.v1.payment_intents.cancel(intent.id).amount_capturable == 0
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.capture(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    assert "payment_intent.succeeded" not in payments.events(order)


def test_no_more_is_refunded_than_was_paid(client: stripe.StripeClient, payments: SandboxProcess, order: str) -> None:
    intent = client.v1.payment_intents.confirm(created(client, order).id)
    part = client.v1.refunds.create({"payment_intent": intent.id, "amount": 2900, "metadata": {"order_id": order}})
    assert part.metadata is not None
    assert (part.status, part.amount, part.metadata["order_id"]) == ("succeeded", 2900, order)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount") as caught:
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 10001})
    assert caught.value.param == "amount"
    rest = client.v1.refunds.create({"charge": str(intent.latest_charge)})
    assert rest.amount == 10000
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_already_refunded"
    refunds = client.v1.refunds.list({"payment_intent": intent.id})
    assert [it.id for it in refunds.data] == [rest.id, part.id]
    assert client.v1.refunds.retrieve(part.id).amount == 2900
    assert payments.events(order)[2:] == ["refund.succeeded", "refund.succeeded"]


def test_an_unpaid_intent_cannot_be_refunded(client: stripe.StripeClient, order: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        client.v1.refunds.create({"payment_intent": created(client, order).id})


def test_a_charge_can_be_read_with_its_intent(client: stripe.StripeClient, order: str) -> None:
    intent = client.v1.payment_intents.confirm(created(client, order).id)
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    read = client.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert isinstance(read.latest_charge, stripe.Charge)
    assert (read.latest_charge.amount_refunded, read.latest_charge.refunded) == (100, False)


def test_automatic_payment_methods_are_not_confirmed_without_a_return_url(
    client: stripe.StripeClient, order: str
) -> None:
    params: Any = {"amount": 100, "currency": "gbp", "payment_method": "pm_card_visa", "metadata": {"order_id": order}}
    for automatic in ({}, {"automatic_payment_methods": {"enabled": True}}):
        intent = client.v1.payment_intents.create(params | automatic)
        with pytest.raises(stripe.InvalidRequestError, match="return_url"):
            client.v1.payment_intents.confirm(intent.id)
        paid = client.v1.payment_intents.confirm(intent.id, {"return_url": "https://shop.example/back"})
        assert paid.status == "succeeded"
    never = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    intent = client.v1.payment_intents.create(params | never)
    assert client.v1.payment_intents.confirm(intent.id).status == "succeeded"


def test_the_newest_api_version_refuses_payment_method_types_and_takes_allowed_ones(
    payments: SandboxProcess, order: str
) -> None:
    newest = stripe.StripeClient(KEY, base_addresses={"api": payments.url}, max_network_retries=0)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        created(newest, order)
    assert caught.value.code == "payment_method_types_no_longer_supported"
    intent = newest.v1.payment_intents.create(
        {"amount": 100, "currency": "gbp", "payment_method": "pm_card_visa", "allowed_payment_method_types": ["card"]}
    )
    assert newest.v1.payment_intents.confirm(intent.id).status == "succeeded"


def test_an_intent_can_be_created_and_confirmed_in_one_call(client: stripe.StripeClient, order: str) -> None:
    assert created(client, order, confirm=True).status == "succeeded"
    with pytest.raises(stripe.CardError):
        created(client, order, "pm_card_visa_chargeDeclined", confirm=True)
