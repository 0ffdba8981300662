"""What an order costs in storage: every request of the app is counted at a proxy, from the POST to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from devtools.bench.real_orders.counting import DEVHOST, Name, of_blobs, of_tables
from tests.e2e.api.test_webhooks import deliver, event
from tests.support.harness import Harness
from tests.support.outside_view import new_id, wait_for

DECLINED = {"payment_method": "pm_card_visa_chargeDeclined"}
# What the app does for an order that goes well, one line, in this order. The first two are before the 202.
COMPLETED = [
    "PUT orderindex",  # open
    "PUT orders",  # accepted
    "GET stock",
    "PUT orders",  # running
    "PUT stock",  # reserved
    "PUT orders",  # the reservation, and the payment intent
    "PUT orders",  # charged
    "PUT labels",
    "PUT orders",  # the label, and the claim of the confirmation
    "GET orders",
    "PUT stock",  # sold
    "PUT orders",  # the mail, and the end
    "PUT orderindex",  # of the day
    "DELETE orderindex",
]
# At most this many for a declined order, and for one that is cancelled before it is charged.
UNDONE = 16


def line(sku: str) -> dict[str, Any]:
    return {"items": [{"sku": sku, "quantity": 1}]}


@contextmanager
def counted(harness: Harness) -> Iterator[Callable[[], list[str]]]:
    """The app's requests to storage as `VERB place`, without those of devhost."""
    calls: list[str] = []

    def note(name: Name, request: str) -> None:
        method, path = request.split("\n", 1)[0].split(" ", 1)
        calls.append(name(method, path, request.encode()))

    with harness.tables.recording(partial(note, of_tables)), harness.blobs.recording(partial(note, of_blobs)):
        yield lambda: [call for call in calls if call != DEVHOST]


def ended(harness: Harness, order_id: str) -> None:
    """Asked of devhost's own table, which is not counted."""
    wait_for(
        lambda: harness.outside.tables.instance(order_id)["RuntimeStatus"] == "Completed",
        60,
        f"end of order {order_id}",
    )


def calls_of(harness: Harness, **changes: Any) -> list[str]:
    sku = harness.outside.new_sku()
    with counted(harness) as counts:
        order_id = harness.outside.order(**line(sku), **changes)
        ended(harness, order_id)
        return counts()


@pytest.fixture(scope="module", autouse=True)
def warm(harness: Harness) -> None:
    """The first label creates its container."""
    harness.outside.ended(harness.outside.order(**line(harness.outside.new_sku())))


def test_a_completed_order_of_one_line_makes_these_calls_and_two_of_them_before_its_202(harness: Harness) -> None:
    assert calls_of(harness) == COMPLETED


def test_a_declined_order_makes_no_call_more_than_its_document_says(harness: Harness) -> None:
    calls = calls_of(harness, **DECLINED)
    assert len(calls) <= UNDONE, calls


def test_an_order_that_is_cancelled_before_it_is_charged_makes_no_call_more_either(harness: Harness) -> None:
    order_id, sku = new_id(), harness.outside.new_sku()
    with (
        counted(harness) as counts,
        harness.tables.failing(f'batch.*{order_id}.*"State": ?"running"', "hold_then_commit") as held,
    ):
        harness.outside.order(order_id, **line(sku))
        wait_for(held.seen.is_set, 30, "its start")
        assert harness.outside.cancel(order_id).status == 202
        held.lifted.set()
        ended(harness, order_id)
        calls = counts()
    assert harness.outside.view(order_id)["status"] == "cancelled"
    assert len(calls) <= UNDONE, calls


def test_a_webhook_makes_two_calls(harness: Harness) -> None:
    order_id = harness.outside.order(**line(harness.outside.new_sku()))
    ended(harness, order_id)
    for about, calls in {order_id: ["GET orders", "PUT orders"], new_id(): ["GET orders", "PUT stripeevents"]}.items():
        with counted(harness) as counts:
            assert deliver(harness.outside, event(about, "charge.updated")).status == 200
            # An order that has ended has its payment asked about, which reads the record of one that was completed.
            assert counts()[:2] == calls
