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
from models.order_record import Applied, OrderRecord
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


def asked(**changes: Any) -> OrderRecord:
    return running_order(state="awaiting_approval", approval=Approval(deadline=DEADLINE, total=TOTAL), **changes)


class World:
    """The record of one order, and a receiver that takes alerts, or does not."""

    def __init__(self, order: OrderRecord, taken: bool = True) -> None:
        self.order, self.taken, self.told, self.events = order, taken, [], []  # type: ignore[var-annotated]

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
        self.told.append(alert_key(order))


@pytest.mark.parametrize("order", [parked(), asked()])
def test_an_alert_is_claimed_sent_and_noted_once(order: OrderRecord) -> None:
    world = World(order)
    for _ in range(2):
        send_if_due(world.order, world, world)
    assert world.told == [alert_key(order)]
    assert world.events == ["alert_claimed", "alert_sent"]


def test_an_order_that_is_parked_again_is_told_again() -> None:
    world = World(parked())
    send_if_due(world.order, world, world)
    world.order = world.order.model_copy(update={"attention": 2})
    send_if_due(world.order, world, world)
    assert world.told == ["order-1:attention:1", "order-1:attention:2"]


@pytest.mark.parametrize("order", [running_order(), running_order(state="completed")])
def test_an_order_that_waits_for_nobody_is_not_told(order: OrderRecord) -> None:
    world = World(order)
    send_if_due(order, world, world)
    assert world.told == [] and not is_due(order)


def test_a_decided_approval_is_not_told() -> None:
    decided = Approval(deadline=DEADLINE, total=TOTAL, verdict="approved")
    assert alert_key(running_order(state="awaiting_approval", approval=decided)) is None


def test_without_an_address_nothing_is_written() -> None:
    world = World(parked())
    send_if_due(world.order, world, None)
    assert world.events == []


def test_a_receiver_that_is_away_changes_nothing_and_the_alert_stays_due() -> None:
    world = World(parked(), taken=False)
    send_if_due(world.order, world, world)
    assert world.events == ["alert_claimed"] and is_due(world.order)


def test_an_alert_says_what_is_held_and_nothing_of_the_customer() -> None:
    body = alert_of(parked(), "https://shop.example").body
    assert body == {
        "id": "order-1:attention:1",
        "type": "order.needs_attention",
        "order_id": "order-1",
        "waits_for": ["refund_payment"],
        "deadline": None,
        "total": {"amount_minor": 25800, "currency": "gbp"},
        "held": {"money": {"amount_minor": 25800, "currency": "gbp"}, "goods": False, "label": False},
        "url": "https://shop.example/api/dashboard#/order/order-1",
    }
    approval = alert_of(asked(), "").body
    assert (approval["waits_for"], approval["deadline"]) == (["approval"], "2026-12-01T00:00:00Z")
    assert approval["held"]["money"] is None and approval["url"] is None
    assert not {"Ada", "example.com"} & {word for word in str([body, approval]).split()}


class Index:
    def put_right(self, entry: IndexEntry, record: OrderRecord) -> None:
        """It is."""


def swept(world: World, now: datetime) -> None:
    nobody: Any = None
    reconciler = Reconciler(world, Index(), nobody, nobody, world)  # type: ignore[arg-type]
    entry = IndexEntry("open", "key", "order-1", world.order.state, (), world.order.accepted_at)
    assert reconciler.current(entry, now) is None or world.order.state == "awaiting_approval"


@pytest.mark.parametrize("claimed", [None, "order-1:attention:1"])
def test_the_sweep_sends_what_was_not_sent_also_when_it_was_claimed(claimed: str | None) -> None:
    changed = datetime(2026, 11, 26, tzinfo=UTC)
    world = World(parked(changed_at=changed, alert_claimed=claimed), taken=False)
    swept(world, changed + GRACE / 2)  # whoever claimed it may still be sending
    swept(world, changed + 2 * GRACE)
    assert world.told == [] and is_overdue(world.order, changed + timedelta(seconds=1))
    world.taken = True
    swept(world, changed + 2 * GRACE)
    swept(world, changed + 2 * GRACE)
    assert world.told == ["order-1:attention:1"] and not is_due(world.order)


def test_alerts_are_never_sent_unsigned() -> None:
    assert faults({**GOOD, "ALERT_WEBHOOK_SECRET": ""}) == [
        "ALERT_WEBHOOK_SECRET is not set: alerts to ALERT_WEBHOOK_URL are signed with it."
    ]
    assert faults({**GOOD, "ALERT_WEBHOOK_SECRET": "", "ALERT_WEBHOOK_URL": ""}) == []
