"""The order that tools place when they need any valid one."""

from __future__ import annotations

from typing import Any


def example_order(**changes: object) -> dict[str, Any]:
    return {
        "customer": {"id": "cust-42", "name": "Ada", "email": "ada@example.com"},
        "items": [{"sku": SKU, "quantity": 1}],
        "payment_method": "pm_card_visa",
        "shipping_address": {
            "name": "Ada Lovelace",
            "line1": "12 St James Sq",
            "city": "London",
            "postal_code": "SW1Y 4LB",
            "country": "GB",
        },
        **changes,
    }


SKU = "CRUNCHY-ARMCHAIR"
