"""What an order costs in storage: every request of the app is counted at a proxy, from the POST to the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from devtools.bench.real_orders.counting import TABLES
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
    "PUT stock",  # sold
    "GET orders",
    "PUT orders",  # the mail, and the end
    "PUT orderindex",  # of the day
    "DELETE orderindex",
]
# At most this many for a declined order, and for one that is cancelled before it is charged.
UNDONE = 16


def line(sku: str) -> dict[str, Any]:
    return {"items": [{"sku": sku, "quantity": 1}]}


def call(request: str) -> str | None:
    """`VERB place`, verbs as of a single row; None for a request of devhost's."""
    method, path = request.split(" ", 2)[:2]
    if path.split("\n")[0].endswith("$batch"):
        urls = re.findall(r"^(?:PUT|PATCH|POST|MERGE|DELETE) http\S+/(\w+)(?:\(|[?\s])", request, re.MULTILINE)
        tables = [table for table in urls if table in TABLES]
        return f"PUT {tables[0]}" if tables else None
    place = next((name for name in (*TABLES, "labels") if re.search(rf"/{name}(?:[(?/]|\s)", path)), None)
    verb = {"POST": "PUT", "PATCH": "PUT", "MERGE": "PUT", "HEAD": "GET"}.get(method, method)
    return f"{verb} {place}" if place else None


@contextmanager
def counted(harness: Harness) -> Iterator[Callable[[], list[str]]]:
    requests: list[str] = []
    with harness.tables.recording(requests.append), harness.blobs.recording(requests.append):
        yield lambda: [known for request in requests if (known := call(request)) is not None]


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
