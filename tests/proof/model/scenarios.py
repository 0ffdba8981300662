"""The orders that the model plays: what each is, what the world is like for it, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ORDER, SKU, OTHER = "order-1", "CRUNCHY-ARMCHAIR", "SMALL-TABLE"
PRICE = 12900
TOTAL = 2 * PRICE + PRICE
LIMITS = {"step_retry_s": 3, "undo_retry_s": 3}


@dataclass(frozen=True)
class Scenario:
    """An order, what the world is like for it, and how it ends when nothing goes wrong.

    `outage`: calls that fail until the operator has acted so many times. `decisions`: what approvers do each time that
    the order waits. `operator`: what is done about each undo that was parked. `validated_before`: by older code, which
    took what today's validation refuses. `beside`: what a second operator asks for at the same moment, and
    `held_up_at`: the request ("read" or "write" of the record) before which that one is held up. `on_hand`: units of
    each SKU.
    """

    ends: str = "completed"
    body: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    outage: Mapping[str, int] = field(default_factory=dict)
    decisions: tuple[str, ...] = ()
    operator: str = "retry"
    webhooks: bool = False
    validated_before: bool = False
    beside: str = ""
    held_up_at: str = ""
    on_hand: int = 5

    @property
    def needs_approval(self) -> bool:
        return bool(self.decisions)


ADDRESS = {"name": "Ada Lovelace", "line1": "12 St James Sq", "city": "London", "postal_code": "SW1Y 4LB"}
BODY: dict[str, Any] = {
    "customer": {"id": "cust-42", "name": "Ada", "email": "ada@example.com"},
    "items": [{"sku": SKU, "quantity": 2}, {"sku": OTHER, "quantity": 1}],
    "payment_method": "pm_card_visa",
    "shipping_address": {**ADDRESS, "country": "GB"},
}
BOUNCING = {"customer": {**BODY["customer"], "email": "ada@bounce.invalid"}}
PO_BOX = {"shipping_address": {**BODY["shipping_address"], "line1": "PO Box 7"}}

SCENARIOS: dict[str, Scenario] = {
    "completed": Scenario(),
    "completed with webhooks": Scenario(webhooks=True),
    "the last ones": Scenario(on_hand=2),
    "unknown sku": Scenario("rejected", {"items": [{"sku": "NOBODY-SELLS-THIS", "quantity": 1}]}),
    "card declined": Scenario("compensated", {"payment_method": "pm_card_visa_chargeDeclined"}),
    "3-D Secure": Scenario("compensated", {"payment_method": "pm_card_authenticationRequired"}),
    "po box": Scenario("rejected", PO_BOX),
    "po box, validated by older code": Scenario("compensated", PO_BOX, validated_before=True),
    "mailbox refused": Scenario("compensated", BOUNCING),
    "mailbox refused and ignored": Scenario("completed", BOUNCING, {"confirmation_failure": "ignore"}),
    "refunds down": Scenario("compensated", BOUNCING, outage={"refunds.create": 2}),
    "refunds down, resolved": Scenario("compensated", BOUNCING, outage={"refunds.create": 2}, operator="resolve"),
    "labels down": Scenario("compensated", outage={"labels.write": 1}),
    "stock down": Scenario("compensated", BOUNCING, outage={"stock.write": 1}),
    "approved": Scenario(decisions=("nothing", "approve")),
    "not approved": Scenario("rejected", decisions=("reject",)),
}


# Two operators who look at one parked order at the same moment, and the second is held up.
TWO_OPERATORS: dict[str, Scenario] = {
    f"a {second} beside a {first}, held up at its {request}": Scenario(
        "compensated", BOUNCING, outage={"refunds.create": 1}, operator=first, beside=second, held_up_at=request
    )
    for first, second in (("retry", "resolve"), ("resolve", "retry"), ("resolve", "resolve"))
    for request in ("read", "write")
}
