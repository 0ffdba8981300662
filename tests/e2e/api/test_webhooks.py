"""Stripe's webhooks: believed by their signature alone, recorded by their id, and deciding nothing by themselves."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import pytest

from devtools.processes.http import HttpResponse, fetch
from tests.support.harness import Harness
from tests.support.orders_on_record import accept, close, note_payment_intent, payments_of, start
from tests.support.outside_view import NOTHING, OutsideView, new_id, wait_for

SECRET = "whsec_sandbox"
NO_KEYS = [  # events by their form, with an id or a type that storage cannot keep
    json.dumps({"id": an_id, "type": a_type, "data": {"object": {}}}).encode()
    for an_id, a_type in [("a/b", "t"), ("a#b", "t"), ("x" * 2000, "t"), ("evt_1", "\ud800"), ("evt_1", ""), ("", "t")]
]


def event(order_id: str | None, kind: str = "payment_intent.succeeded", **more: Any) -> dict[str, Any]:
    metadata = {"order_id": order_id} if order_id else {}
    return {
        "id": f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "type": kind,
        "data": {"object": {"id": "pi_1", "metadata": metadata}},
        **more,
    }


def signature(body: bytes, secret: str = SECRET, age_s: float = 0) -> str:
    """As https://docs.stripe.com/webhooks#verify-manually describes it."""
    moment = int(time.time() - age_s)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def send(outside: OutsideView, body: bytes, header: str | None) -> HttpResponse:
    headers = {} if header is None else {"Stripe-Signature": header}
    return fetch(f"{outside.urls['host']}/api/webhooks/stripe", "POST", body, headers)


def deliver(outside: OutsideView, webhook_event: dict[str, Any]) -> HttpResponse:
    body = json.dumps(webhook_event).encode()
    return send(outside, body, signature(body))


def recorded(outside: OutsideView, event_id: str) -> list[dict[str, Any]]:
    """Where an event about no order of ours is kept."""
    return [row for row in outside.tables.rows("stripeevents") if row["PartitionKey"] == event_id]


def test_a_signed_event_is_recorded_once_by_its_id_without_its_content(shop: OutsideView) -> None:
    it = event("nobody-ordered-this")
    it["data"]["object"]["receipt_email"] = "canary@example.com"
    for _ in range(3):
        assert deliver(shop, it).status == 200
    (row,) = recorded(shop, it["id"])
    assert (row["Type"], row["OrderId"]) == ("payment_intent.succeeded", "nobody-ordered-this")
    assert "canary" not in str(row)


@pytest.mark.parametrize("metadata", [None, {}, {"order_id": "not an id"}, {"order_id": 7}, {"order_id": new_id()}])
def test_an_event_about_no_order_of_ours_is_taken_with_200(shop: OutsideView, metadata: object) -> None:
    it = event(None)
    it["data"]["object"]["metadata"] = metadata
    answer = deliver(shop, it)
    assert (answer.status, answer.json()) == (200, {"received": True})
    assert len(recorded(shop, it["id"])) == 1


def test_the_signature_is_over_the_raw_body_as_it_came(shop: OutsideView) -> None:
    """Spaces and escapes that a parser would not keep."""
    it = event(None)
    raw = b'  {"id" : "%s",\r\n "type":"caf\\u00e9", "data": {"object": {"metadata": null}}}\n' % it["id"].encode()
    rewritten = json.dumps(json.loads(raw)).encode()
    assert send(shop, raw, signature(rewritten)).status == 400
    assert recorded(shop, it["id"]) == []
    assert send(shop, raw, signature(raw)).status == 200
    assert len(recorded(shop, it["id"])) == 1


WRONG: dict[str, Any] = {
    "none": lambda body: None,
    "an empty one": lambda body: "",
    "nonsense": lambda body: "t=now,v1=yes",
    "another secret's": lambda body: signature(body, "whsec_of_somebody_else"),
    "another body's": lambda body: signature(body + b" "),
    "one without its time": lambda body: signature(body).partition(",")[2],
    "one of six minutes ago": lambda body: signature(body, age_s=360),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_signature_is_refused_and_records_nothing(shop: OutsideView, case: str) -> None:
    it = event(new_id())
    body = json.dumps(it).encode()
    answer = send(shop, body, WRONG[case](body))
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert recorded(shop, it["id"]) == []


def test_an_event_of_four_minutes_ago_is_still_believed(shop: OutsideView) -> None:
    it = event(None)
    body = json.dumps(it).encode()
    assert send(shop, body, signature(body, age_s=240)).status == 200


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"no JSON", b"{}", b'{"id": "evt_1", "type": "t", "data": {}}', b"\xff", *NO_KEYS]
)
def test_a_signed_body_that_is_no_event_is_refused(shop: OutsideView, body: bytes) -> None:
    assert send(shop, body, signature(body)).status == 400


def test_the_sandbox_sends_an_event_of_every_payment_in_its_own_words(shop: OutsideView) -> None:
    order_id = shop.order()
    shop.ended(order_id)

    def types() -> list[str]:
        return [row["Type"] for row in shop.tables.webhooks(order_id)]

    wait_for(types, 60, "webhook of the payment")
    assert types() == ["payment_intent.succeeded"]


