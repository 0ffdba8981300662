"""Orders, stock and payments written behind the app's back, as a death at the wrong moment leaves them.

Written by the app's own adapters, so that each record is one that the app could have written; only the clock is the
test's. The product's own sweep is about meanwhile: it finds an order by the index, so what takes more than one write is
written before the index tells of it (`out_of_sight`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from devtools.example_order import example_order
from models import order_record
from models.money import Total
from models.order_parts import Line
from models.order_record import OrderRecord
from models.order_request import OrderRequest
from models.states import OrderStatus
from models.view import fresh_view
from services import storage
from services.stripe_payments import StripePayments
from services.tables import table_orders
from services.tables.order_index import OrderIndex
from services.tables.table_orders import TableOrders
from services.tables.table_stock import TableStock
from tests.support.outside_view import OutsideView, new_id


def orders_of(outside: OutsideView) -> TableOrders:
    account = storage.connect({storage.SETTING: outside.urls["storage_connection_string"]})
    return TableOrders(storage.open_table(account, "orders"), index_of(outside))


def index_of(outside: OutsideView) -> OrderIndex:
    account = storage.connect({storage.SETTING: outside.urls["storage_connection_string"]})
    return OrderIndex(storage.open_table(account, "orderindex"))


@contextmanager
def out_of_sight(outside: OutsideView, order_id: str) -> Iterator[None]:
    """The sweep sees what is written of the order within, all at once, when it is left."""
    with patch.object(OrderIndex, "open"), patch.object(OrderIndex, "follow"):
        yield
    index_of(outside).follow(orders_of(outside).read(order_id))


def note_healed(outside: OutsideView, order_id: str) -> OrderRecord:
    """Count a healing, as the sweep does."""
    orders = orders_of(outside)
    record = orders.read(order_id)
    return orders.change(record, order_record.note_healed, record.healed + 1)


def note_payment_intent(outside: OutsideView, order: OrderRecord, intent_id: str) -> OrderRecord:
    return orders_of(outside).change(order, order_record.note_payment_intent, intent_id)


def accept(outside: OutsideView, order_id: str, *, age_s: float = 0, **changes: Any) -> OrderRecord:
    """Accepted so many seconds ago, and no saga was started."""
    request = OrderRequest.model_validate_json(json.dumps(example_order(**changes)))
    accepted_at = datetime.now(UTC) - timedelta(seconds=age_s)
    with patch.object(table_orders, "_now", lambda: accepted_at):
        return orders_of(outside).accept(order_id, request).record


def stock_of(outside: OutsideView) -> TableStock:
    account = storage.connect({storage.SETTING: outside.urls["storage_connection_string"]})
    return TableStock(storage.open_table(account, "stock"))


def payments_of(outside: OutsideView) -> StripePayments:
    return StripePayments("sk_test_sandbox", outside.urls["payments"])


def start(outside: OutsideView, order: OrderRecord, price_minor: int = 1000) -> OrderRecord:
    """As validation leaves it."""
    lines = tuple(Line(sku=item.sku, quantity=item.quantity, price_minor=price_minor) for item in order.contents.items)
    total = Total(amount_minor=sum(line.quantity * line.price_minor for line in lines), currency="gbp")
    return orders_of(outside).change(order, order_record.start, lines, total, None)


def order_of_older_code(outside: OutsideView, order_id: str | None = None, **changes: Any) -> str:
    """An order that older code has validated, although today's would refuse it; its saga starts now. Returns its id."""
    order_id = order_id or new_id()
    with out_of_sight(outside, order_id):
        start(outside, accept(outside, order_id, **changes))
    return outside.order(order_id, **changes)


def close(outside: OutsideView, order_id: str, status: OrderStatus) -> OrderRecord:
    return orders_of(outside).change(order_id, order_record.close, fresh_view(order_id, status).as_json(), 0)
