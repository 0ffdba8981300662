"""`AlertWebhook` against the sandbox's receiver, its signature checked by Stripe's own library."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import stripe

from devtools.processes.http import fetch
from models.errors import Unavailable
from services.alert_webhook import AlertWebhook
from tests.support.servers import FreePorts, Sandbox
from tests.unit.saga.test_alerts import parked

SECRET = "a secret of the test's own"


def received(sandbox: Sandbox, order_id: str) -> list[dict[str, Any]]:
    rows = fetch(f"{sandbox.mail}/sandbox/alerts").json()
    return [row for row in rows if row["alert"]["order_id"] == order_id]


def test_an_alert_arrives_and_is_signed_as_stripe_signs(sandbox: Sandbox) -> None:
    order = parked(order_id=str(uuid.uuid4()))
    AlertWebhook(f"{sandbox.mail}/sandbox/alerts", SECRET, "https://shop.example").send(order)
    (row,) = received(sandbox, order.order_id)
    assert row["alert"]["url"] == f"https://shop.example/api/dashboard#/order/{order.order_id}"
    text = json.dumps(row["alert"])
    assert stripe.WebhookSignature.verify_header(text, row["signature"], SECRET, tolerance=60)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(text, row["signature"], "another secret", tolerance=60)


@pytest.mark.parametrize("path", ["/sandbox/nowhere", ""])
def test_a_receiver_that_does_not_take_it_is_a_fault_without_its_address(
    sandbox: Sandbox, ports: FreePorts, path: str
) -> None:
    url = f"{sandbox.mail}{path}" if path else f"http://127.0.0.1:{ports()}/hidden-in-the-path"
    with pytest.raises(Unavailable, match="ALERT_WEBHOOK_URL") as raised:
        AlertWebhook(url, SECRET, "").send(parked())
    assert "hidden" not in str(raised.value) and raised.value.__cause__ is None
