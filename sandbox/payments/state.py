"""The provider's state: its objects, its answers under idempotency keys, and the ledger of its effects.

All of it is rebuilt from the ledger's file at the start. A `Draft` gathers the changes of one call, and is written as
one commit or dropped. So an error half-way leaves no trace, and a kill leaves all of a call or nothing.
"""

import copy
import secrets
import time
from collections.abc import Callable

from sandbox.ledger import JsonObject, Ledger


class Books:
    """Objects by id (newest last), answers by idempotency key, and all versions of each intent for the search."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._objects: dict[str, JsonObject] = {}
        self._versions: dict[str, list[tuple[float, JsonObject]]] = {}
        self.answers: dict[str, JsonObject] = {}
        ledger.recall(self._take)

    def get(self, kind: str, id_: str | None) -> JsonObject | None:
        item = self._objects.get(id_ or "")
        return item if item and item["object"] == kind else None

    def newest_first(self, kind: str) -> list[JsonObject]:
        return [item for item in reversed(self._objects.values()) if item["object"] == kind]

    def intents_as_of(self, moment: float) -> list[JsonObject]:
        """Newest first, each as it was at that moment (seconds since 1970), without those that are newer."""
        histories = ([item for at, item in versions if at <= moment] for versions in reversed(self._versions.values()))
        return [versions[-1] for versions in histories if versions]

    def commit(self, draft: "Draft", answer: JsonObject | None) -> list[JsonObject]:
        """Write the changes of a call and the answer under its key; returns the new rows of the ledger."""
        state = {"time": time.time(), "objects": list(draft.changed.values()), "answer": answer}
        rows = self._ledger.commit(draft.rows, **state)
        self._take(state)
        return rows

    def _take(self, commit: JsonObject) -> None:
        for item in commit["objects"]:
            self._objects[item["id"]] = item
            if item["object"] == "payment_intent":
                self._versions.setdefault(item["id"], []).append((commit["time"], item))
        if answer := commit["answer"]:
            self.answers[answer["key"]] = answer


class Draft:
    """The objects that one call reads and changes. They are copies, so that a failing call changes nothing."""

    def __init__(self, books: Books, key: str | None) -> None:
        self.books = books
        self.key = key
        self.changed: dict[str, JsonObject] = {}
        self.rows: list[JsonObject] = []

    def get(self, kind: str, id_: str | None) -> JsonObject | None:
        if id_ in self.changed:
            return self.changed[id_]
        return copy.deepcopy(self.books.get(kind, id_))

    def put(self, item: JsonObject) -> None:
        self.changed[item["id"]] = item

    def note(self, event: str, intent: JsonObject, amount_minor: int | None = None) -> None:
        """Add a row to the ledger; the amount is the intent's by default."""
        self.rows.append(
            {
                "event": event,
                "payment_intent": intent["id"],
                "amount_minor": intent["amount"] if amount_minor is None else amount_minor,
                "currency": intent["currency"],
                "order_id": intent["metadata"].get("order_id"),
                "idempotency_key": self.key,
            }
        )


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def now() -> int:
    """The present second, in which Stripe dates its objects."""
    return int(time.time())


Announce = Callable[[list[JsonObject]], None]
"""It is called with the new rows after each commit."""
