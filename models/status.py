"""An order as its customer sees it: the answer of `GET /api/orders/{id}`, the custom status, the saga's output."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_serializer

from models.order import OrderRecord, Total

OrderStatus = Literal[
    "accepted",
    "running",
    "awaiting_approval",
    "completed",
    "rejected",
    "compensating",
    "compensated",
    "cancelled",
    "needs_attention",
]
StepStatus = Literal["pending", "running", "done", "refused", "failed", "unknown", "undone"]
# `resolved`: taken as done on an operator's evidence.
CompensationStatus = Literal["running", "done", "failed", "resolved"]

STEP_NAMES = ("validate_order", "reserve_inventory", "process_payment", "create_shipment", "send_confirmation")


class View(BaseModel):
    model_config = ConfigDict(
        extra="ignore", hide_input_in_errors=True, json_schema_serialization_defaults_required=True
    )


class StepView(View):
    name: str
    status: StepStatus = "pending"


class CompensationView(View):
    name: str
    status: CompensationStatus


class Failure(View):
    """Which step ended the order, and why.

    `decline_code` is there only when a card network gave one, `skus` only when the reason is about some of the lines.
    """

    step: str
    reason: str
    decline_code: str | None = None
    skus: tuple[str, ...] = ()

    @model_serializer
    def _without_what_is_absent(self) -> dict[str, str | list[str]]:
        answer: dict[str, str | list[str]] = {"step": self.step, "reason": self.reason}
        if self.decline_code is not None:
            answer["decline_code"] = self.decline_code
        if self.skus:
            answer["skus"] = list(self.skus)
        return answer


class OrderView(View):
    """`steps` lists all five always; `compensations` are in the order in which they ran."""

    order_id: str
    status: OrderStatus
    total: Total | None = None
    steps: list[StepView]
    failure: Failure | None = None
    compensations: list[CompensationView]

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def fresh_view(order_id: str, status: OrderStatus = "accepted") -> OrderView:
    """The view of an order of which nothing has happened yet."""
    steps = [StepView(name=name) for name in STEP_NAMES]
    return OrderView(order_id=order_id, status=status, steps=steps, compensations=[])


def view_of(record: OrderRecord, custom_status: object) -> OrderView:
    """The truest view: a final outcome, else what the saga says, else how it was parked, else that it was accepted."""
    if record.outcome is not None and (record.is_final or not isinstance(custom_status, dict)):
        return OrderView.model_validate(record.outcome)
    if isinstance(custom_status, dict):
        return OrderView.model_validate(custom_status)
    return fresh_view(record.order_id)
