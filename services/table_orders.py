"""`TableOrders`: the order's own record, in table `orders`, and the index by day, in table `orderindex`.

One partition an order (its id): row `order` is the state, rows `audit:<n>` say how it came to be. A change of state and
its audit row are one transaction, guarded by the row's ETag. The record is written before the saga starts; it decides
duplicates, cancels and approvals, holds what the steps need (so that the history need not), and answers for the order
when the history is gone.

The index has one partition a UTC day and its rows newest first, so that a list reads days and never the whole table. It
is written after the record, by everybody who finds or leaves the record in a new state: who dies in between is run
again, or asked again by its caller, and writes it then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient, TableTransactionError, UpdateMode

from models.errors import Conflict, Unavailable
from models.order import (
    Acceptance,
    Approval,
    Decision,
    Evidence,
    IndexEntry,
    Line,
    OrderRecord,
    OrderRequest,
    Page,
    Reason,
    Total,
)
from models.status import OrderView
from services.storage import storage_faults, turns

Columns = dict[str, Any]
Decide = Callable[[OrderRecord], Columns | None]
LOST_THE_RACE = frozenset({409, 412})
UNFINISHED = ("accepted", "running", "awaiting_approval", "compensating")
# Row keys sort upwards: counting down from here puts the newest first. Milliseconds since 1970.
END_OF_TIME_MS = 9_999_999_999_999
MAX_DAYS_A_PAGE = 400


class TableOrders:
    """The orders, for the edge, the sweep and every activity. Safe to share between threads.

    Whoever read a record may hand it back to be changed: the change is then tried on that very state first, which saves
    a read, and on the state as it is now when somebody else was there in between.
    """

    def __init__(self, table: TableClient, index: TableClient) -> None:
        self._table = table
        self._index = index

    def accept(self, order_id: str, request: OrderRequest) -> Acceptance:
        """Insert the order, or find it. Exactly one caller of an id ever gets `inserted`."""
        columns = {
            "State": "accepted",
            "BodyHash": request.body_hash(),
            "Request": request.model_dump_json(exclude={"order_id"}, exclude_none=True),
            "AcceptedAt": _now(),
        }
        inserted = self._insert(order_id, columns)
        record = self.read(order_id)
        if record.state == "accepted":
            self._write_index(record)
        return Acceptance(inserted, record)

    def _insert(self, order_id: str, columns: Columns) -> bool:
        operations = [
            ("create", _row(order_id, columns, 1)),
            ("create", _audit(order_id, 1, "accepted", {})),
        ]
        with storage_faults(f"order {order_id}"):
            try:
                self._table.submit_transaction(operations)
            except TableTransactionError as error:
                if error.status_code != 409:
                    raise
                return False
        return True

    def find(self, order_id: str) -> OrderRecord | None:
        with storage_faults(f"order {order_id}"):
            try:
                row = self._table.get_entity(order_id, "order")
                return _record({**row, "etag": row.metadata["etag"]})
            except ResourceNotFoundError:
                return None

    def read(self, order_id: str) -> OrderRecord:
        """The record of an order that must exist. Raises Unavailable when it does not."""
        record = self.find(order_id)
        if record is None:
            raise Unavailable(f"Order {order_id} has no record.")
        return record

    # The steps' own facts.

    def start(
        self, order: OrderRecord, lines: tuple[Line, ...], total: Total, deadline: datetime | None
    ) -> OrderRecord:
        """accepted -> running, with the prices that hold from now on; with a deadline, -> awaiting_approval.

        Any other state, and an order that is to be cancelled, is left and returned.
        """
        columns: Columns = {
            "State": "running",
            "Lines": json.dumps([line.model_dump() for line in lines]),
            "AmountMinor": total.amount_minor,
            "Currency": total.currency,
        }
        if deadline is not None:
            columns["State"] = "awaiting_approval"
            columns["Approval"] = Approval(deadline=deadline, total=total).model_dump_json()

        def decide(record: OrderRecord) -> Columns | None:
            return columns if record.state == "accepted" and not record.cancel_requested else None

        return self._move(order, columns["State"], decide)

    def note_payment_intent(self, order: OrderRecord, intent_id: str) -> OrderRecord:
        return self._note(order, "payment_intent_opened", PaymentIntentId=intent_id)

    def note_payment_unknown(self, order: OrderRecord, wake: str) -> OrderRecord:
        """`wake`: the one event that the saga waits for until it asks again."""
        return self._note(order, "payment_unknown", PaymentWake=wake)

    def note_charged(self, order: OrderRecord) -> OrderRecord:
        return self._note(order, "payment_charged", ChargedMinor=order.priced_total().amount_minor)

    def note_refund(self, order: OrderRecord, refund_id: str) -> OrderRecord:
        amount = order.priced_total().amount_minor
        return self._note(order, "payment_refunded", RefundId=refund_id, ChargedMinor=amount, RefundedMinor=amount)

    def note_goods(self, order: OrderRecord, goods: str) -> OrderRecord:
        return self._note(order, f"goods_{goods}", Goods=goods)

    def note_shipment(self, order: OrderRecord, tracking_number: str) -> OrderRecord:
        return self._note(order, "label_issued", TrackingNumber=tracking_number)

    def claim_confirmation(self, order: OrderRecord) -> OrderRecord:
        """Write `sending`, the point of no return; an order that is to be cancelled comes back unclaimed."""
        claim = {"Confirmation": "sending"}
        return self._change(
            order,
            "confirmation_claimed",
            lambda record: claim if record.confirmation is None and _may_act(record) else None,
        )

    def note_confirmation_sent(self, order: OrderRecord) -> OrderRecord:
        return self._note(order, "confirmation_sent", Confirmation="sent")

    def claim_farewell(self, order: OrderRecord) -> bool:
        """True for one caller ever: it may send the mail that tells what was undone."""
        won: list[bool] = []

        def decide(record: OrderRecord) -> Columns | None:
            won[:] = [record.farewell is None]
            return {"Farewell": "claimed"} if won[0] else None

        self._change(order, "farewell_claimed", decide)
        return won[0]

    # Undoing, parking, ending.

    def begin_undo(self, order_id: str, failure: dict[str, Any] | None, attention: int = 0) -> OrderRecord:
        """Note, once and before anything is undone, that the order goes backwards from here.

        An order that was parked since (`attention` times is what this undo knows of) stays with its operator: an undo
        that outlived its deadline would else take it away from there, and nobody would bring it back.
        """
        columns = {"State": "compensating", "Undoing": json.dumps({"failure": failure})}

        def decide(record: OrderRecord) -> Columns | None:
            if record.undoing is None:
                return None if record.is_final else columns
            parked_before = record.state == "needs_attention" and record.attention <= attention
            return {"State": "compensating"} if parked_before else None

        return self._move(self.read(order_id), "compensating", decide)

    def close(self, order_id: str, outcome: OrderView, attention: int) -> OrderRecord:
        """Write the outcome, once: a final order stays as it is. `needs_attention` parks it, and is not final.

        An order whose cancel was promised ends `cancelled`, whatever else had gone wrong before it was undone.
        """

        def decide(record: OrderRecord) -> Columns | None:
            if record.is_final or (record.state == outcome.status and record.attention >= attention):
                return None
            ending = _ending(record, outcome)
            columns: Columns = {"State": ending.status, "Outcome": json.dumps(ending.as_json())}
            along: dict[str, Columns] = {"completed": {"Goods": "sold"}, "needs_attention": {"Attention": attention}}
            return columns | along.get(ending.status, {})

        return self._move(self.read(order_id), "closed", decide)

    def note_healed(self, order: OrderRecord) -> OrderRecord:
        """Count how often the sweep had to start this order's saga again."""
        return self._note(order, "saga_started_again", Healed=order.healed + 1)

    # What the shop and its operators ask for.

    def request_cancel(self, order_id: str) -> OrderRecord:
        """Durable when it returns: the order will end `cancelled`. Raises Conflict with the state when it cannot."""

        def decide(record: OrderRecord) -> Columns | None:
            if record.cancel_requested:
                return None
            if not record.can_be_cancelled:
                raise Conflict(f"Order {order_id} is {_stage(record)}: it can no longer be cancelled.")
            return {"CancelRequested": True}

        return self._change(self.read(order_id), "cancel_requested", decide)

    def decide_approval(self, order_id: str, decision: Decision) -> OrderRecord:
        """Record the one decision about the order's total. Raises Conflict for a second or a late one."""

        def decide(record: OrderRecord) -> Columns:
            if record.approval is None or record.state != "awaiting_approval" or record.approval.verdict:
                raise Conflict(f"Order {order_id} is {_stage(record)}: it waits for no decision.")
            if record.approval.deadline <= _now():
                raise Conflict(f"The decision about order {order_id} came after its deadline.")
            verdict = {
                "verdict": "approved" if decision.approved else "rejected",
                "approver": decision.approver,
                "comment": decision.comment,
            }
            return {"Approval": record.approval.model_copy(update=verdict).model_dump_json()}

        verdict = "approved" if decision.approved else "approval_refused"
        return self._change(self.read(order_id), verdict, decide)

    def expire_approval(self, order: OrderRecord) -> OrderRecord:
        """No decision came in time. A decision that was recorded before stays."""

        def decide(record: OrderRecord) -> Columns | None:
            if record.approval is None or record.approval.verdict:
                return None
            return {"Approval": record.approval.model_copy(update={"verdict": "expired"}).model_dump_json()}

        return self._change(order, "approval_expired", decide)

    def ask_again(self, order: OrderRecord) -> OrderRecord:
        """Give the saga's next wait a number of its own, while there is no decision."""

        def decide(record: OrderRecord) -> Columns | None:
            if record.approval is None or record.approval.verdict or record.cancel_requested:
                return None
            again = record.approval.model_copy(update={"asked": record.approval.asked + 1})
            return {"Approval": again.model_dump_json()}

        return self._change(order, "approval_asked_again", decide)

    def go_on(self, order: OrderRecord) -> OrderRecord:
        """awaiting_approval -> running, once it was approved."""
        return self._move(
            order, "running", lambda record: {"State": "running"} if record.state == "awaiting_approval" else None
        )

    def request_retry(self, order_id: str, compensation: str, reason: Reason) -> OrderRecord:
        """Note who wants an unconfirmed undo tried again, and why. Raises Conflict when it is not parked."""
        told = {"Compensation": compensation, "By": reason.by, "Reason": reason.reason}
        return self._change(self._parked(order_id, compensation), "compensation_retry_requested", lambda record: told)

    def resolve(self, order_id: str, compensation: str, evidence: Evidence) -> OrderRecord:
        """Take an undo as done on an operator's evidence. Raises Conflict when the order is not parked."""

        def decide(record: OrderRecord) -> Columns:
            resolved = {name: proof.model_dump() for name, proof in record.resolved.items()}
            resolved[compensation] = evidence.model_dump()
            told = {"Compensation": compensation, "By": evidence.by, "Reason": evidence.reason}
            return {"Resolved": json.dumps(resolved), **told, "Reference": evidence.reference}

        return self._change(self._parked(order_id, compensation), "compensation_resolved", decide)

    def _parked(self, order_id: str, compensation: str) -> OrderRecord:
        order = self.read(order_id)
        if order.state != "needs_attention":
            raise Conflict(f"Order {order_id} is {_stage(order)}: no undo of it waits for an operator.")
        shown = (order.outcome or {}).get("compensations", [])
        if {"name": compensation, "status": "failed"} not in shown:
            raise Conflict(f"{compensation} of order {order_id} does not wait for an operator.")
        return order

    def erase(self, order_id: str) -> OrderRecord:
        """Take the personal data out of a finished order. Raises Conflict while it is not finished. Safe to repeat."""

        def decide(record: OrderRecord) -> Columns | None:
            if not record.is_final:
                raise Conflict(f"Order {order_id} is {_stage(record)}: only a finished order's data can be erased.")
            return None if record.request is None else {"Request": ""}

        return self._change(self.read(order_id), "personal_data_erased", decide)

    def park(self, order: OrderRecord, outcome: OrderView) -> OrderRecord:
        """Leave an order to its operator whose saga cannot be kept alive: from here it only goes backwards."""

        def decide(record: OrderRecord) -> Columns | None:
            if record.is_final or record.state == "needs_attention":
                return None
            columns = {"State": "needs_attention", "Outcome": json.dumps(outcome.as_json())}
            if record.undoing is not None or record.total is None:  # without a total nothing was begun
                return columns
            return {**columns, "Undoing": json.dumps({"failure": None})}

        return self._move(order, "parked", decide)

    # Lists.

    def page(self, status: str | None, newest: date, oldest: date, top: int, after: str | None) -> Page:
        """Orders accepted from `oldest` to `newest` (UTC days, both included), newest first; at most `top`.

        `after` is the continuation of the page before. Reads one partition a day.
        """
        return self._page((status,) if status else (), newest, oldest, top, after)

    def _page(self, statuses: Sequence[str], newest: date, oldest: date, top: int, after: str | None) -> Page:
        entries: list[IndexEntry] = []
        for day in _days(newest, oldest):
            entries += self._entries(day, statuses, after, top - len(entries))
            if len(entries) >= top:
                return Page(tuple(entries), entries[-1].key)
        return Page(tuple(entries), None)

    def unfinished(self, newest: date, days: int, limit: int) -> tuple[IndexEntry, ...]:
        """Orders that have not ended, by the index, for the sweep."""
        oldest = newest - timedelta(days=days)
        return self._page(UNFINISHED, newest, oldest, limit, None).entries

    def follow(self, record: OrderRecord) -> None:
        """Make the index say what the record says."""
        self._write_index(record)

    def note_sweep(self, report: Mapping[str, int]) -> None:
        row = {"PartitionKey": "sweep", "RowKey": "last", "At": _now(), "Report": json.dumps(dict(report))}
        with storage_faults("the report of the sweep"):
            self._index.upsert_entity(row)

    def last_sweep(self) -> dict[str, Any] | None:
        """When the sweep last ran (ISO 8601) and what it found; None before its first run."""
        with storage_faults("the report of the sweep"):
            try:
                row = self._index.get_entity("sweep", "last")
            except ResourceNotFoundError:
                return None
        return {"at": row["At"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **json.loads(row["Report"])}

    def _entries(self, day: date, statuses: Sequence[str], after: str | None, limit: int) -> Iterator[IndexEntry]:
        wanted = f"PartitionKey eq '{day.isoformat()}'"
        if statuses:
            either = " or ".join(f"Status eq '{status}'" for status in statuses)
            wanted += f" and ({either})"
        if after:
            wanted += f" and RowKey gt '{after}'"
        with storage_faults("the index of orders"):
            pages = self._index.query_entities(wanted, results_per_page=max(limit, 1))
            for _, row in zip(range(limit), pages, strict=False):
                yield _entry(row)

    def _write_index(self, record: OrderRecord) -> None:
        lines = record.lines or (record.request.items if record.request else ())
        row = {
            "PartitionKey": record.accepted_at.date().isoformat(),
            "RowKey": index_key(record.accepted_at, record.order_id),
            "OrderId": record.order_id,
            "Status": record.state,
            "Skus": ",".join(line.sku for line in lines),
            "AcceptedAt": record.accepted_at,
        }
        if record.total is not None:
            row |= {"AmountMinor": record.total.amount_minor, "Currency": record.total.currency}
        with storage_faults(f"the index entry of order {record.order_id}"):
            self._index.upsert_entity(row)

    # One change.

    def _note(self, order: OrderRecord, event: str, **columns: Any) -> OrderRecord:
        """Add facts to a record. What is there already is not written, nor audited, again."""

        def decide(record: OrderRecord) -> Columns | None:
            known = all(getattr(record, NOTED[name]) == value for name, value in columns.items())
            return None if known else columns

        return self._change(order, event, decide)

    def _move(self, order: OrderRecord, event: str, decide: Decide) -> OrderRecord:
        """A change of state: the index follows, also when an earlier try had changed the record and died."""
        moved = self._change(order, event, decide)
        self._write_index(moved)
        return moved

    def _change(self, order: OrderRecord, event: str, decide: Decide) -> OrderRecord:
        """Decide and write under the ETag; again on a fresh read when another writer was first.

        `decide` returns the columns to write, or None to leave the record as it is; it may raise Conflict.
        """
        record = order if order.stored else self.read(order.order_id)
        with storage_faults(f"order {record.order_id}"):
            for _ in turns(f"order {record.order_id}"):
                columns = decide(record)
                if columns is None:
                    return record
                changed = self._write(record, columns, event)
                if changed is not None:
                    return changed
                record = self.read(record.order_id)
        raise AssertionError("turns() ends by raising")

    def _write(self, record: OrderRecord, columns: Columns, event: str) -> OrderRecord | None:
        """One transaction of the change and its audit row; the record after it. None: another writer was first."""
        number = record.stored["Audits"] + 1
        kept = {name: value for name, value in columns.items() if name not in ONLY_AUDITED}
        row = _row(record.order_id, kept, number)
        guard = {
            "mode": UpdateMode.MERGE,
            "etag": record.stored["etag"],
            "match_condition": MatchConditions.IfNotModified,
        }
        audit = _audit(record.order_id, number, event, columns)
        try:
            written, _ = self._table.submit_transaction([("update", row, guard), ("create", audit)])
        except TableTransactionError as error:
            if error.status_code in LOST_THE_RACE:
                return None
            raise
        return _record({**record.stored, **row, "etag": written["etag"]})


# Columns that a step or an operator adds to an order, and what the record calls them.
NOTED = {
    "PaymentIntentId": "payment_intent_id",
    "PaymentWake": "payment_wake",
    "ChargedMinor": "charged_minor",
    "RefundId": "refund_id",
    "RefundedMinor": "refunded_minor",
    "Goods": "goods",
    "TrackingNumber": "tracking_number",
    "Confirmation": "confirmation",
    "Healed": "healed",
}
# What an audit row may tell: ids, amounts, and an operator's own words. Nothing of the customer.
ONLY_AUDITED = frozenset({"Compensation", "By", "Reason", "Reference"})
AUDITED = ONLY_AUDITED | {"State", "AmountMinor", "Currency", "Approval", "Outcome", "Attention", *NOTED}


def index_key(accepted_at: datetime, order_id: str) -> str:
    """Newest first within a day, and unique."""
    return f"{END_OF_TIME_MS - int(accepted_at.timestamp() * 1000):013d}:{order_id}"


def _ending(record: OrderRecord, outcome: OrderView) -> OrderView:
    if record.cancel_requested and outcome.status in {"rejected", "compensated"}:
        return outcome.model_copy(update={"status": "cancelled"})
    return outcome


def _may_act(record: OrderRecord) -> bool:
    return not record.cancel_requested and record.undoing is None


def _stage(record: OrderRecord) -> str:
    """The state, and where it says too little, how far the order is."""
    if record.state == "running" and record.confirmation:
        return "being confirmed"
    return "to be cancelled" if record.cancel_requested and not record.is_final else record.state


def _days(newest: date, oldest: date) -> Iterator[date]:
    for back in range(min((newest - oldest).days + 1, MAX_DAYS_A_PAGE)):
        yield newest - timedelta(days=back)


def _row(order_id: str, columns: Columns, audits: int) -> Columns:
    return {"PartitionKey": order_id, "RowKey": "order", **columns, "Audits": audits, "ChangedAt": _now()}


def _audit(order_id: str, number: int, event: str, columns: Columns) -> Columns:
    told = {name: value for name, value in columns.items() if name in AUDITED}
    return {"PartitionKey": order_id, "RowKey": f"audit:{number:06d}", "At": _now(), "Event": event, **told}


def _entry(row: Mapping[str, Any]) -> IndexEntry:
    return IndexEntry(
        key=row["RowKey"],
        order_id=row["OrderId"],
        status=row["Status"],
        skus=tuple(row["Skus"].split(",")),
        accepted_at=row["AcceptedAt"],
        amount_minor=row.get("AmountMinor"),
        currency=row.get("Currency"),
    )


def _record(row: Columns) -> OrderRecord:
    """`row`: all columns, with the ETag of exactly this state as `etag`."""
    amount = row.get("AmountMinor")
    noted = {attribute: row[column] for column, attribute in NOTED.items() if column in row}
    return OrderRecord(
        order_id=row["PartitionKey"],
        state=row["State"],
        body_hash=row["BodyHash"],
        accepted_at=row["AcceptedAt"],
        request=OrderRequest.model_validate_json(row["Request"]) if row["Request"] else None,
        lines=tuple(Line.model_validate(line) for line in json.loads(row.get("Lines", "[]"))),
        total=None if amount is None else Total(amount_minor=amount, currency=row["Currency"]),
        farewell=row.get("Farewell"),
        cancel_requested=row.get("CancelRequested", False),
        approval=Approval.model_validate_json(row["Approval"]) if "Approval" in row else None,
        undoing=json.loads(row["Undoing"]) if "Undoing" in row else None,
        resolved={name: Evidence(**proof) for name, proof in json.loads(row.get("Resolved", "{}")).items()},
        attention=row.get("Attention", 0),
        outcome=json.loads(row["Outcome"]) if "Outcome" in row else None,
        stored=row,
        **noted,
    )


def _now() -> datetime:
    return datetime.now(UTC)
