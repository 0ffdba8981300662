"""The adapter on tables of its own, and the id of a new order."""

from __future__ import annotations

import uuid

import pytest

from services import storage
from services.tables.order_index import OrderIndex
from services.tables.table_orders import TableOrders
from tests.support.servers import Azurite


@pytest.fixture(scope="module")
def orders(azurite: Azurite) -> TableOrders:
    account = storage.connect({storage.SETTING: azurite.connection_string})
    index = OrderIndex(storage.open_table(account, "orderindexcontract"))
    return TableOrders(storage.open_table(account, "orderscontract"), index)


@pytest.fixture
def order_id() -> str:
    return str(uuid.uuid4())
