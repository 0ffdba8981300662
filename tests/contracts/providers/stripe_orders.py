"""Orders that pay at the sandbox's Stripe, and what its ledger holds about them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from models.errors import OrderSagaError
from models.order_record import OrderRecord
from services.stripe_payments import StripePayments
from tests.support.servers import Sandbox
from tests.unit.orders import request

KEY = "sk_test_sandbox"
TOTAL = 25800


def paying_with(order: OrderRecord, payment_method: str) -> OrderRecord:
    return order.model_copy(update={"sent": request(payment_method=payment_method).model_dump_json()})


def opened(payments: StripePayments, order: OrderRecord) -> str:
    return payments.open_intent(order, f"{order.order_id}:pay")


def paid(payments: StripePayments, order: OrderRecord) -> str:
    intent_id = opened(payments, order)
    payments.confirm(order.order_id, intent_id)
    return intent_id


def events(sandbox: Sandbox, order: OrderRecord) -> list[str]:
    return [row["event"] for row in entries(sandbox, order)]


def entries(sandbox: Sandbox, order: OrderRecord) -> list[dict[str, Any]]:
    return [row for row in sandbox.ledger() if row["order_id"] == order.order_id]


def broken(sandbox: Sandbox, operation: str, fault: str, order: OrderRecord) -> None:
    """The operation fails once for this order."""
    sandbox.faults("payments", [{"operation": operation, "fault": fault, "order_id": order.order_id, "times": 1}])


UNANSWERED = ["error_before_commit", "drop_before_commit", "drop_after_commit", "error_after_commit"]


def refunded(sandbox: Sandbox, order: OrderRecord) -> list[int]:
    return [row["amount_minor"] for row in entries(sandbox, order) if row["event"] == "refund.succeeded"]


def failure(ask: Callable[[], object]) -> str:
    """All that a host would write down of it: message, traceback, causes."""
    with pytest.raises(OrderSagaError) as raised:
        ask()
    return "".join(traceback.format_exception(raised.value))
