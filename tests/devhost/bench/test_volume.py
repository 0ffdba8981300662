"""Many orders, with kills and without: what `dev.py bench --volume` does with thousands, in a few seconds."""

import asyncio

import pytest

from devtools.bench.volume import Killed, Steady, shortfalls, volume


def test_many_orders_all_end_with_kills_and_without_and_the_memory_stays() -> None:
    steady, killed = asyncio.run(volume(orders=150, among_kills=150))
    assert shortfalls(steady, killed) == [], f"{steady}\n{killed}"


def test_a_memory_that_grows_and_orders_that_are_lost_are_reported() -> None:
    steady = Steady(200, 1.0, {"host": 40.0, "worker": 40.0}, {"host": 40.0, "worker": 61.0})
    killed = Killed(10, ended=9, wrong={"order-3": None})
    assert shortfalls(steady, killed) == [
        "memory grew 1.52 times",
        "1 orders did not end",
        "orders ended otherwise than undisturbed ones: {'order-3': None}",
        "nothing was killed",
    ]


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_a_memory_within_the_promise_is_no_shortfall(factor: float) -> None:
    steady = Steady(200, 1.0, {"host": 40.0}, {"host": 40.0 * factor})
    assert shortfalls(steady, Killed(10, ended=10, host_kills=1)) == []
