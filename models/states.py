"""The names of an order's states, of its steps and of its compensations. Each name is defined here, once.

They are stored in records and histories and shown by the API, so a name never changes.
"""

from __future__ import annotations

from typing import Literal

OrderStatus = Literal[
    "accepted",
    "running",
    "awaiting_approval",
    "compensating",
    "needs_attention",
    "completed",
    "rejected",
    "compensated",
    "cancelled",
]
FINAL_STATES = frozenset({"completed", "rejected", "compensated", "cancelled"})
# The states in which an order waits for a person, or may soon. Lists show since when, for what, and what is held.
WAITING_STATES = frozenset({"awaiting_approval", "compensating", "needs_attention"})

StepStatus = Literal["pending", "running", "done", "refused", "failed", "unknown", "undone"]
# `resolved`: taken as done on an operator's evidence.
CompensationStatus = Literal["running", "done", "failed", "resolved"]

VALIDATE_ORDER = "validate_order"
RESERVE_INVENTORY = "reserve_inventory"
PROCESS_PAYMENT = "process_payment"
CREATE_SHIPMENT = "create_shipment"
SEND_CONFIRMATION = "send_confirmation"
CLOSE_ORDER = "close_order"
RELEASE_INVENTORY = "release_inventory"
REFUND_PAYMENT = "refund_payment"
CANCEL_SHIPMENT = "cancel_shipment"

STEP_NAMES = (VALIDATE_ORDER, RESERVE_INVENTORY, PROCESS_PAYMENT, CREATE_SHIPMENT, SEND_CONFIRMATION)
# In the order in which they run: the reverse of the steps that they undo.
COMPENSATION_NAMES = (CANCEL_SHIPMENT, REFUND_PAYMENT, RELEASE_INVENTORY)
# Which step each compensation undoes.
UNDOES = {CANCEL_SHIPMENT: CREATE_SHIPMENT, REFUND_PAYMENT: PROCESS_PAYMENT, RELEASE_INVENTORY: RESERVE_INVENTORY}
# What an order holds as long as its undo is open: a word for operators, which an alert has as a field of `held`.
MONEY = "money"
HELD = {CANCEL_SHIPMENT: "label", REFUND_PAYMENT: MONEY, RELEASE_INVENTORY: "goods"}
# The name of each step's effect in its operation id `<order id>:<operation>`.
OPERATIONS = {
    VALIDATE_ORDER: "validate",
    RESERVE_INVENTORY: "reserve",
    PROCESS_PAYMENT: "pay",
    CREATE_SHIPMENT: "ship",
    SEND_CONFIRMATION: "notify",
}
