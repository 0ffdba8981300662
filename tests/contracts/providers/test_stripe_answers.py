"""`StripePayments` against scripted answers, where only Stripe itself gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from models.errors import OutcomeUnknown, Refused, Unavailable
from models.order_record import OrderRecord
from services.stripe_payments import API_VERSION, GENERATIONS, StripePayments
from tests.contracts.providers.stripe_orders import KEY, TOTAL, failure, opened
from tests.support.servers import FreePorts, serving

# -------------------------------------------------------------------------------------------------------------scripted


@dataclass
class Script:
    """A Stripe that answers by a script: for each request line its answers in turn, the last one for ever."""

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


def refunds(*data: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "url": "/v1/refunds", "has_more": False, "data": list(data)}


def error(code: str | None = None, kind: str = "api_error") -> dict[str, Any]:
    return {"error": {"type": kind, "message": "about pm_card_visa", "code": code}}


READ, CONFIRM = "GET /v1/payment_intents/pi_1", "POST /v1/payment_intents/pi_1/confirm"
LIST, REFUND = "GET /v1/refunds", "POST /v1/refunds"
REPLAYED = {"Idempotent-Replayed": "true"}


@pytest.fixture
def script(ports: FreePorts) -> Iterator[tuple[StripePayments, Script]]:
    script = Script()
    with serving(ThreadingHTTPServer(("127.0.0.1", ports()), speaker(script))) as server:
        yield StripePayments(KEY, f"http://127.0.0.1:{server.server_port}"), script


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
    report = failure(lambda: payments.confirm("order-1", "pi_1"))
    assert "OutcomeUnknown: order order-1: the confirmation of payment intent pi_1 is not known" in report
    assert "pm_card_visa" not in report
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
