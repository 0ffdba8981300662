"""One order, seen from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

QUANTITY = 2


@dataclass(frozen=True)
class Story:
    """One order from outside: the API's answers to the customer, and the providers' records."""

    answered: int
    runtime_status: str
    view: dict[str, Any]
    stock_before: dict[str, Any]
    stock_after: dict[str, Any]
    ledger: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    labels: list[str]
    history: list[dict[str, Any]]

    @property
    def price(self) -> int:
        return int(self.stock_before["price_minor"]) * QUANTITY

    def payments(self, event: str) -> list[int]:
        return [entry["amount_minor"] for entry in self.ledger if entry["event"] == event]

    def message_kinds(self) -> list[str]:
        return [message["kind"] for message in self.messages]

    def sent(self, kind: str) -> int:
        return sum(message["kind"] == kind for message in self.messages)

    def fell(self, count: str) -> int:
        return int(self.stock_before[count] - self.stock_after[count])

    def statuses(self) -> list[str]:
        return [step["status"] for step in self.view["steps"]]

    def undone(self) -> list[tuple[str, str]]:
        return [(undo["name"], undo["status"]) for undo in self.view["compensations"]]

    def scheduled(self) -> list[str]:
        return [row["Name"] for row in self.history if row["EventType"] == "TaskScheduled"]