def test_an_event_wakes_the_saga_that_waits_for_an_unknown_charge(harness: Harness) -> None:
    """No webhook comes from the sandbox here. The answer of the charge is lost, and so are two readings: the third
    pause is one of four seconds, which the event cuts short."""
    outside, order_id = harness.outside, new_id()
    lost = {"operation": "payment_intents.confirm", "fault": "drop_after_commit", "order_id": order_id, "times": 1}
    unread = {"operation": "payment_intents.retrieve", "fault": "drop_before_commit", "order_id": order_id}
    with outside.faults("payments", lost, unread):
        accept(outside, order_id, items=[{"sku": outside.new_sku(), "quantity": 1}])
        begin(outside, order_id, step_retry_s=30)
        wait_for(lambda: outside.tables.record(order_id).get("PaymentWake") == "payment:3", 60, "third pause")
    assert deliver(outside, event(order_id)).status == 200
    wait_for(lambda: "EventRaised" in kinds(outside, order_id), 60, "wake-up")
    assert outside.ended(order_id)["status"] == "completed"
    history = kinds(outside, order_id)
    # Two pauses were waited for to their end, and the third was not.
    assert history.count("TimerFired") == 2
    assert [row["Name"] for row in outside.tables.history(order_id) if row["EventType"] == "EventRaised"] == [
        "payment:3"
    ]
    assert outside.effects(order_id).charged == outside.effects(order_id).net == 1000


def begin(outside: OutsideView, order_id: str, **limits: float) -> None:
    """Start the saga of an order on record, with limits of its own."""
    task = {"order_id": order_id, "version": 2, "limits": limits}
    start = f"{outside.urls['host']}/runtime/webhooks/durabletask/orchestrators/order_saga/{order_id}"
    assert fetch(start, "POST", task).status == 202


def kinds(outside: OutsideView, order_id: str) -> list[str]:
    return [row["EventType"] for row in outside.tables.history(order_id)]


def charged(outside: OutsideView, order_id: str) -> str:
    """An order on record whose payment has succeeded; the intent's id."""
    order = start(outside, accept(outside, order_id, items=[{"sku": outside.new_sku(), "quantity": 1}]))
    intent = payments_of(outside).open_intent(order, f"{order_id}:pay")
    note_payment_intent(outside, order, intent)
    payments_of(outside).confirm(order_id, intent)
    return intent


def test_a_payment_that_turns_up_for_a_cancelled_order_is_refunded(harness: Harness) -> None:
    """The sweep does not run here: the webhook alone gives the money back, before it answers."""
    outside, order_id = harness.outside, new_id()
    charged(outside, order_id)
    close(outside, order_id, "cancelled")
    assert outside.effects(order_id).net == 1000
    for it in (event(order_id), event(order_id), event(order_id, "charge.refunded")):
        assert deliver(outside, it).status == 200
        assert outside.effects(order_id) == NOTHING._replace(charged=1000, given_back=1000)
    assert outside.tables.record(order_id)["RefundedMinor"] == 1000
    assert [audit["Event"] for audit in outside.tables.audits(order_id)].count("payment_refunded") == 1


def test_a_webhook_that_could_not_refund_answers_503_and_is_sent_again(harness: Harness) -> None:
    outside, order_id = harness.outside, new_id()
    charged(outside, order_id)
    close(outside, order_id, "cancelled")
    it = event(order_id)
    rule = {"operation": "refunds.create", "fault": "error_before_commit", "order_id": order_id, "times": 1}
    with outside.faults("payments", rule):
        assert deliver(outside, it).status == 503
        assert deliver(outside, it).status == 200
    assert outside.effects(order_id).net == 0


def test_events_of_a_completed_order_change_nothing_in_any_order_of_arrival(shop: OutsideView) -> None:
    order_id = shop.order()
    view, effects = shop.ended(order_id), shop.effects(order_id)
    for kind in ("charge.refunded", "payment_intent.canceled", "payment_intent.payment_failed"):
        assert deliver(shop, event(order_id, kind)).status == 200
        assert deliver(shop, event(order_id)).status == 200
    assert shop.view(order_id) == view
    assert shop.effects(order_id) == effects


def test_an_event_is_kept_beside_its_order_once_and_shown_in_its_timeline(shop: OutsideView) -> None:
    order_id = shop.order()
    shop.becomes(order_id, "completed")
    updated = event(order_id, "charge.updated")
    for _ in range(2):
        assert deliver(shop, updated).status == 200
    assert recorded(shop, updated["id"]) == []
    events = shop.get(f"/api/orders/{order_id}/timeline").json()["events"]
    (shown,) = [each for each in events if each.get("reference") == updated["id"]]
    assert (shown["event"], shown["by"], shown["reason"]) == ("webhook", "stripe", "charge.updated")
    assert [each["at"] for each in events] == sorted(each["at"] for each in events)
