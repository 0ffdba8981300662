"""An order as its customer sees it: the answer of `GET /api/orders/{id}`, the custom status, the saga's output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, ValidationError, model_serializer

from models.errors import OrderSagaError
from models.money import Total, formatted
from models.order_record import OrderRecord
from models.states import REFUND_PAYMENT, STEP_NAMES, VALIDATE_ORDER, CompensationStatus, OrderStatus, StepStatus

Moment = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$", description="ISO 8601, UTC.")]


# What the tracking page and the cancellation mail say of `Failure.reason`. Of any other reason, which is the shop's own
# affair, they say nothing.
REASONS_FOR_CUSTOMERS: Mapping[str, str] = {
    "unknown_sku": "An article is no longer sold.",
    "out_of_stock": "An article is sold out.",
    "country_not_served": "We do not ship to this country.",
    "undeliverable_address": "No parcel can be delivered to this address.",
    "card_declined": "Your card was declined.",
    "authentication_required": "Your bank wanted you to confirm the payment.",
    "recipient_rejected": "Our e-mail to you was refused.",
}


class View(BaseModel):
    """Read tolerantly: a state that a later version wrote is shown as it is."""

    model_config = ConfigDict(
        extra="ignore", hide_input_in_errors=True, json_schema_serialization_defaults_required=True
    )


class StepView(View):
    name: str
    status: SkipValidation[StepStatus] = "pending"


class CompensationView(View):
    name: str
    status: SkipValidation[CompensationStatus]


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
    """`steps` lists every step of the order's version of the saga, `compensations` those that ran, in that order."""

    order_id: str
    status: SkipValidation[OrderStatus]
    total: Total | None = None
    steps: list[StepView] = []
    failure: Failure | None = None
    compensations: list[CompensationView] = []

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class LineView(View):
    """`price_minor`: for one unit; None until validation has fixed it."""

    sku: str
    quantity: int
    price_minor: int | None = None


class PaymentView(View):
    """In minor units of the total's currency."""

    charged_minor: int = 0
    refunded_minor: int = 0


class OrderDetail(OrderView):
    """The API's view of an order: the saga's view, and further facts of the order's record.

    The saga's output and custom status are an OrderView alone, because the history keeps them unchanged.
    """

    accepted_at: Moment
    ended_at: Moment | None = None
    lines: list[LineView] = []
    payment: PaymentView = PaymentView()
    tracking_number: str | None = None


def moment(at: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def detailed(view: OrderView, record: OrderRecord) -> OrderDetail:
    """The view with the record's facts. It holds no personal data."""
    return OrderDetail(
        **view.model_dump(),
        accepted_at=moment(record.accepted_at),
        ended_at=None if record.ended_at is None else moment(record.ended_at),
        lines=_lines(record),
        payment=PaymentView(charged_minor=record.charged_minor, refunded_minor=record.refunded_minor),
        tracking_number=record.tracking_number,
    )


def money_back(record: OrderRecord) -> str | None:
    """The sentence about the money for the customer of an undone order.

    None if an operator has resolved the refund: the money may have been charged, and did not go back to the card by us.
    """
    if record.refunded_minor and record.total is not None:
        return f"We have refunded {formatted(record.refunded_minor, record.total.currency)} to your card."
    if record.charged_minor or REFUND_PAYMENT in record.resolved:
        return None
    return "Your card was not charged."


def _lines(record: OrderRecord) -> list[LineView]:
    """The lines as validation priced them; before that, as the client sent them.

    An order that ended without prices shows no lines: they would vanish when the personal data is erased.
    """
    if record.lines or record.is_final:
        return [LineView(**line.model_dump()) for line in record.lines]
    try:
        return [LineView(sku=item.sku, quantity=item.quantity) for item in record.contents.items]
    except OrderSagaError:  # a view can do without what cannot be read
        return []


def fresh_view(order_id: str, status: OrderStatus = "accepted", step_names: Iterable[str] = STEP_NAMES) -> OrderView:
    """The view of an order for which no step has run yet. `step_names`: those of its version of the saga."""
    steps = [StepView(name=name) for name in step_names]
    return OrderView(order_id=order_id, status=status, steps=steps, compensations=[])


def view_of(record: OrderRecord, custom_status: object) -> OrderView:
    """The most current view: the outcome of an order that is final or parked, else the saga's, else the record's."""
    if record.outcome is not None and not (record.needs_saga and isinstance(custom_status, dict)):
        view = _read(record, record.outcome)
    elif isinstance(custom_status, dict):
        view = _read(record, custom_status)
    else:
        view = fresh_view(record.order_id, record.state)
        view.total = record.total
    for step in view.steps:  # a saga shows a validation as pending that it cancelled at the approval, or did not run
        if step.name == VALIDATE_ORDER and step.status == "pending" and record.lines:
            step.status = "done"
    for shown in view.compensations:  # resolved, but the saga has not read that yet
        if shown.status == "failed" and shown.name in record.resolved:
            shown.status = "resolved"
    return view


def _read(record: OrderRecord, view: dict[str, Any]) -> OrderView:
    """Parse a stored view. If another version wrote one that cannot be read, the order is shown without its details."""
    try:
        return OrderView.model_validate(view)
    except ValidationError:
        return fresh_view(record.order_id, record.state)
