"""Signed webhooks, verified by Stripe's own package."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import stripe

from tests.contracts.sandbox.sandbox_process import SandboxProcess, eventually
from tests.support.servers import serving

SECRET = "whsec_sandbox"
INTENT = {"amount": "12900", "currency": "gbp", "payment_method_types[]": "card", "metadata[order_id]": "o"}


class Listener(ThreadingHTTPServer):
    """A shop's webhook endpoint: keeps what it gets, and answers the first of them with 500."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Hook)
        self.received: list[tuple[bytes, str]] = []

    def events(self) -> list[stripe.Event]:
        """What was received after the first one, each with its signature verified."""
        return [stripe.Webhook.construct_event(body, header, SECRET) for body, header in self.received[1:]]


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Listener)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((body, self.headers["Stripe-Signature"]))
        self.send_response(500 if len(self.server.received) == 1 else 200)
        self.end_headers()

    def log_message(self, format: str, *_arguments: object) -> None:
        """The requests are in `received`; the test's output stays quiet."""


@pytest.fixture
def listener(ports: Callable[[], int]) -> Iterator[Listener]:
    with serving(Listener(ports())) as server:
        yield server


@pytest.fixture
def payments(ports: Callable[[], int], tmp_path: Path, listener: Listener) -> Iterator[SandboxProcess]:
    options = ("--webhook-url", f"http://127.0.0.1:{listener.server_port}/hook", "--webhook-secret", SECRET)
    process = SandboxProcess("payments", ports(), tmp_path, options)
    yield process.start()
    process.stop()


def test_what_happens_to_money_is_sent_signed_and_again_when_it_was_not_taken(
    payments: SandboxProcess, listener: Listener
) -> None:
    paid = _confirmed(payments, "pm_card_visa")
    payments.v1("POST", "refunds", {"payment_intent": paid}, key="refund")
    declined = _confirmed(payments, "pm_card_visa_chargeDeclined")
    payments.v1("POST", f"payment_intents/{declined}/cancel")
    payments.v1("POST", "refunds", {"payment_intent": paid}, key="refund")
    eventually(lambda: len(listener.received) == 5)
    events = {event.type: event for event in listener.events()}
    assert events.keys() == {
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "charge.refunded",
    }
    assert events["payment_intent.succeeded"].data.object["id"] == paid
    assert events["payment_intent.payment_failed"].data.object["last_payment_error"]["code"] == "card_declined"
    assert events["payment_intent.canceled"].data.object["id"] == declined
    assert events["charge.refunded"].data.object["amount_refunded"] == 12900
    assert events["charge.refunded"].request is not None
    assert events["charge.refunded"].request.idempotency_key == "refund"


def test_a_changed_body_does_not_verify(payments: SandboxProcess, listener: Listener) -> None:
    _confirmed(payments, "pm_card_visa")
    eventually(lambda: len(listener.received) == 2)
    body, header = listener.received[1]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body.replace(b"12900", b"12901"), header, SECRET)


def _confirmed(payments: SandboxProcess, card: str) -> str:
    intent = str(payments.v1("POST", "payment_intents", INTENT | {"payment_method": card}).json()["id"])
    payments.v1("POST", f"payment_intents/{intent}/confirm")
    return intent
