"""What the API answers, as models: the API document is made of them, and a test holds every answer to it.

Open for fields to come: a client has to leave alone what it does not know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.money import Total
from models.order_request import OrderId, Sku
from models.states import OrderStatus
from models.view import Moment

Url = Annotated[str, Field(min_length=1)]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Accepted(Answer):
    """The host's own check-status body, and where the order itself is. The Durable URLs carry a key: keep them."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: OrderId
    statusQueryGetUri: Url
    sendEventPostUri: Url
    terminatePostUri: Url
    purgeHistoryDeleteUri: Url
    orderUrl: Url


class ListedOrder(Answer):
    order_id: OrderId
    status: OrderStatus
    accepted_at: Moment
    skus: list[str]
    total: Total | None = Field(description="Null until validation has fixed it.")


class OrderPage(Answer):
    orders: list[ListedOrder]
    continuation: str | None = Field(description="Give it back as `continuation` for the next page; null at the end.")


class CancelAccepted(Answer):
    order_id: OrderId
    status: OrderStatus
    cancel_requested: Literal[True]


class DecisionRecorded(Answer):
    order_id: OrderId
    decision: Literal["approved", "rejected"]
    total: Total


class UndoResumed(Answer):
    order_id: OrderId
    compensation: str
    status: Literal["compensating"]


class StockAnswer(Answer):
    """`on_hand` is the physical count, reserved units included; `available` is what can be sold."""

    sku: Sku
    on_hand: int
    reserved: int
    available: int
    price_minor: int
    currency: str


class StockChanged(StockAnswer):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=False)

    warnings: list[str] = Field(default=[], description="What can hardly be meant, such as a price that sells nothing.")


class ListedStock(StockAnswer):
    etag: str = Field(description="Names this very state: for the `If-Match` of a `PUT`.")


class StockList(Answer):
    items: list[ListedStock]
    continuation: str | None = Field(description="Give it back as `continuation` for the next page; null at the end.")


class Event(Answer):
    """One change of the order's record. `facts`: what it wrote, and an operator's own words (`by`, `reason`)."""

    number: int
    at: Moment
    event: str
    facts: dict[str, Any]


class EventPage(Answer):
    order_id: str
    events: list[Event]
    continuation: str | None = Field(description="Give it back as `continuation` for the next page; null at the end.")


class Received(Answer):
    received: Literal[True]


class Health(Answer):
    status: Literal["ok"]
    providers: dict[str, str]
    stripe_key: Literal["live", "test", "none"] = Field(description="With a live one, real cards are charged.")
    faults: list[str]
    sweep: dict[str, Any] | None = Field(description="When the sweep last ran, and what it found.")


class WrongField(Answer):
    pointer: str = Field(description="A JSON pointer into the body, or the name of a header or parameter.")
    detail: str


class ProblemAnswer(Answer):
    """RFC 9457. `detail` is one sentence for the caller."""

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_serialization_defaults_required=False)

    type: str
    title: str
    status: int
    detail: str
    errors: list[WrongField] = Field(default=[], description="Each wrong field, where there are such.")
