"""The messages to an instance, and how each was settled."""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

from devhost.history.events import Event


class Delivery(Enum):
    """How an event that was raised for an instance was settled."""

    STORED = auto()
    """The event is durable."""
    TOO_LATE = auto()
    """The instance has ended."""
    NO_INSTANCE = auto()
    """There is no such instance."""


Receipt = asyncio.Future[Delivery]


@dataclass
class OutsideEvent:
    """A start, a raised event, a termination, a suspension, a resumption, or the reason of a rewind."""

    event: Event
    receipt: Receipt | None = None


@dataclass
class TaskEnd:
    """The end of a task, for the execution that scheduled it: a later execution has ids of its own.

    The end of an entity's operation is an EventRaised.
    """

    event: Event
    execution_id: str
    receipt: Receipt | None = None


@dataclass
class TurnDue:
    """A turn without an event: the orchestrator has yielded actions that are not stored yet."""


@dataclass
class RowDue:
    """The Instances row is due to be written."""

    receipt: Receipt | None = None


Message = OutsideEvent | TaskEnd | TurnDue | RowDue


def event_of(message: Message) -> Event | None:
    return message.event if isinstance(message, OutsideEvent | TaskEnd) else None


def settle(message: Message, delivery: Delivery) -> None:
    """Answer the sender of a message, if it waits for the delivery."""
    receipt = _receipt(message)
    if receipt and not receipt.done():
        receipt.set_result(delivery)


def fail(message: Message, fault: Exception) -> None:
    """Raise the fault in the sender of a message, if it waits."""
    receipt = _receipt(message)
    if receipt and not receipt.done():
        receipt.set_exception(fault)


def _receipt(message: Message) -> Receipt | None:
    return None if isinstance(message, TurnDue) else message.receipt
