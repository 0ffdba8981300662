"""The adapter on the sandbox's Stripe, and an order that may pay there."""

from __future__ import annotations

import uuid

import pytest

from models.order_record import OrderRecord
from services.stripe_payments import StripePayments
from tests.contracts.providers.stripe_orders import KEY
from tests.support.servers import Sandbox
from tests.unit.orders import running_order


@pytest.fixture
def payments(sandbox: Sandbox) -> StripePayments:
    return StripePayments(KEY, sandbox.payments)


@pytest.fixture
def order() -> OrderRecord:
    return running_order(str(uuid.uuid4()))
