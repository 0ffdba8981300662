"""The list of orders: by UTC day, newest first, a page at a time, and never by reading the whole table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from devtools.processes.http import fetch
from tests.support.harness import Harness
from tests.support.orders_on_record import accept, close, out_of_sight, start
from tests.support.outside_view import OutsideView, new_id

# Days on which nobody else's orders lie: five orders a day, one every hour, oldest first.
DAYS = [datetime(2021, 3, day, 8, tzinfo=UTC) for day in (1, 2, 4)]


def listed(outside: OutsideView, **query: object) -> dict[str, Any]:
    answer = fetch(f"{outside.urls['host']}/api/orders?{urlencode(query)}")
    assert answer.status == 200, answer.body
    return dict(answer.json())


def ids(answer: dict[str, Any]) -> list[str]:
    return [order["order_id"] for order in answer["orders"]]


@pytest.fixture(scope="module")
def past(shop: OutsideView) -> list[str]:
    """Fifteen orders of those days, oldest first; the last of each day was completed."""
    placed = []
    for day in DAYS:
        for hour in range(5):
            placed.append(new_id())
            age_s = (datetime.now(UTC) - day - timedelta(hours=hour)).total_seconds()
            with out_of_sight(shop, placed[-1]):  # the sweep would end it otherwise
                accept(shop, placed[-1], age_s=age_s, items=[{"sku": "FOR-THE-LIST", "quantity": 1}])
                if hour == 4:
                    close(shop, placed[-1], "completed")
    return placed


def test_an_order_of_today_is_listed_as_it_stands(shop: OutsideView) -> None:
    sku, other = shop.new_sku(price_minor=700), shop.new_sku(price_minor=50)
    order_id = shop.order(items=[{"sku": sku, "quantity": 2}, {"sku": other, "quantity": 1}])
    shop.ended(order_id)
    (order,) = [order for order in listed(shop, top=100)["orders"] if order["order_id"] == order_id]
    assert order == {
        "order_id": order_id,
        "status": "completed",
        "accepted_at": shop.tables.record(order_id)["AcceptedAt"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "skus": [sku, other],
        "total": {"amount_minor": 1450, "currency": "gbp"},
        "since": order["since"],
        "waits_for": None,
        "failure": None,
        "held_minor": 0,
    }
    assert order["since"] >= order["accepted_at"]


def test_orders_come_newest_first_over_all_days_asked_for(shop: OutsideView, past: list[str]) -> None:
    everything = listed(shop, **{"from": "2021-02-27", "to": "2021-03-05", "top": 100})
    assert ids(everything) == past[::-1]
    assert everything["continuation"] is None
    moments = [order["accepted_at"] for order in everything["orders"]]
    assert moments == sorted(moments, reverse=True)


def test_both_days_are_included(shop: OutsideView, past: list[str]) -> None:
    assert ids(listed(shop, **{"from": "2021-03-01", "to": "2021-03-02"})) == past[:10][::-1]
    assert ids(listed(shop, **{"from": "2021-03-04", "to": "2021-03-04"})) == past[10:][::-1]
    assert ids(listed(shop, **{"from": "2021-03-03", "to": "2021-03-03"})) == []
    # Without `from`: a week.
    assert ids(listed(shop, to="2021-03-10")) == past[10:][::-1]
    assert ids(listed(shop, to="2021-03-11")) == []


@pytest.mark.parametrize("top", [1, 2, 4, 5, 7, 15])
def test_continuations_lead_through_every_order_once(shop: OutsideView, past: list[str], top: int) -> None:
    seen: list[str] = []
    query: dict[str, object] = {"from": "2021-03-01", "to": "2021-03-05", "top": top}
    while True:
        page = listed(shop, **query)
        assert len(page["orders"]) <= top
        seen += ids(page)
        if page["continuation"] is None:
            break
        query["continuation"] = page["continuation"]
    assert seen == past[::-1]


def test_an_order_that_arrives_between_two_pages_moves_nothing(shop: OutsideView, past: list[str]) -> None:
    day = {"from": "2021-04-01", "to": "2021-04-01", "top": 2}
    morning = datetime(2021, 4, 1, 8, tzinfo=UTC)
    placed = [new_id() for _ in range(4)]
    for hour, order_id in enumerate(placed[:3]):
        age_s = (datetime.now(UTC) - morning).total_seconds() - 3600 * hour
        accept(shop, order_id, age_s=age_s, items=[{"sku": "FOR-THE-LIST", "quantity": 1}])
    first = listed(shop, **day)
    late = (datetime.now(UTC) - morning).total_seconds() - 3600 * 5
    accept(shop, placed[3], age_s=late, items=[{"sku": "FOR-THE-LIST", "quantity": 1}])
    second = listed(shop, **day, continuation=first["continuation"])
    assert ids(first) + ids(second) == placed[2::-1]


def test_a_status_narrows_the_list_and_follows_the_order(shop: OutsideView, past: list[str]) -> None:
    days = {"from": "2021-03-01", "to": "2021-03-04"}
    assert ids(listed(shop, **days, status="completed")) == [past[14], past[9], past[4]]
    assert past[4] not in ids(listed(shop, **days, status="accepted"))
    assert ids(listed(shop, **days, status="completed", top=2)) == [past[14], past[9]]
    continuation = listed(shop, **days, status="completed", top=2)["continuation"]
    assert ids(listed(shop, **days, status="completed", top=2, continuation=continuation)) == [past[4]]
    assert listed(shop, **days, status="cancelled")["orders"] == []


def test_each_state_on_the_way_can_be_listed(shop: OutsideView) -> None:
    sku = shop.new_sku(price_minor=60_000)
    order_id = shop.order(items=[{"sku": sku, "quantity": 1}])
    shop.becomes(order_id, "awaiting_approval")
    assert order_id in ids(listed(shop, status="awaiting_approval", top=100))
    assert shop.cancel(order_id).status == 202
    shop.ended(order_id)
    assert order_id not in ids(listed(shop, status="awaiting_approval", top=100))
    assert order_id in ids(listed(shop, status="cancelled", top=100))


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=lost", "status"),
        ("from=yesterday", "from"),
        ("to=2021-02-30", "to"),
        ("from=2021-03-05&to=2021-03-01", "from"),
        ("from=2019-01-01&to=2021-01-01", "from"),
        ("top=0", "top"),
        ("top=101", "top"),
        ("top=ten", "top"),
        ("top=-1", "top"),
        ("continuation=give-me-all'%20or%20true", "continuation"),
    ],
)
def test_a_parameter_that_is_none_is_refused_by_name(shop: OutsideView, query: str, named: str) -> None:
    answer = shop.get(f"/api/orders?{query}")
    assert answer.status == 400, answer.body
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"#/{named}"]


def test_the_list_asks_for_days_of_the_index_and_never_for_a_whole_table(harness: Harness) -> None:
    """Every question about the orders themselves, and every one that names no day, would fail here."""
    outside, order_id = harness.outside, new_id()
    moment = datetime(2021, 5, 1, 8, tzinfo=UTC)
    age_s = (datetime.now(UTC) - moment).total_seconds()
    start(outside, accept(outside, order_id, age_s=age_s, items=[{"sku": "FOR-THE-LIST", "quantity": 1}]))
    whole_table = r"^GET \S*orderindex\(\)\?(?!\S*PartitionKey%20eq%20%27(?:2021-0|open))"
    with (
        harness.tables.failing(r"^GET \S*/orders\(", "forbid") as the_orders,
        harness.tables.failing(whole_table, "forbid") as everything,
    ):
        assert ids(listed(outside, **{"from": "2021-04-28", "to": "2021-05-02"})) == [order_id]
        assert listed(outside, **{"from": "2021-04-28", "to": "2021-05-02", "status": "completed"})["orders"] == []
    assert not the_orders.seen.is_set()
    assert not everything.seen.is_set()
