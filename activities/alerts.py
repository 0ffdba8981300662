"""Alert the shop that an order waits for a person. An alert decides nothing: the order waits without it too."""

from __future__ import annotations

import logging
from typing import Protocol

from activities.guards import Orders
from models.errors import OrderSagaError
from models.operations.alerts import alert_key, claim, is_due, note_sent
from models.order_record import OrderRecord

log = logging.getLogger(__name__)


class Alerts(Protocol):
    def send(self, order: OrderRecord) -> None:
        """Send one POST. Raises Unavailable unless the receiver accepted it."""


def send_if_due(order: OrderRecord, orders: Orders, alerts: Alerts | None) -> None:
    """Send the alert that is due, if this caller is the first to claim it. If sending fails, the sweep sends it."""
    key = alert_key(order)
    if alerts is None or key is None or not is_due(order):
        return
    try:
        if "alert_claimed" in orders.apply(order, claim, key).events:
            alerts.send(order)
            orders.change(order.order_id, note_sent, key)
    except OrderSagaError as fault:
        log.warning("order %s: the alert was not sent, and the sweep will send it: %s", order.order_id, fault)
