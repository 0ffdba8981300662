"""The app's own adapters on a world in memory (`tests.support.pure_world`): a test of a rule starts no process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import stripe

from models.stock import InventoryUpdate
from models.tracking import Tracking
from services.blob_labels import BlobLabels
from services.stripe_payments import API_VERSION, StripePayments
from services.tables.order_index import OrderIndex
from services.tables.table_orders import TableOrders
from services.tables.table_stock import TableStock
from tests.support.pure_world import PureLabels, PureMailServer, PurePush, PureStripe, PureTable, Wire

TRACKING = Tracking(("a secret of the test's own",), 30, "https://shop.example")


class Direct:
    """The wire of a world that nothing goes wrong with."""

    def call(self, name: str, perform: Callable[[], Any], lost: object, *, writes: bool, **_: object) -> Any:
        return perform()


class ShopInMemory:
    """`orders`, `stock`, `payments` and `labels` are the app's adapters; the rest is what an outsider would look at."""

    def __init__(self, wire: Wire | None = None) -> None:
        wire = wire or Direct()
        self.tables = {name: PureTable(name, wire) for name in ("orders", "orderindex", "stock")}
        self.blobs, self.mail, self.push = PureLabels(wire), PureMailServer(wire), PurePush(wire)
        self.stripe = PureStripe(wire)
        tables: Any = self.tables
        blobs: Any = self.blobs
        self.index = OrderIndex(tables["orderindex"])
        self.orders = TableOrders(tables["orders"], self.index)
        self.stock = TableStock(tables["stock"])
        self.payments = stripe_payments(self.stripe)
        self.labels = BlobLabels(blobs)

    def put(self, sku: str, on_hand: int, price_minor: int) -> None:
        self.stock.put(sku, InventoryUpdate(on_hand=on_hand, price_minor=price_minor, currency="gbp"))


def stripe_payments(transport: PureStripe) -> StripePayments:
    """The app's adapter, on this transport instead of the network's."""
    payments = StripePayments("sk_test_model", "http://stripe.invalid")
    client = stripe.StripeClient(
        "sk_test_model", stripe_version=API_VERSION, http_client=transport, max_network_retries=0
    )
    payments._intents, payments._refunds = client.v1.payment_intents, client.v1.refunds
    payments._methods = client.v1.payment_methods
    return payments
