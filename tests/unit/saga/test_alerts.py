"""Alerts: due once for each time an order comes to wait, claimed before and noted after, sent again by the sweep."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.alerts import send_if_due
from models.errors import Unavailable
from models.money import Total
from models.operations.alerts import alert_key, alert_of, is_due, is_overdue
from models.operations.order_list import IndexEntry
from models.order_parts import Approval
from models.order_record import Applied, OrderRecord, park
from models.states import HELD, MONEY
from reconciliation.sweep import GRACE, Reconciler
from services.settings import faults
from tests.unit.orders import running_order
from tests.unit.services.test_settings import GOOD

TOTAL = Total(amount_minor=25800, currency="gbp")
DEADLINE = datetime(2026, 12, 1, tzinfo=UTC)
PARKED = {"compensations": [{"name": "refund_payment", "status": "failed"}]}


def parked(**changes: Any) -> OrderRecord:
    facts: dict[str, Any] = {"state": "needs_attention", "attention": 1, "outcome": PARKED, "charged_minor": 25800}
    return running_order(**facts | changes)


def awaiting_approval(**changes: Any) -> OrderRecord:
    return running_order(state="awaiting_approval", approval=Approval(deadline=DEADLINE, total=TOTAL), **changes)


class OrderAndReceiver:
    """The record of one order, and a receiver that takes alerts, or does not."""

    def __init__(self, order: OrderRecord, taken: bool = True) -> None:
        self.order, self.taken, self.sent, self.events = order, taken, [], []  # type: ignore[var-annotated]

    def read(self, order_id: str) -> OrderRecord:
        return self.order

    find = read

    def change(self, order: Any, rule: Callable[..., Any], *args: Any, **kwargs: Any) -> OrderRecord:
        self.claim(order, rule, *args, **kwargs)
        return self.order

    def claim(self, order: Any, rule: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        change = rule(self.order, *args, **kwargs)
        if change is not None:
            self.events.append(change.event)
            self.order = self.order.model_copy(update=dict(change.facts))
        return change is not None

    def recall(self, order_id: str, etag: str | None = None) -> OrderRecord:
        return self.order

    def apply(self, order: Any, rule: Callable[..., Any], *args: Any, **kwargs: Any) -> Applied:
        before, written = self.order, self.claim(order, rule, *args, **kwargs)
        return Applied(before, self.order, tuple(self.events[-1:] if written else ()))

    def send(self, order: OrderRecord) -> None:
        if not self.taken:
            raise Unavailable("nobody answers.")
        self.sent.append(alert_key(order))


@pytest.mark.parametrize("order", [parked(), awaiting_approval()])
def test_an_alert_is_claimed_sent_and_noted_once(order: OrderRecord) -> None:
    fakes = OrderAndReceiver(order)
    for _ in range(2):
        send_if_due(fakes.order, fakes, fakes)
    assert fakes.sent == [alert_key(order)]
    assert fakes.events == ["alert_claimed", "alert_sent"]


def test_an_order_that_is_parked_again_is_alerted_again() -> None:
    fakes = OrderAndReceiver(parked())
    send_if_due(fakes.order, fakes, fakes)
    fakes.order = fakes.order.model_copy(update={"attention": 2})
    send_if_due(fakes.order, fakes, fakes)
    assert fakes.sent == ["order-1:attention:1", "order-1:attention:2"]


@pytest.mark.parametrize("before", [running_order(), parked(alert_sent="order-1:attention:1")])
def test_an_order_that_the_sweep_parks_is_alerted_each_time(before: OrderRecord) -> None:
    fakes = OrderAndReceiver(before)
    for _ in range(2):
        fakes.order = fakes.order.model_copy(update={"state": "compensating"})
        fakes.change(fakes.order, park, PARKED)
        send_if_due(fakes.order, fakes, fakes)
    first = before.attention + 1
    assert fakes.sent == [f"order-1:attention:{first}", f"order-1:attention:{first + 1}"]


@pytest.mark.parametrize("order", [running_order(), running_order(state="completed")])
def test_no_alert_is_sent_about_an_order_that_waits_for_nobody(order: OrderRecord) -> None:
    fakes = OrderAndReceiver(order)
    send_if_due(order, fakes, fakes)
    assert fakes.sent == [] and not is_due(order)


def test_no_alert_is_sent_about_an_approval_that_is_decided() -> None:
    decided = Approval(deadline=DEADLINE, total=TOTAL, verdict="approved")
    assert alert_key(running_order(state="awaiting_approval", approval=decided)) is None


def test_without_an_address_nothing_is_written() -> None:
    fakes = OrderAndReceiver(parked())
    send_if_due(fakes.order, fakes, None)
    assert fakes.events == []


def test_a_receiver_that_is_away_changes_nothing_and_the_alert_stays_due() -> None:
    fakes = OrderAndReceiver(parked(), taken=False)
    send_if_due(fakes.order, fakes, fakes)
    assert fakes.events == ["alert_claimed"] and is_due(fakes.order)


def test_an_alert_says_what_is_held_and_nothing_of_the_customer() -> None:
    body = alert_of(parked(), "https://shop.example").body
    assert body == {
        "id": "order-1:attention:1",
        "type": "order.needs_attention",
        "order_id": "order-1",
        "waits_for": ["refund_payment"],
        "deadline": None,
        "total": {"amount_minor": 25800, "currency": "gbp"},
        "held": {**dict.fromkeys(HELD.values(), False), "money": {"amount_minor": 25800, "currency": "gbp"}},
        "url": "https://shop.example/api/dashboard#/order/order-1",
    }
    approval = alert_of(awaiting_approval(), "").body
    assert (approval["waits_for"], approval["deadline"]) == (["approval"], "2026-12-01T00:00:00Z")
    assert approval["held"]["money"] is None and approval["url"] is None
    assert not {"Ada", "example.com"} & {word for word in str([body, approval]).split()}


def test_an_alert_does_not_say_that_money_is_held_whose_refund_was_resolved() -> None:
    label = {"compensations": [{"name": "cancel_shipment", "status": "failed"}]}
    held = alert_of(parked(outcome=label, resolved={"refund_payment": {}}), "").body["held"]
    assert (held["money"], held["label"]) == (None, True)


@pytest.mark.parametrize(("undo", "what"), [(undo, what) for undo, what in HELD.items() if what != MONEY])
def test_an_alert_says_that_what_an_open_undo_would_give_back_is_held(undo: str, what: str) -> None:
    failed = {"compensations": [{"name": undo, "status": "failed"}]}
    held = alert_of(parked(outcome=failed, charged_minor=0), "").body["held"]
    assert held == {**dict.fromkeys(HELD.values(), False), "money": None, what: True}


class Index:
    def put_right(self, entry: IndexEntry, record: OrderRecord) -> None:
        """It is."""


def swept(fakes: OrderAndReceiver, now: datetime) -> None:
    nobody: Any = None
    reconciler = Reconciler(fakes, Index(), nobody, nobody, fakes)  # type: ignore[arg-type]
    entry = IndexEntry("open", "key", "order-1", fakes.order.state, (), fakes.order.accepted_at)
    assert reconciler.current(entry, now) is None or fakes.order.state == "awaiting_approval"


@pytest.mark.parametrize("claimed", [None, "order-1:attention:1"])
def test_the_sweep_sends_what_was_not_sent_also_when_it_was_claimed(claimed: str | None) -> None:
    changed = datetime(2026, 11, 26, tzinfo=UTC)
    fakes = OrderAndReceiver(parked(changed_at=changed, alert_claimed=claimed), taken=False)
    swept(fakes, changed + GRACE / 2)  # the claimer may still be sending
    swept(fakes, changed + 2 * GRACE)
    assert fakes.sent == [] and is_overdue(fakes.order, changed + timedelta(seconds=1))
    fakes.taken = True
    swept(fakes, changed + 2 * GRACE)
    swept(fakes, changed + 2 * GRACE)
    assert fakes.sent == ["order-1:attention:1"] and not is_due(fakes.order)


def test_alerts_are_never_sent_unsigned() -> None:
    assert faults({**GOOD, "ALERT_WEBHOOK_SECRET": ""}) == [
        "ALERT_WEBHOOK_SECRET is not set: alerts to ALERT_WEBHOOK_URL are signed with it."
    ]
    assert faults({**GOOD, "ALERT_WEBHOOK_SECRET": "", "ALERT_WEBHOOK_URL": ""}) == []
