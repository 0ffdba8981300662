"""The floor of the real order makes the calls of the real order and no others; and what an order leaves is counted."""

from __future__ import annotations

import asyncio
from collections import Counter

from devtools.bench.real_orders import calls
from devtools.bench.real_orders.counting import DEVHOST
from devtools.bench.real_orders.filling import copied_id, fill
from devtools.bench.real_orders.floor import FEWEST, ITS_OWN, Call, RealFloor
from devtools.bench.real_orders.loads import ONE_LINE


async def calls_of_an_order_and_of_its_floors() -> list[list[str]]:
    async with calls.product() as of:
        assert of.environment["SWEEP_SCHEDULE"] == calls.ONLY_ON_29_FEBRUARY, "a sweep's requests would be counted"
        real = await calls.calls_of(of, ONE_LINE)
        return [real, *[await calls_of_floor(of, each) for each in (ITS_OWN, FEWEST)]]


async def calls_of_floor(of: calls.Counted, each: tuple[Call, ...]) -> list[str]:
    floor = await asyncio.to_thread(RealFloor, of.environment, each)
    await asyncio.to_thread(floor.prepare)
    of.requests.clear()
    await asyncio.to_thread(floor.order)
    return list(of.requests)


def test_the_floor_makes_the_calls_of_a_real_order_in_their_order() -> None:
    real, own, fewest = asyncio.run(calls_of_an_order_and_of_its_floors())
    assert own == [call for call in real if call != DEVHOST]
    assert Counter(fewest) == {
        "PUT orders": 1 + 4,
        "GET stock": 1,
        "PUT stock": 2,
        "PUT orderindex": 2,
        "PUT labels": 1,
        "GET stripe": 2,
        "POST stripe": 2,
        "mail": 1,
        "push": 1,
    }


async def left_by_an_order_and_by_its_copy() -> tuple[str, dict[str, calls.Left], dict[str, calls.Left]]:
    async with calls.product(webhooks=True) as of:
        order_id = await calls.ended_with_its_webhook(of)
        await fill(of.storage, order_id, 150)
        copy = copied_id(order_id, 149)
        left = [await calls.left_in(of.storage, each) for each in (order_id, copy)]
        return await of.shop.status(copy), left[0], left[1]


def test_what_an_order_leaves_is_counted_by_table_and_a_copy_of_it_is_an_order() -> None:
    status, left, of_copy = asyncio.run(left_by_an_order_and_by_its_copy())
    rows = {name.removeprefix("OrderSagaDev"): each.rows for name, each in left.items()}
    # The record, nine rows of its audit trail, and one of the webhook.
    others = {"Instances": 1, "orders": 11, "orderindex": 1, "stock": 1}
    assert rows == {"History": rows["History"], **others}
    assert rows["History"] > 30 and all(each.bytes > 100 for each in left.values())
    assert status == "completed"
    assert {name: each.rows for name, each in of_copy.items()} == {name: each.rows for name, each in left.items()}
