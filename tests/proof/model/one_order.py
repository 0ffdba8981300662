"""One order in the app's own adapters, over a world in memory; and the two processes that run its activities.

Each process remembers what it has lately read or written. So an activity that runs in the other one finds a memory that
is older than the tables.
"""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any

import function_app
from activities.validation import Policy
from bootstrap import Services
from models.money import Total
from models.order_parts import Line
from models.order_record import start
from models.order_request import OrderRequest
from models.stock import InventoryUpdate
from services.tables.recent_orders import RecentOrders
from services.tables.recent_rows import RecentRows
from tests.proof.model.scenarios import BODY, ORDER, OTHER, PRICE, SKU, TOTAL, Scenario
from tests.support.pure_world import Wire
from tests.support.shop_in_memory import TRACKING, ShopInMemory

logging.getLogger("activities").setLevel(logging.CRITICAL)


class OneOrder:
    """`orders`, `stock` and `labels` are the app's adapters; the rest is what an outsider would look at."""

    def __init__(self, wire: Wire, scenario: Scenario) -> None:
        """The activities of function_app work on this order from now on. It is not accepted yet."""
        self._scenario = scenario
        shop = ShopInMemory(wire)
        self.orders_table, self.stock_table = shop.tables["orders"], shop.tables["stock"]
        self.blobs, self.mail, self.push, self.stripe = shop.blobs, shop.mail, shop.push, shop.stripe
        self.orders, self.stock, self.labels = shop.orders, shop.stock, shop.labels
        # An activity that is held up may be so in another process, where this one's lock keeps nobody waiting.
        vars(self.stock)["_one_writer"] = contextlib.nullcontext()
        self._other_memory: tuple[Any, Any] = (RecentOrders(), RecentRows())
        self.away = False
        function_app._built = self._services(shop)

    def _services(self, shop: ShopInMemory) -> Services:
        threshold = 0 if self._scenario.needs_approval else None
        services: Any = {
            "orders": self.orders,
            "stock": self.stock,
            "payments": shop.payments,
            "labels": self.labels,
            "mailer": self.mail,
            "push": self.push,
            "policy": Policy(frozenset({"GB"}), threshold, 3600),
            "tracking": TRACKING,
            **dict.fromkeys(("order_index", "events", "signatures", "reconciler", "sweeps", "limits", "alerts")),
        }
        return Services(**services)

    def accept(self) -> None:
        """As the POST does it, by a process that remembers empty shelves."""
        self._put_stock(0)
        self.move()
        self._put_stock(self._scenario.on_hand)
        self.move()
        body = {**BODY, **self._scenario.body}
        self._inserted = order = self.orders.accept(ORDER, OrderRequest.model_validate_json(json.dumps(body))).record
        self._etag: str | None = order.etag
        if self._scenario.validated_before:
            lines = tuple(Line(**item, price_minor=PRICE) for item in body["items"])
            self.orders.change(order, start, lines, Total(amount_minor=TOTAL, currency="gbp"), None)

    def _put_stock(self, on_hand: int) -> None:
        for sku in (SKU, OTHER):
            self.stock.put(sku, InventoryUpdate(on_hand=on_hand, price_minor=PRICE, currency="gbp"))

    # The processes.

    def take_etag(self) -> str | None:
        """The state that was inserted: for the saga that the order's own POST starts, and for no other."""
        etag, self._etag = self._etag, None
        return etag

    def move(self) -> None:
        """The next activity runs in the other process, and the one after it in this one again."""
        self.away = not self.away
        orders, stock = vars(self.orders), vars(self.stock)
        here = orders["_recent"], stock["_memory"]
        orders["_recent"], stock["_memory"] = self._other_memory
        self._other_memory = here

    def start_late(self) -> None:
        """The start that the order's own POST asked for comes only now, in the process that accepted the order."""
        vars(self.orders)["_recent"] = RecentOrders()
        vars(self.orders)["_recent"].remember(self._inserted)
        self._etag = self._inserted.etag

    def forget(self) -> None:
        """The process is dead, and with it what it remembers."""
        vars(self.orders)["_recent"], vars(self.stock)["_memory"] = RecentOrders(), RecentRows()

    # What is stored and what the providers know.

    def record(self) -> dict[str, Any]:
        return self.orders_table.rows[ORDER, "order"]

    @property
    def is_being_undone(self) -> bool:
        return "Undoing" in self.orders_table.rows.get((ORDER, "order"), {})

    @property
    def is_completed(self) -> bool:
        return bool(self.record()["State"] == "completed")

    def label(self) -> str | None:
        return self.blobs.status(ORDER)

    def confirmations(self) -> set[str]:
        """The Message-IDs of the confirmations that were accepted."""
        return {mail.key for mail in self.mail.accepted if ".confirmation" in mail.key}

    def money(self) -> int:
        """Charged less refunded."""
        return self.stripe.amount("payment_intent.succeeded") - self.stripe.amount("refund.succeeded")

    def is_chargeable(self) -> bool:
        """Whether a late confirmation could charge. An intent whose id nobody ever learnt holds no money."""
        return self.record().get("PaymentIntentId") in self.stripe.chargeable()

    def snapshot(self) -> Any:
        stock = {key: {**row, "etag": None} for key, row in self.stock_table.rows.items()}
        return stock, [*self.stripe.ledger.rows], self.label(), [*self.mail.accepted], self.record()["etag"]
