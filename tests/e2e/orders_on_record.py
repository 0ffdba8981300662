"""Orders written to their record behind the app's back, as a death between record and saga leaves them.

Written by the app's own `TableOrders`, so that a record here is what the app would have written; only the clock is the
test's.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import dev
from models.order import OrderRecord, OrderRequest
from services import storage, table_orders
from services.table_orders import TableOrders
from tests.e2e.world import World


def orders_of(world: World) -> TableOrders:
    account = storage.connect({storage.SETTING: world.urls["storage_connection_string"]})
    return TableOrders(storage.open_table(account, "orders"), storage.open_table(account, "orderindex"))


def accept(world: World, order_id: str, *, age_s: float = 0, **changes: Any) -> OrderRecord:
    """Accepted so many seconds ago, and no saga was started."""
    request = OrderRequest.model_validate_json(json.dumps(dev.example_order(**changes)))
    accepted_at = datetime.now(UTC) - timedelta(seconds=age_s)
    with patch.object(table_orders, "_now", lambda: accepted_at):
        return orders_of(world).accept(order_id, request).record
