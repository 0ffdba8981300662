"""Idempotency keys, as Stripe treats them: https://docs.stripe.com/api/idempotent_requests."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from tests.contracts.sandbox.sandbox_process import KEY, SandboxProcess, SandboxResponse, eventually


def params(order: str, **more: str) -> dict[str, str]:
    """Of a payment intent for this order. The keys of its calls begin with its id: all tests share a process."""
    of_any = {"amount": "12900", "currency": "gbp", "payment_method": "pm_card_visa", "payment_method_types[]": "card"}
    return {**of_any, "metadata[order_id]": order, **more}


def test_the_same_call_again_gets_the_same_answer_and_does_nothing(payments: SandboxProcess, order: str) -> None:
    first = payments.v1("POST", "payment_intents", params(order), key=f"{order}:k")
    again = payments.v1("POST", "payment_intents", dict(reversed(params(order).items())), key=f"{order}:k")
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"] != again.headers["request-id"]
    assert payments.events(order) == ["payment_intent.created"]


def test_without_a_key_each_call_is_a_new_one(payments: SandboxProcess, order: str) -> None:
    first, second = (payments.v1("POST", "payment_intents", params(order)).json()["id"] for _ in range(2))
    assert first != second


def test_a_replayed_confirm_charges_once(payments: SandboxProcess, order: str) -> None:
    intent = payments.v1("POST", "payment_intents", params(order)).json()["id"]
    confirms = [payments.v1("POST", f"payment_intents/{intent}/confirm", key=f"{order}:confirm") for _ in range(3)]
    assert [reply.json()["status"] for reply in confirms] == ["succeeded"] * 3
    assert payments.events(order).count("payment_intent.succeeded") == 1


def test_other_parameters_or_another_endpoint_under_a_used_key_are_an_error(
    payments: SandboxProcess, order: str
) -> None:
    intent = payments.v1("POST", "payment_intents", params(order), key=f"{order}:k").json()["id"]
    other = payments.v1("POST", "payment_intents", params(order, amount="1"), key=f"{order}:k")
    elsewhere = payments.v1("POST", f"payment_intents/{intent}/confirm", key=f"{order}:k")
    for reply in (other, elsewhere):
        assert (reply.status, reply.error["type"]) == (400, "idempotency_error")
    assert payments.events(order) == ["payment_intent.created"]


def test_stripes_client_knows_the_error(payments: SandboxProcess, order: str) -> None:
    client = stripe.StripeClient(KEY, base_addresses={"api": payments.url}, max_network_retries=0)
    client.v1.payment_intents.create({"amount": 100, "currency": "gbp"}, {"idempotency_key": f"{order}:k"})
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.create({"amount": 101, "currency": "gbp"}, {"idempotency_key": f"{order}:k"})


def test_a_decline_is_remembered_and_is_one_attempt(payments: SandboxProcess, order: str) -> None:
    declined = params(order, payment_method="pm_card_visa_chargeDeclined")
    intent = payments.v1("POST", "payment_intents", declined).json()["id"]
    replies = [payments.v1("POST", f"payment_intents/{intent}/confirm", key=f"{order}:confirm") for _ in range(2)]
    assert [reply.status for reply in replies] == [402, 402]
    assert replies[1].headers["idempotent-replayed"] == "true"
    assert payments.events(order) == ["payment_intent.created", "charge.failed"]


def test_a_refusal_by_state_is_remembered_even_when_the_state_has_changed(payments: SandboxProcess, order: str) -> None:
    intent = payments.v1("POST", "payment_intents", params(order)).json()["id"]
    early = payments.v1("POST", f"payment_intents/{intent}/capture", key=f"{order}:capture")
    payments.v1("POST", f"payment_intents/{intent}/cancel")
    again = payments.v1("POST", f"payment_intents/{intent}/capture", key=f"{order}:capture")
    assert early.error["payment_intent"]["status"] == "requires_confirmation"
    assert (again.status, again.json()) == (400, early.json())


def test_an_error_found_before_anything_began_leaves_the_key_free(payments: SandboxProcess, order: str) -> None:
    assert payments.v1("POST", "payment_intents", params(order, amount="1"), key=f"{order}:k").status == 400
    assert payments.v1("POST", "payment_intents", params(order), key=f"{order}:k").status == 200


def test_a_key_in_flight_is_a_409_until_its_call_is_done(payments: SandboxProcess, order: str) -> None:
    rule = {"operation": "payment_intents.create", "fault": "hold_then_commit", "order_id": order, "delay_s": 600}
    payments.plan(rule)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(payments.v1, "POST", "payment_intents", params(order), f"{order}:k", wait_s=60)
        try:
            busy = eventually(lambda: _refused_as_busy(payments, f"{order}:k"))
        finally:
            payments.clear_faults()
    assert busy.error["code"] == "idempotency_key_in_use"
    replayed = payments.v1("POST", "payment_intents", params(order), key=f"{order}:k")
    assert replayed.headers["idempotent-replayed"] == "true"
    assert replayed.json() == held.result().json()
    assert payments.events(order) == ["payment_intent.created"]


def _refused_as_busy(payments: SandboxProcess, key: str) -> SandboxResponse | None:
    """A call under this key that does nothing and meets no fault: it lacks every parameter."""
    reply = payments.v1("POST", "payment_intents", key=key)
    return reply if reply.status == 409 else None


def test_a_key_on_a_read_means_nothing(payments: SandboxProcess, order: str) -> None:
    intent = payments.v1("POST", "payment_intents", params(order)).json()["id"]
    assert payments.v1("GET", f"payment_intents/{intent}", key=f"{order}:k").status == 200
    assert payments.v1("POST", "payment_intents", params(order), key=f"{order}:k").status == 200


def test_a_key_of_more_than_255_characters_is_refused(payments: SandboxProcess, order: str) -> None:
    key = order.ljust(256, "k")
    assert payments.v1("POST", "payment_intents", params(order), key=key).status == 400
    assert payments.v1("POST", "payment_intents", params(order), key=key[:255]).status == 200
