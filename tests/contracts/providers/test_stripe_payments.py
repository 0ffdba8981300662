"""`StripePayments` against the sandbox's Stripe, and against scripted answers where only Stripe itself gives them."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from models.errors import OrderSagaError, OutcomeUnknown, Refused, Unavailable
from models.money import CURRENCIES, Total, refusal
from models.order_record import OrderRecord
from services.stripe_payments import API_VERSION, GENERATIONS, StripePayments
from tests.support.servers import FreePorts, Sandbox
from tests.unit.orders import request, running_order

KEY = "sk_test_sandbox"
TOTAL = 25800


@pytest.fixture
def payments(sandbox: Sandbox) -> StripePayments:
    return StripePayments(KEY, sandbox.payments)


@pytest.fixture
def order() -> OrderRecord:
    return running_order(str(uuid.uuid4()))


def paying_with(order: OrderRecord, payment_method: str) -> OrderRecord:
    return order.model_copy(update={"sent": request(payment_method=payment_method).model_dump_json()})


def opened(payments: StripePayments, order: OrderRecord) -> str:
    return payments.open_intent(order, f"{order.order_id}:pay")


def paid(payments: StripePayments, order: OrderRecord) -> str:
    intent_id = opened(payments, order)
    payments.confirm(order.order_id, intent_id)
    return intent_id


def events(sandbox: Sandbox, order: OrderRecord) -> list[str]:
    return [row["event"] for row in entries(sandbox, order)]


def entries(sandbox: Sandbox, order: OrderRecord) -> list[dict[str, Any]]:
    return [row for row in sandbox.ledger() if row["order_id"] == order.order_id]


def broken(sandbox: Sandbox, operation: str, fault: str, order: OrderRecord) -> None:
    """The operation fails once for this order."""
    sandbox.faults("payments", [{"operation": operation, "fault": fault, "order_id": order.order_id, "times": 1}])


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


UNANSWERED = ["error_before_commit", "drop_before_commit", "drop_after_commit", "error_after_commit"]


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


def refunded(sandbox: Sandbox, order: OrderRecord) -> list[int]:
    return [row["amount_minor"] for row in entries(sandbox, order) if row["event"] == "refund.succeeded"]


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


# -------------------------------------------------------------------------------------------------------------messages


def test_a_wrong_key_is_a_fault_that_names_the_setting_and_not_the_key(sandbox: Sandbox, order: OrderRecord) -> None:
    key = f"sk_live_{uuid.uuid4().hex}"
    told = failure(lambda: opened(StripePayments(key, sandbox.payments), order))
    assert "Unavailable: Stripe refused the key in STRIPE_API_KEY" in told
    assert key not in told


def test_no_failure_and_no_log_tells_a_payment_method(
    payments: StripePayments, order: OrderRecord, caplog: pytest.LogCaptureFixture
) -> None:
    method = f"pm_{uuid.uuid4().hex}"
    with caplog.at_level(logging.INFO):
        told = failure(lambda: payments.check_method(method))
        told += failure(lambda: opened(payments, paying_with(order, method)))
    assert told.count("Refused: payment_method_invalid") == 2
    assert method not in told
    assert method not in caplog.text


def failure(ask: Callable[[], object]) -> str:
    """All that a host would write down of it: message, traceback, causes."""
    with pytest.raises(OrderSagaError) as raised:
        ask()
    return "".join(traceback.format_exception(raised.value))


def test_an_address_where_nobody_listens_is_a_delay_and_a_charge_there_is_unknown(
    ports: FreePorts, order: OrderRecord
) -> None:
    payments = StripePayments(KEY, f"http://127.0.0.1:{ports()}")
    with pytest.raises(Unavailable):
        opened(payments, order)
    with pytest.raises(OutcomeUnknown, match="pi_1"):
        payments.confirm(order.order_id, "pi_1")


# -------------------------------------------------------------------------------------------------------------scripted


@dataclass
class Script:
    """A Stripe that says what it is told: per request line the answers in turn, the last one for ever."""

    answers: dict[str, list[tuple[int, dict[str, Any], dict[str, str]]]] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    versions: set[str | None] = field(default_factory=set)

    def on(self, line: str, status: int, body: dict[str, Any], **headers: str) -> None:
        self.answers.setdefault(line, []).append((status, body, headers))

    def answer(self, line: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        turns = self.answers[line]
        return turns.pop(0) if len(turns) > 1 else turns[0]


def intent(status: str, **more: Any) -> dict[str, Any]:
    return {"object": "payment_intent", "id": "pi_1", "status": status, "amount_received": TOTAL, **more}


def refund(status: str) -> dict[str, Any]:
    return {"object": "refund", "id": "re_1", "status": status, "amount": TOTAL}


def refunds(*found: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "url": "/v1/refunds", "has_more": False, "data": list(found)}


def error(code: str | None = None, kind: str = "api_error") -> dict[str, Any]:
    return {"error": {"type": kind, "message": "about pm_card_visa", "code": code}}


READ, CONFIRM = "GET /v1/payment_intents/pi_1", "POST /v1/payment_intents/pi_1/confirm"
LIST, REFUND = "GET /v1/refunds", "POST /v1/refunds"
REPLAYED = {"Idempotent-Replayed": "true"}


@pytest.fixture
def script(ports: FreePorts) -> Iterator[tuple[StripePayments, Script]]:
    script = Script()
    server = ThreadingHTTPServer(("127.0.0.1", ports()), speaker(script))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield StripePayments(KEY, f"http://127.0.0.1:{server.server_port}"), script
    server.shutdown()
    thread.join()
    server.server_close()


def speaker(script: Script) -> type[BaseHTTPRequestHandler]:
    class Speaker(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            line = f"{self.command} {self.path.partition('?')[0]}"
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script.seen.append((line, self.headers.get("Idempotency-Key")))
            script.versions.add(self.headers.get("Stripe-Version"))
            status, body, headers = script.answer(line)
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """The test says what was asked."""

    return Speaker


Scripted = tuple[StripePayments, Script]


def test_the_api_version_is_the_one_that_still_takes_payment_method_types(script: Scripted, order: OrderRecord) -> None:
    payments, stripe_says = script
    stripe_says.on("POST /v1/payment_intents", 200, intent("requires_confirmation"))
    assert opened(payments, order) == "pi_1"
    assert stripe_says.versions == {API_VERSION}
    assert API_VERSION < "2026-09-30"


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_an_answer_that_decides_nothing_leaves_the_charge_unknown(script: Scripted, status: int) -> None:
    payments, stripe_says = script
    stripe_says.on(CONFIRM, status, error())
    told = failure(lambda: payments.confirm("order-1", "pi_1"))
    assert "OutcomeUnknown: order order-1: the confirmation of payment intent pi_1 is not known" in told
    assert "pm_card_visa" not in told
    assert stripe_says.seen == [(CONFIRM, "order-1:confirm")]


def test_an_answer_that_is_no_json_leaves_the_charge_unknown(script: Scripted) -> None:
    payments, stripe_says = script
    stripe_says.on(CONFIRM, 200, {}, **{"Content-Length": "1"})
    with pytest.raises(OutcomeUnknown):
        payments.confirm("order-1", "pi_1")


def test_a_key_without_the_right_to_charge_is_a_fault_that_names_the_setting(script: Scripted) -> None:
    payments, stripe_says = script
    stripe_says.on(CONFIRM, 403, error())
    with pytest.raises(Unavailable, match="STRIPE_API_KEY"):
        payments.confirm("order-1", "pi_1")


def test_a_charge_that_is_processing_is_neither_done_nor_undone(script: Scripted) -> None:
    payments, stripe_says = script
    stripe_says.on(CONFIRM, 200, intent("processing"))
    stripe_says.on(READ, 200, intent("processing"))
    for ask in (payments.confirm, payments.settle, payments.give_back):
        with pytest.raises(OutcomeUnknown, match="processing"):
            ask("order-1", "pi_1")


def test_a_decline_that_names_authentication_has_that_reason(script: Scripted) -> None:
    payments, stripe_says = script
    stripe_says.on(CONFIRM, 402, error("authentication_required", "card_error"))
    stripe_says.on("POST /v1/payment_intents/pi_1/cancel", 200, intent("canceled"))
    with pytest.raises(Refused, match="authentication_required"):
        payments.confirm("order-1", "pi_1")


def test_a_stored_failure_without_effect_is_passed_by_only_after_another_read(script: Scripted) -> None:
    payments, stripe_says = script
    stripe_says.on(READ, 200, intent("requires_confirmation"))
    stripe_says.on(CONFIRM, 500, error(), **REPLAYED)
    stripe_says.on(CONFIRM, 200, intent("succeeded"))
    payments.settle("order-1", "pi_1")
    assert stripe_says.seen == [
        (READ, None),
        (CONFIRM, "order-1:confirm"),
        (READ, None),
        (CONFIRM, "order-1:confirm:2"),
    ]


def test_a_stored_failure_whose_effect_shows_in_the_next_read_is_not_passed_by(script: Scripted) -> None:
    payments, stripe_says = script
    stripe_says.on(READ, 200, intent("requires_confirmation"))
    stripe_says.on(READ, 200, intent("succeeded"))
    stripe_says.on(CONFIRM, 500, error(), **REPLAYED)
    payments.settle("order-1", "pi_1")
    assert [key for line, key in stripe_says.seen if line == CONFIRM] == ["order-1:confirm"]


def test_the_generations_of_a_key_come_to_an_end(script: Scripted, order: OrderRecord) -> None:
    payments, stripe_says = script
    stripe_says.on("POST /v1/payment_intents", 500, error(), **REPLAYED)
    with pytest.raises(Unavailable, match="stored failure"):
        opened(payments, order)
    assert len({key for _, key in stripe_says.seen}) == GENERATIONS


def test_a_pending_refund_is_not_said_to_be_made(script: Scripted) -> None:
    payments, stripe_says = script
    stripe_says.on(READ, 200, intent("succeeded"))
    stripe_says.on(LIST, 200, refunds())
    stripe_says.on(LIST, 200, refunds(refund("pending")))
    stripe_says.on(LIST, 200, refunds(refund("succeeded")))
    stripe_says.on(REFUND, 200, refund("pending"))
    for _ in ("just made", "found pending"):
        with pytest.raises(OutcomeUnknown, match="re_1"):
            payments.give_back("order-1", "pi_1")
    assert payments.give_back("order-1", "pi_1") == "re_1"
    assert [key for line, key in stripe_says.seen if line == REFUND] == ["order-1:refund"]


def test_a_refund_that_failed_asks_for_a_person(script: Scripted) -> None:
    payments, stripe_says = script
    stripe_says.on(READ, 200, intent("succeeded"))
    stripe_says.on(LIST, 200, refunds(refund("failed")))
    stripe_says.on(REFUND, 200, refund("failed"))
    with pytest.raises(Unavailable, match="by hand"):
        payments.give_back("order-1", "pi_1")


def test_a_charge_that_somebody_refunds_meanwhile_is_read_back(script: Scripted) -> None:
    payments, stripe_says = script
    stripe_says.on(READ, 200, intent("succeeded"))
    stripe_says.on(LIST, 200, refunds())
    stripe_says.on(LIST, 200, refunds(refund("succeeded")))
    stripe_says.on(REFUND, 400, error("charge_already_refunded", "invalid_request_error"))
    with pytest.raises(OutcomeUnknown):
        payments.give_back("order-1", "pi_1")
    assert payments.give_back("order-1", "pi_1") == "re_1"
