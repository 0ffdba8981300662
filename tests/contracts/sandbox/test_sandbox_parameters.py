"""Parameters, amounts, methods and keys that Stripe refuses, and how it names them."""

import base64

import pytest
import stripe

from tests.contracts.sandbox.sandbox_intents import DECLINES, created
from tests.contracts.sandbox.sandbox_process import KEY, SandboxProcess, call

WRONG: list[tuple[dict[str, str], str | None, str]] = [
    ({"amount": "29", "currency": "gbp"}, "amount_too_small", "amount"),
    ({"amount": "49", "currency": "usd"}, "amount_too_small", "amount"),
    ({"amount": "49", "currency": "eur"}, "amount_too_small", "amount"),
    ({"amount": "100000000", "currency": "gbp"}, "amount_too_large", "amount"),
    ({"amount": "1000000000", "currency": "inr"}, "amount_too_large", "amount"),
    ({"amount": "10000000000", "currency": "cop"}, "amount_too_large", "amount"),
    ({"amount": "1000000000000", "currency": "idr"}, "amount_too_large", "amount"),
    ({"amount": "49", "currency": "krw"}, "amount_too_small", "amount"),
    ({"amount": "17499", "currency": "huf"}, "amount_too_small", "amount"),
    ({"amount": "2505", "currency": "kwd"}, "invalid_charge_amount", "amount"),
    ({"amount": "2501", "currency": "tnd"}, "invalid_charge_amount", "amount"),
    ({"amount": "550", "currency": "isk"}, "invalid_charge_amount", "amount"),
    ({"amount": "5", "currency": "ugx"}, "invalid_charge_amount", "amount"),
    ({"amount": "0", "currency": "gbp"}, "parameter_invalid_integer", "amount"),
    ({"amount": "12.5", "currency": "gbp"}, "parameter_invalid_integer", "amount"),
    ({"amount": "100", "currency": "xxx"}, None, "currency"),
    ({"currency": "gbp"}, "parameter_missing", "amount"),
    ({"amount": "100"}, "parameter_missing", "currency"),
    ({"amount": "100", "currency": "gbp", "colour": "red"}, "parameter_unknown", "colour"),
    (
        {"amount": "100", "currency": "gbp", "payment_method": "pm_card_unheardOf"},
        "resource_missing",
        "payment_method",
    ),
    ({"amount": "100", "currency": "gbp", "capture_method": "later"}, None, "capture_method"),
    (
        {"amount": "100", "currency": "gbp", "allowed_payment_method_types[]": "klarna"},
        None,
        "allowed_payment_method_types",
    ),
    (
        {
            "amount": "100",
            "currency": "gbp",
            "payment_method_types[]": "card",
            "automatic_payment_methods[enabled]": "true",
        },
        "parameters_exclusive",
        "automatic_payment_methods",
    ),
    ({"amount": "100", "currency": "gbp", "metadata": "text"}, None, "metadata"),
    ({"amount": "100", "currency": "gbp", "expand[]": "colour"}, None, "expand"),
]


@pytest.mark.parametrize(("params", "code", "param"), WRONG)
def test_wrong_parameters_are_named_and_nothing_is_created(
    payments: SandboxProcess, params: dict[str, str], code: str | None, param: str
) -> None:
    before = payments.ledger()
    reply = payments.v1("POST", "payment_intents", params)
    assert reply.status == 400
    assert (reply.error["type"], reply.error.get("code"), reply.error["param"]) == (
        "invalid_request_error",
        code,
        param,
    )
    assert payments.ledger() == before


AT_THE_LIMITS = [
    *[(30, "gbp"), (50, "usd"), (50, "eur"), (99_999_999, "gbp"), (50, "jpy"), (99_999_999, "jpy")],
    *[(10, "kwd"), (99_999_990, "kwd"), (100, "isk"), (99_999_900, "ugx"), (17_501, "huf"), (80_045, "twd")],
    *[(999_999_999, "inr"), (9_999_999_999, "cop"), (999_999_999_999, "idr")],
]


@pytest.mark.parametrize(("amount", "currency"), AT_THE_LIMITS)
def test_amounts_at_the_limits_are_taken(client: stripe.StripeClient, order: str, amount: int, currency: str) -> None:
    assert created(client, order, amount=amount, currency=currency, confirm=True).amount_received == amount


@pytest.mark.parametrize(("currency", "step"), [("kwd", 10), ("isk", 100), ("ugx", 100)])
def test_a_part_that_is_captured_or_refunded_is_no_finer_than_a_charge(
    client: stripe.StripeClient, order: str, currency: str, step: int
) -> None:
    held = created(client, order, amount=5000, currency=currency, capture_method="manual", confirm=True)
    finer, part = {"amount_to_capture": 3 * step + 1}, {"amount_to_capture": 3 * step}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.capture(held.id, finer)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.param) == ("invalid_charge_amount", "amount_to_capture")
    assert client.v1.payment_intents.capture(held.id, part).amount_received == 3 * step  # type: ignore[arg-type]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": held.id, "amount": step + 1})
    assert (caught.value.code, caught.value.param) == ("invalid_charge_amount", "amount")
    assert client.v1.refunds.create({"payment_intent": held.id, "amount": step}).amount == step


def test_payment_methods_have_their_type_and_an_unknown_one_is_missing(client: stripe.StripeClient) -> None:
    for card in ("pm_card_visa", "pm_card_mastercard", "pm_card_authenticationRequired", *DECLINES):
        method = client.v1.payment_methods.retrieve(card)
        assert (method.id, method.type) == (card, "card")
    assert client.v1.payment_methods.retrieve("pm_usBankAccount").type == "us_bank_account"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_methods.retrieve("pm_card_unheardOf")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_a_method_that_is_no_card_does_not_fit_an_intent_for_cards(client: stripe.StripeClient, order: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        created(client, order, "pm_usBankAccount")
    assert caught.value.code == "payment_intent_incompatible_payment_method"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "payment_intents/pi_none"),
        ("POST", "payment_intents/pi_none/confirm"),
        ("POST", "payment_intents/pi_none/capture"),
        ("POST", "payment_intents/pi_none/cancel"),
        ("GET", "refunds/re_none"),
    ],
)
def test_what_does_not_exist_is_a_404(payments: SandboxProcess, method: str, path: str) -> None:
    reply = payments.v1(method, path)
    assert (reply.status, reply.error["code"]) == (404, "resource_missing")


def test_the_key_must_be_a_test_key(payments: SandboxProcess) -> None:
    def answered(**headers: str) -> int:
        return call("GET", f"{payments.url}/v1/payment_intents", headers=headers).status

    basic = base64.b64encode(f"{KEY}:".encode()).decode()
    assert answered() == answered(Authorization="Bearer sk_live_x") == answered(Authorization="Basic %%%") == 401
    assert answered(Authorization=f"Bearer {KEY}") == answered(Authorization=f"Basic {basic}") == 200


def test_every_answer_carries_a_request_id(payments: SandboxProcess) -> None:
    replies = [payments.v1("GET", path) for path in ("payment_intents", "payment_intents/pi_none", "unheard_of")]
    assert [reply.status for reply in replies] == [200, 404, 404]
    assert len({reply.headers["request-id"] for reply in replies}) == 3
