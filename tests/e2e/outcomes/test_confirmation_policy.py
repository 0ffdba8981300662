"""`CONFIRMATION_FAILURE=ignore`: the shop keeps an order whose confirmation could not be sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from devtools.example_order import example_order
from tests.support.harness import Harness
from tests.support.outside_view import NOTHING, statuses
from tests.support.steps import STEPS


def test_a_rejected_recipient_leaves_the_order_completed_when_the_shop_chose_so(
    new_harness: Callable[..., Harness],
) -> None:
    with new_harness(CONFIRMATION_FAILURE="ignore") as app, closing(app.start()) as outside:
        sku = outside.new_sku(on_hand=3)
        customer = {**example_order()["customer"], "email": "ada@bounce.invalid"}
        order_id = outside.order(customer=customer, items=[{"sku": sku, "quantity": 1}])
        view = outside.ended(order_id)
        assert view["status"] == "completed"
        assert statuses(view) == {**dict.fromkeys(STEPS, "done"), "send_confirmation": "refused"}
        assert view["compensations"] == []
        assert outside.stock(sku) == (2, 0)
        assert outside.effects(order_id) == NOTHING._replace(charged=1000, label="issued")
