"""The response bodies of the API as models. The API document is made from them, and a test checks every response.

Fields may be added: a client must ignore a field that it does not know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.money import Total
from models.order_request import OrderId, Sku
from models.states import OrderStatus
from models.view import Moment, OrderDetail

Instant = Annotated[
    str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$", description="ISO 8601, UTC, milliseconds.")
]
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
    trackingUrl: Url | None = Field(default=None, description="The customer's page, if tracking links are on.")


class ListedOrder(Answer):
    order_id: OrderId
    status: OrderStatus
    accepted_at: Moment
    skus: list[str]
    total: Total | None = Field(description="Null until validation has fixed it.")
    since: Moment | None = Field(description="When the order entered its state.")
    waits_for: str | None = Field(description="An approval and its deadline, or the undos that wait for an operator.")
    failure: str | None = Field(description="Why it is or was undone.")
    held_minor: int = Field(
        description="Charged and not given back, in minor units of the total's currency; of a completed order 0."
    )


class OrderPage(Answer):
    orders: list[ListedOrder] = Field(
        description="At most `top`. A page of one final state may have fewer although more follow: see `continuation`."
    )
    continuation: str | None = Field(description="Send it as `continuation` to get the next page; null at the end.")


class Unfinished(Answer):
    count: int = Field(description="At most 1,000.")
    more: bool = Field(description="There are more than `count`.")
    by_status: dict[str, int]


class Overview(Answer):
    needs_you: list[ListedOrder]
    unfinished: Unfinished
    orders: list[ListedOrder]
    continuation: str | None = Field(
        description="Send it to `GET /api/orders` for older orders; null when these are all of today."
    )
    actor: str | None = Field(description="The name that App Service authentication vouches for.")


class EndedCounts(Answer):
    day: str = Field(description="The UTC day on which the orders were accepted.")
    states: dict[str, int]
    more: bool = Field(description="There are more than were counted.")
    at: Moment


class Counts(Answer):
    ended: EndedCounts | None


class Attempt(Answer):
    """One call of an activity. `result` is null while it runs."""

    activity: str
    path: Literal["step", "undo", "close"]
    number: int
    started_at: Instant
    ended_at: Instant | None
    result: str | None
    reason: str | None


class Wait(Answer):
    reason: Literal["retry", "approval", "operator"]
    activity: str
    since: Instant
    until: Instant | None


class Due(Answer):
    what: Literal["retry", "deadline", "approval"]
    at: Instant


class Reference(Answer):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=False)

    key: str = Field(description="The idempotency key: the effect is done once under it.")
    reference: str | None = Field(default=None, description="The provider's.")


class Can(Answer):
    """The actions that are allowed now."""

    cancel: bool
    decide: bool
    retry: list[str]
    resolve: list[str]
    erase: bool
    stopped: bool = Field(description="The orchestration was stopped. The sweep starts it again.")


class TimelineEvent(Answer):
    """A change of the order's record: who requested it and why, and the ids. `…/events` has all of its facts."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=False)

    at: Instant
    event: str
    by: str | None = None
    reason: str | None = None
    compensation: str | None = None
    reference: str | None = None
    payment_intent_id: str | None = None
    refund_id: str | None = None
    tracking_number: str | None = None


class Approval(Answer):
    model_config = ConfigDict(frozen=True, extra="allow")

    deadline: str
    total: Total
    verdict: str | None


class Timeline(OrderDetail):
    goods: str | None = Field(description="reserved, sold or released; null before that.")
    approval: Approval | None
    history: Literal["live", "gone"]
    attempts: list[Attempt]
    waits: list[Wait]
    due: Due | None = Field(description="The next retry or deadline.")
    references: dict[str, Reference] = Field(description="By step and undo.")
    events: list[TimelineEvent]
    can: Can
    actor: str | None = Field(description="The name that App Service authentication vouches for.")


class Holder(Answer):
    order_id: str
    status: str
    quantity: int


class Holders(Answer):
    sku: str
    holders: list[Holder]
    more: bool


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

    warnings: list[str] = Field(default=[], description="Probable mistakes, such as a price that sells nothing.")


class ListedStock(StockAnswer):
    etag: str = Field(description="Identifies this state, for the `If-Match` of a `PUT`.")


class StockList(Answer):
    items: list[ListedStock]
    continuation: str | None = Field(description="Send it as `continuation` to get the next page; null at the end.")


class Event(Answer):
    """One change of the order's record. `facts`: what it wrote, and an operator's own words (`by`, `reason`)."""

    number: int
    at: Moment
    event: str
    facts: dict[str, Any]


class EventPage(Answer):
    order_id: str
    events: list[Event]
    continuation: str | None = Field(description="Send it as `continuation` to get the next page; null at the end.")


class Received(Answer):
    received: Literal[True]


class Health(Answer):
    status: Literal["ok"]
    providers: dict[str, str]
    stripe_key: Literal["live", "test", "none"] = Field(description="With a live one, real cards are charged.")
    faults: list[str]
    sweep: dict[str, Any] | None = Field(description="When the sweep last ran, and what it found.")


class Front(Answer):
    name: str
    links: dict[str, str] = Field(description="The path of each page, by its name.")


class WrongField(Answer):
    pointer: str = Field(
        description="A JSON pointer, to a field of the body or a parameter of the query; or a header's name."
    )
    detail: str


class ProblemAnswer(Answer):
    """RFC 9457. `detail` is one sentence for the caller."""

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_serialization_defaults_required=False)

    type: str
    title: str
    status: int
    detail: str
    errors: list[WrongField] = Field(default=[], description="Each wrong field, if a field is wrong.")
