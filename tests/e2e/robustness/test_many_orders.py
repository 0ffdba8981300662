"""A hundred orders, sixteen at a time: all of them end right, and no log holds an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.support.outside_view import OutsideView, new_id
from tests.support.product import Product

ORDERS, AT_ONCE, PRICE = 100, 16, 1000
SCARCE = 10


@pytest.fixture(scope="module")
def outside(product: Product) -> Iterator[OutsideView]:
    with closing(OutsideView(product.urls)) as outside:
        yield outside


def test_a_hundred_orders_sixteen_at_a_time_end_right_without_an_error_in_the_logs(
    outside: OutsideView, product: Product
) -> None:
    logs = list((product.data / "logs").glob("*.log"))
    before = {log: log.stat().st_size for log in logs}  # other tests of this product kill its worker, which is logged
    plenty, scarce = outside.new_sku(on_hand=500, price_minor=PRICE), outside.new_sku(on_hand=SCARCE, price_minor=PRICE)

    def place_and_wait(number: int) -> tuple[str, str]:
        sku = scarce if number % 5 == 0 else plenty
        order_id = outside.order(new_id(), items=[{"sku": sku, "quantity": 1}])
        return order_id, outside.ended(order_id, patience=90, every=0.3)["status"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = dict(pool.map(place_and_wait, range(ORDERS)))
    counts = Counter(ended.values())
    assert counts["completed"] == 80 + SCARCE
    assert counts["rejected"] + counts["compensated"] == 20 - SCARCE
    assert outside.stock(plenty) == (420, 0)
    assert outside.stock(scarce) == (0, 0)
    paid = Counter({order_id: net for order_id, net in outside.net_money().items() if order_id in ended and net})
    assert paid == {order_id: PRICE for order_id, status in ended.items() if status == "completed"}
    for log in logs:
        text = log.read_bytes()[before[log] :].decode(errors="replace")
        assert "ERROR" not in text, log.name
        assert "Traceback" not in text, log.name
