"""An order whose saga could not be kept alive only goes backwards: whatever its operator asks for, it is not driven on.

It may have been charged and given back by hand. Driving it forward would charge it, or deliver it, after that.
"""

from devtools.processes.http import fetch
from tests.support.orders_on_record import (
    accept,
    note_healed,
    note_payment_intent,
    orders_of,
    out_of_sight,
    payments_of,
    start,
)
from tests.support.outside_view import NOTHING, OutsideView, compensations, new_id, wait_for


def parked(outside: OutsideView) -> str:
    """A charged order whose saga has been started again as often as it may be."""
    order_id, items = new_id(), [{"sku": outside.new_sku(), "quantity": 1}]
    with out_of_sight(outside, order_id):
        order = start(outside, accept(outside, order_id, age_s=60, items=items))
        intent = payments_of(outside).open_intent(order, f"{order_id}:pay")
        note_payment_intent(outside, order, intent)
        payments_of(outside).confirm(order_id, intent)
        for _ in range(5):
            note_healed(outside, order_id)
    wait_for(lambda: orders_of(outside).read(order_id).state == "needs_attention", 60, "parking")
    return order_id


def test_a_retry_undoes_everything(shop: OutsideView) -> None:
    order_id = parked(shop)
    body = {"by": "Grace", "reason": "Its saga kept dying."}
    path = f"/api/orders/{order_id}/compensations/refund_payment/retry"
    assert fetch(shop.urls["host"] + path, "POST", body).status == 202
    view = shop.ended(order_id)
    assert view["status"] == "compensated"
    assert {done for _, done in compensations(view)} == {"done"}
    assert shop.effects(order_id)._replace(label=None) == NOTHING._replace(charged=1000, given_back=1000)


def test_it_can_no_longer_be_cancelled(shop: OutsideView) -> None:
    assert shop.cancel(parked(shop)).status == 409
