"""`TableOrders`: the order's own record, in table `orders`.

One partition an order (its id): row `order` is the state, rows `audit:<n>` say how it came to be. A change of state and
its audit row are one transaction, guarded by the row's ETag. The record is written before the saga starts; it decides
duplicates, holds what the steps need (so that the history need not), and answers for the order when the history is
gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient, TableTransactionError, UpdateMode

from models.errors import Unavailable
from models.order import Acceptance, Line, OrderRecord, OrderRequest, Total
from models.status import OrderView
from services.storage import storage_faults, turns

Columns = dict[str, Any]
LOST_THE_RACE = frozenset({409, 412})
# Columns that a step adds to a running order, and what the record calls them.
NOTED = {
    "PaymentIntentId": "payment_intent_id",
    "RefundId": "refund_id",
    "TrackingNumber": "tracking_number",
    "Confirmation": "confirmation",
}


class TableOrders:
    """The orders, for the edge and for every activity. Safe to share between threads."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    def ping(self) -> None:
        """Ask storage for a row that need not exist. Raises Unavailable when it does not answer."""
        self.find("-")

    def accept(self, order_id: str, request: OrderRequest) -> Acceptance:
        """Insert the order, or find it. Exactly one caller of an id ever gets `inserted`."""
        columns = {
            "State": "accepted",
            "BodyHash": request.body_hash(),
            "Request": request.model_dump_json(exclude={"order_id"}, exclude_none=True),
            "AcceptedAt": _now(),
        }
        with storage_faults(f"order {order_id}"):
            try:
                self._table.submit_transaction(
                    [
                        ("create", _row(order_id, columns, 1)),
                        ("create", _audit(order_id, 1, "accepted", {})),
                    ]
                )
                inserted = True
            except TableTransactionError as error:
                if error.status_code != 409:
                    raise
                inserted = False
        return Acceptance(inserted, self.read(order_id))

    def find(self, order_id: str) -> OrderRecord | None:
        with storage_faults(f"order {order_id}"):
            try:
                return _record(self._table.get_entity(order_id, "order"))
            except ResourceNotFoundError:
                return None

    def read(self, order_id: str) -> OrderRecord:
        """The record of an order that must exist. Raises Unavailable when it does not."""
        record = self.find(order_id)
        if record is None:
            raise Unavailable(f"Order {order_id} has no record.")
        return record

    def start(self, order_id: str, lines: tuple[Line, ...], total: Total) -> OrderRecord:
        """accepted -> running, with the prices that hold from now on. Any other state is left and returned."""
        columns = {
            "State": "running",
            "Lines": json.dumps([line.model_dump() for line in lines]),
            "AmountMinor": total.amount_minor,
            "Currency": total.currency,
        }
        return self._change(order_id, "running", lambda record: columns if record.state == "accepted" else None)

    def note_payment_intent(self, order_id: str, intent_id: str) -> None:
        self._note(order_id, "payment_intent_opened", "PaymentIntentId", intent_id)

    def note_refund(self, order_id: str, refund_id: str | None) -> None:
        """None: no money had moved, so there is nothing to note."""
        if refund_id is not None:
            self._note(order_id, "payment_refunded", "RefundId", refund_id)

    def note_shipment(self, order_id: str, tracking_number: str) -> None:
        self._note(order_id, "label_issued", "TrackingNumber", tracking_number)

    def claim_confirmation(self, order_id: str) -> None:
        """Write `sending`: from here on the order can no longer be stopped."""
        self._note(order_id, "confirmation_claimed", "Confirmation", "sending")

    def note_confirmation_sent(self, order_id: str) -> None:
        self._note(order_id, "confirmation_sent", "Confirmation", "sent")

    def close(self, order_id: str, outcome: OrderView) -> None:
        """Write the outcome, once: a final order stays as it is."""
        columns = {"State": outcome.final_status(), "Outcome": json.dumps(outcome.as_json())}
        self._change(order_id, outcome.status, lambda record: None if record.is_final else columns)

    def _note(self, order_id: str, event: str, column: str, value: str) -> None:
        known = attrgetter(NOTED[column])
        self._change(order_id, event, lambda record: None if known(record) == value else {column: value})

    def _change(self, order_id: str, event: str, decide: Callable[[OrderRecord], Columns | None]) -> OrderRecord:
        """Read, decide, write under the ETag; again when another writer was first. None from `decide`: leave it."""
        with storage_faults(f"order {order_id}"):
            for _ in turns(f"order {order_id}"):
                try:
                    row = self._table.get_entity(order_id, "order")
                except ResourceNotFoundError:
                    raise Unavailable(f"Order {order_id} has no record.") from None
                record = _record(row)
                columns = decide(record)
                if columns is None:
                    return record
                if self._write(order_id, row, columns, event):
                    return _record({**row, **columns})
        raise AssertionError("turns() ends by raising")

    def _write(self, order_id: str, row: Any, columns: Columns, event: str) -> bool:
        """One transaction of the change and its audit row. False: another writer was first."""
        number = row["Audits"] + 1
        guard = {
            "mode": UpdateMode.MERGE,
            "etag": row.metadata["etag"],
            "match_condition": MatchConditions.IfNotModified,
        }
        try:
            self._table.submit_transaction(
                [
                    ("update", _row(order_id, columns, number), guard),
                    ("create", _audit(order_id, number, event, columns)),
                ]
            )
        except TableTransactionError as error:
            if error.status_code in LOST_THE_RACE:
                return False
            raise
        return True


def _row(order_id: str, columns: Columns, audits: int) -> Columns:
    return {"PartitionKey": order_id, "RowKey": "order", **columns, "Audits": audits, "ChangedAt": _now()}


# What an audit row may tell: ids and amounts, no personal data.
AUDITED = frozenset({"AmountMinor", "Currency", "PaymentIntentId", "RefundId", "TrackingNumber", "Outcome"})


def _audit(order_id: str, number: int, event: str, columns: Columns) -> Columns:
    told = {name: value for name, value in columns.items() if name in AUDITED}
    return {"PartitionKey": order_id, "RowKey": f"audit:{number:06d}", "At": _now(), "Event": event, **told}


def _record(row: Mapping[str, Any]) -> OrderRecord:
    amount = row.get("AmountMinor")
    return OrderRecord(
        order_id=row["PartitionKey"],
        state=row["State"],
        body_hash=row["BodyHash"],
        request=OrderRequest.model_validate_json(row["Request"]),
        lines=tuple(Line.model_validate(line) for line in json.loads(row.get("Lines", "[]"))),
        total=None if amount is None else Total(amount_minor=amount, currency=row["Currency"]),
        payment_intent_id=row.get("PaymentIntentId"),
        refund_id=row.get("RefundId"),
        tracking_number=row.get("TrackingNumber"),
        confirmation=row.get("Confirmation"),
        outcome=json.loads(row["Outcome"]) if "Outcome" in row else None,
    )


def _now() -> datetime:
    return datetime.now(UTC)
