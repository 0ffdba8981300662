"""The delivery of one message as an operation for faults: a mail and a push differ only in their answers."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

from sandbox.ledger import JsonObject, Ledger

AnswerT = TypeVar("AnswerT")

ORDER_HEADER = "X-Order-Id"
"""The header of a mail or a push that names its order: a fault rule's `order_id` is compared with it."""


@dataclass(frozen=True)
class Delivery(Generic[AnswerT]):
    """A message (the row without number and date) and the three answers of its protocol."""

    ledger: Ledger
    message: JsonObject
    accepted: AnswerT
    refused: AnswerT
    failed: AnswerT

    def perform(self) -> AnswerT:
        self.ledger.commit([self.message])
        return self.accepted

    def perform_then_fail(self) -> AnswerT:
        self.perform()
        return self.failed

    def refuse(self) -> AnswerT:
        return self.refused

    def fail(self) -> AnswerT:
        return self.failed

    def in_flight(self) -> AbstractContextManager[None]:
        """Occupies nothing: neither protocol has a key, so two copies are two messages."""
        return nullcontext()
