"""What the payments process owes to Stripe's API, asked through Stripe's own client wherever that client can ask."""

import base64
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.contracts.sandbox.sandbox_process import KEY, SandboxProcess, call, eventually

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


@pytest.fixture(scope="module")
def payments(ports: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = SandboxProcess("payments", ports(), tmp_path_factory.mktemp("payments"), ("--search-lag", "2"))
    yield process.start()
    process.stop()


@pytest.fixture(scope="module")
def client(payments: SandboxProcess) -> stripe.StripeClient:
    """Speaks an API version that still takes `payment_method_types`."""
    base: Any = {"api": payments.url}
    return stripe.StripeClient(KEY, stripe_version="2026-07-29.dahlia", base_addresses=base, max_network_retries=0)


@pytest.fixture
def order() -> str:
    return next(ORDERS)


def created(client: stripe.StripeClient, order: str, card: str = "pm_card_visa", **more: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": 12900, "currency": "gbp", "payment_method": card, "payment_method_types": ["card"], **more}
    return client.v1.payment_intents.create(params | {"metadata": {"order_id": order}})


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


def test_a_row_of_the_ledger_tells_order_money_and_key(
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
    asked = client.v1.payment_intents.confirm(intent.id)
    assert asked.status == "requires_action"
    assert asked.next_action is not None
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


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
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
    ],
)
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


def test_payment_methods_tell_their_type_and_an_unknown_one_is_missing(client: stripe.StripeClient) -> None:
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


def test_a_list_is_newest_first_in_pages_and_filtered_by_date(client: stripe.StripeClient) -> None:
    made = [created(client, next(ORDERS)) for _ in range(5)]
    newest = [it.id for it in reversed(made)]
    page = client.v1.payment_intents.list({"limit": 3})
    assert ([it.id for it in page.data], page.has_more) == (newest[:3], True)
    after = client.v1.payment_intents.list({"limit": 2, "starting_after": newest[2]})
    assert [it.id for it in after.data] == newest[3:5]
    before = client.v1.payment_intents.list({"limit": 2, "ending_before": newest[4]})
    assert [it.id for it in before.data] == newest[2:4]
    walked = itertools.islice(client.v1.payment_intents.list({"limit": 2}).auto_paging_iter(), 5)
    assert [it.id for it in walked] == newest
    assert client.v1.payment_intents.list({"created": {"gte": int(time.time()) + 60}}).data == []
    dated = client.v1.payment_intents.list({"limit": 100, "created": {"gte": made[0].created}})
    assert set(newest) <= {it.id for it in dated.data}
    with pytest.raises(stripe.InvalidRequestError, match="Limit"):
        client.v1.payment_intents.list({"limit": 101})


def test_search_finds_late_and_then_by_metadata_and_state(client: stripe.StripeClient, order: str) -> None:
    began = time.time()
    intent = created(client, order)
    query = f"metadata['order_id']:'{order}'"

    def found(more: str = "") -> list[str]:
        return [it.id for it in client.v1.payment_intents.search({"query": query + more}).data]

    assert found() == []
    assert eventually(found) == [intent.id]
    assert time.time() - began >= 2, "search was as fresh as a read"
    client.v1.payment_intents.confirm(intent.id)
    eventually(lambda: found(" AND status:'succeeded'"))
    assert found(f" AND amount>=12900 AND created>{intent.created - 1}") == [intent.id]
    assert found(" AND -status:'succeeded'") == found(" AND amount<12900") == []


def test_search_pages_through_what_it_finds(client: stripe.StripeClient, order: str) -> None:
    made = [created(client, order).id for _ in range(5)]
    query = f'metadata["order_id"]:"{order}"'
    eventually(lambda: len(client.v1.payment_intents.search({"query": query}).data) == 5)
    pages = client.v1.payment_intents.search({"query": query, "limit": 2}).auto_paging_iter()
    assert [it.id for it in pages] == made[::-1]


@pytest.mark.parametrize("query", ["", "colour:'red'", "metadata:'x'", "status>'x'", "status:'a' OR status:'b'"])
def test_a_search_that_cannot_be_understood_is_refused(payments: SandboxProcess, query: str) -> None:
    reply = payments.v1("GET", f"payment_intents/search?query={query.replace(' ', '%20')}")
    assert (reply.status, reply.error["param"]) == (400, "query")


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
