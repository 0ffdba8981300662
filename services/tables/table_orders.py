"""`TableOrders`: the order's own record, in table `orders`.

One partition an order (its id): row `order` is the state, rows `audit:<n>` are its changes. The rules of a change
are the functions of `models.order_record`; here each is applied to the record as it was read, and what it returns is
written with its audit row in one transaction, guarded by the ETag of exactly that record. When another writer was
first, the rule decides again on what that writer left. So no decision is taken on a state that it does not change.

The record is written before the saga starts, and after the order's entry in the index (`services.tables.order_index`).
So the sweep sees every order that was accepted, at whatever moment the process dies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableClient, TableTransactionError, UpdateMode

from models.errors import Unavailable
from models.operations.audit import Trail, Webhook
from models.order_record import Acceptance, Applied, Change, OrderRecord
from models.order_request import LOOKUP_PATTERN, OrderRequest
from services.storage import storage_faults, write_attempts
from services.tables.order_index import OrderIndex, index_key
from services.tables.order_rows import audit_event, audit_key, audit_row, order_row, record_of, webhook_key, webhook_of
from services.tables.recent_orders import RecentOrders

Rule = ParamSpec("Rule")
LOST_THE_RACE = frozenset({409, 412})


class TableOrders:
    """The orders, for the edge, the sweep and every activity. Safe to share between threads.

    A caller that has read a record may pass it back to be changed. The change is then tried on that very state first,
    which saves a read, and on the current state if another writer was first.

    A record may also be remembered (`recall`), which saves the read before it. Such a guess counts only through a write
    that its ETag guards: if a rule would write nothing on it, the record is read and the rule decides again.
    """

    def __init__(self, table: TableClient, index: OrderIndex) -> None:
        self._table = table
        self._index = index
        self._recent = RecentOrders()

    def accept(self, order_id: str, request: OrderRequest) -> Acceptance:
        """Insert the order, or find it. Exactly one caller of an id ever gets `inserted`."""
        accepted_at = _now()
        key = self._index.open(order_id, accepted_at, (item.sku for item in request.items))
        inserted = self._insert(order_id, request, accepted_at)
        if inserted is not None:
            return Acceptance(True, inserted)
        record = self.read(order_id)
        if record.is_final or key != index_key(record.accepted_at, order_id):
            self._index.drop_open(key)
        if not record.is_final:
            self._index.follow(record)
        return Acceptance(False, record)

    def _insert(self, order_id: str, request: OrderRequest, accepted_at: datetime) -> OrderRecord | None:
        """None: there is a record with this id."""
        facts = {
            "state": "accepted",
            "body_hash": request.body_hash(),
            "sent": request.model_dump_json(exclude={"order_id"}, exclude_none=True),
            "accepted_at": accepted_at,
        }
        row = order_row(order_id, facts, audits=1)
        audit = audit_row(order_id, 1, Change("accepted", {}))
        with storage_faults(f"order {order_id}"):
            try:
                written, _ = self._table.submit_transaction([("create", row), ("create", audit)])
            except TableTransactionError as error:
                if error.status_code != 409:
                    raise
                return None
        return self._remembered(record_of({**row, "etag": written["etag"]}))

    def find(self, order_id: str) -> OrderRecord | None:
        """None also for an id that no key can be. Raises Unavailable also for a record that cannot be read."""
        if not re.fullmatch(LOOKUP_PATTERN, order_id):
            return None
        with storage_faults(f"order {order_id}"):
            try:
                row = self._table.get_entity(order_id, "order")
            except ResourceNotFoundError:
                return None
        return self._remembered(record_of({**row, "etag": row.metadata["etag"]}))

    def recall(self, order_id: str, etag: str) -> OrderRecord | None:
        """The record in memory, if it is in exactly the state of this ETag. It is a guess: it may be out of date."""
        return self._recent.recall(order_id, etag)

    def read(self, order_id: str) -> OrderRecord:
        """The record of an order that must exist. Raises Unavailable when it does not."""
        record = self.find(order_id)
        if record is None:
            raise Unavailable(f"Order {order_id} has no record.")
        return record

    def trail(self, order_id: str, after: int, top: int) -> Trail:
        """The changes of an order's record, oldest first: at most `top` of those after number `after`."""
        begin = f"RowKey gt '{audit_key(after)}' and RowKey lt 'audit;'"
        with storage_faults(f"the audit trail of order {order_id}"):
            rows = self._table.query_entities(
                f"PartitionKey eq @order and {begin}", parameters={"order": order_id}, results_per_page=top + 1
            )
            events = [audit_event(row) for _, row in zip(range(top + 1), rows, strict=False)]
        return Trail(tuple(events[:top]), events[top - 1].number if len(events) > top else None)

    def note_webhook(self, order_id: str, event_id: str, kind: str) -> None:
        """Record an event of the provider beside the order. Safe to repeat.

        It is a row of its own: a change of the record would make the ETag of a working saga stale.
        """
        row = {"PartitionKey": order_id, "RowKey": webhook_key(event_id), "At": _now(), "Type": kind}
        with storage_faults(f"an event of order {order_id}"):
            try:
                self._table.create_entity(row)
            except ResourceExistsError:
                """The provider sends an event at least once."""

    def webhooks(self, order_id: str, top: int) -> list[Webhook]:
        """The provider's events about the order, at most `top`, unordered."""
        within = "PartitionKey eq @order and RowKey gt 'webhook:' and RowKey lt 'webhook;'"
        with storage_faults(f"the events of order {order_id}"):
            rows = self._table.query_entities(within, parameters={"order": order_id}, results_per_page=top)
            return [webhook_of(row) for _, row in zip(range(top), rows, strict=False)]

    def change(
        self,
        order: OrderRecord | str,
        rule: Callable[Concatenate[OrderRecord, Rule], Change | None],
        *args: Rule.args,
        **kwargs: Rule.kwargs,
    ) -> OrderRecord:
        """Apply a transition to an order (its record, or its id). Returns the record after it.

        Raises Conflict when the rule does.
        """
        applied = self._apply(order, lambda record: rule(record, *args, **kwargs))
        if applied.events:
            self._index.follow_change(applied.before, applied.record)
        elif applied.record.is_final:  # a try before this one may have closed it and died before the index followed
            self._index.follow(applied.record)
        return applied.record

    def apply(
        self,
        order: OrderRecord | str,
        rule: Callable[Concatenate[OrderRecord, Rule], Change | None],
        *args: Rule.args,
        **kwargs: Rule.kwargs,
    ) -> Applied:
        """As `change`. Also returns the events that this call has written: each event is returned to one caller ever.

        The caller writes the index, with `follow`.
        """
        return self._apply(order, lambda record: rule(record, *args, **kwargs))

    def follow(self, order: OrderRecord) -> None:
        """Write the order's index row from its record."""
        self._index.follow(order)

    def _apply(self, order: OrderRecord | str, decide: Callable[[OrderRecord], Change | None]) -> Applied:
        record = order if isinstance(order, OrderRecord) and order.stored else self.read(_id_of(order))
        with storage_faults(f"order {record.order_id}"):
            for _ in write_attempts(f"order {record.order_id}"):
                change = decide(record)
                if change is None and not record.is_guess:
                    return Applied(record, record, ())
                changed = self._write(record, change) if change is not None else None
                if change is not None and changed is not None:
                    return Applied(record, changed, tuple(each.event for each in change.each))
                record = self.read(record.order_id)
        raise AssertionError("write_attempts() ends by raising")

    def _write(self, record: OrderRecord, change: Change) -> OrderRecord | None:
        """One transaction of the changes and their audit rows; the record after it. None: another writer was first."""
        facts = {name: value for each in change.each for name, value in each.facts.items()}
        number = record.stored.get("Audits", 0)
        row = order_row(record.order_id, facts, number + len(change.each))
        guard = {"mode": UpdateMode.MERGE, "etag": record.etag, "match_condition": MatchConditions.IfNotModified}
        audits = [audit_row(record.order_id, number + place, each) for place, each in enumerate(change.each, 1)]
        try:
            written, *_ = self._table.submit_transaction(
                [("update", row, guard), *(("create", audit) for audit in audits)]
            )
        except TableTransactionError as error:
            if error.status_code in LOST_THE_RACE:
                return None
            raise
        stored = {**record.stored, **row, "etag": written["etag"]}
        return self._remembered(record_of(stored).with_contents_of(record))

    def _remembered(self, record: OrderRecord) -> OrderRecord:
        self._recent.remember(record)
        return record


def _id_of(order: OrderRecord | str) -> str:
    return order if isinstance(order, str) else order.order_id


def _now() -> datetime:
    return datetime.now(UTC)
