"""An order in table `orders`: row `order`, a row `audit:<n>` for each change, `webhook:<id>` for each event.

`FACTS` is the one list of what a record holds: the attribute, its column, how it is written, and whether an audit row
may keep it. Columns that another version wrote are left alone: a change is merged into the row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from models.errors import Unavailable
from models.money import Total
from models.operations.audit import AuditEvent, Webhook
from models.order_parts import Approval, Line
from models.order_record import Change, OrderRecord
from models.states import FINAL_STATES
from services.storage import number, plain

Columns = dict[str, Any]


def _plain(value: Any) -> Any:
    return value


def _json(value: Any) -> str:
    return json.dumps(value)


class Fact(NamedTuple):
    """`write` makes the column's value, `read` the attribute's. `audited`: of the order itself, nothing personal."""

    attribute: str
    column: str
    write: Callable[[Any], Any] = _plain
    read: Callable[[Any], Any] = _plain
    audited: bool = False


FACTS = (
    Fact("state", "State", audited=True),
    Fact("body_hash", "BodyHash"),
    Fact("accepted_at", "AcceptedAt"),
    Fact("ended_at", "EndedAt"),
    Fact("sent", "Request"),
    Fact(
        "lines",
        "Lines",
        lambda lines: _json([line.model_dump() for line in lines]),
        lambda text: tuple(Line.model_validate(line) for line in json.loads(text)),
    ),
    Fact("payment_intent_id", "PaymentIntentId", audited=True),
    Fact("payment_wake", "PaymentWake", audited=True),
    Fact("charged_minor", "ChargedMinor", number, audited=True),
    Fact("refund_id", "RefundId", audited=True),
    Fact("refunded_minor", "RefundedMinor", number, audited=True),
    Fact("goods", "Goods", audited=True),
    Fact("tracking_number", "TrackingNumber", audited=True),
    Fact("confirmation", "Confirmation", audited=True),
    Fact("cancellation_notice", "Farewell"),
    Fact("cancel_requested", "CancelRequested"),
    Fact(
        "approval",
        "Approval",
        lambda approval: approval.model_dump_json(),
        Approval.model_validate_json,
        audited=True,
    ),
    Fact("undoing", "Undoing", _json, json.loads),
    Fact("resolved", "Resolved", _json, json.loads),
    Fact("attention", "Attention", audited=True),
    Fact("healed", "Healed", audited=True),
    Fact("alert_claimed", "AlertClaimed"),
    Fact("alert_sent", "AlertSent"),
    Fact("outcome", "Outcome", _json, json.loads, audited=True),
)
BY_ATTRIBUTE = {fact.attribute: fact for fact in FACTS}
# An operator's own words, which an audit row keeps and the record does not.
REMARKS = {"compensation": "Compensation", "by": "By", "reason": "Reason", "reference": "Reference"}


def order_row(order_id: str, facts: Mapping[str, Any], audits: int) -> Columns:
    """The row `order`, or what of it changes. `audits` numbers the audit row that goes with it."""
    keys, now = {"PartitionKey": order_id, "RowKey": "order"}, datetime.now(UTC)
    ended = {"EndedAt": now} if facts.get("state") in FINAL_STATES else {}
    return {**keys, **_columns(facts), **ended, "Audits": audits, "ChangedAt": now}


def audit_row(order_id: str, number: int, change: Change) -> Columns:
    """The audit row of one change: `At` is when the change happened, which may be before it was written."""
    keys = {"PartitionKey": order_id, "RowKey": audit_key(number)}
    kept = {name: value for name, value in change.facts.items() if name == "total" or BY_ATTRIBUTE[name].audited}
    remarks = {REMARKS[name]: words for name, words in change.remarks.items()}
    return {**keys, "At": change.at or datetime.now(UTC), "Event": change.event, **_columns(kept), **remarks}


def audit_key(number: int) -> str:
    return f"audit:{number:06d}"


def webhook_key(event_id: str) -> str:
    return f"webhook:{event_id}"


def webhook_of(row: Mapping[str, Any]) -> Webhook:
    return Webhook(row["At"], row["RowKey"].removeprefix("webhook:"), str(row.get("Type", "")))


def audit_event(row: Mapping[str, Any]) -> AuditEvent:
    """An audit row, read tolerantly: a column that cannot be read is shown as it is stored."""
    row = plain(row)
    facts: dict[str, Any] = {fact.attribute: _as_json(fact, row[fact.column]) for fact in FACTS if fact.column in row}
    if row.get("AmountMinor") is not None:
        facts["total"] = {"amount_minor": row["AmountMinor"], "currency": row.get("Currency")}
    facts |= {name: row[column] for name, column in REMARKS.items() if column in row}
    return AuditEvent(int(row["RowKey"].removeprefix("audit:")), row["At"], row["Event"], facts)


def _as_json(fact: Fact, stored: Any) -> Any:
    """The value of a column as plain JSON."""
    if not isinstance(stored, str) or fact.read is _plain:
        return stored
    try:
        return json.loads(stored)
    except ValueError:
        return stored


def _columns(facts: Mapping[str, Any]) -> Columns:
    """A total is two columns, because storage can compare numbers."""
    columns = {BY_ATTRIBUTE[name].column: BY_ATTRIBUTE[name].write(facts[name]) for name in facts if name != "total"}
    if (total := facts.get("total")) is not None:
        columns |= {"AmountMinor": number(total.amount_minor), "Currency": total.currency}
    return columns


def record_of(row: Columns) -> OrderRecord:
    """`row`: all columns, with the ETag of exactly this state as `etag`. Raises Unavailable for a row that is no order.

    A column that is not there leaves the attribute's default.
    """
    row = plain(row)
    try:
        facts = {fact.attribute: fact.read(row[fact.column]) for fact in FACTS if row.get(fact.column) is not None}
        if row.get("AmountMinor") is not None:
            facts["total"] = Total(amount_minor=row["AmountMinor"], currency=row["Currency"])
        return OrderRecord(order_id=row["PartitionKey"], changed_at=row.get("ChangedAt"), stored=row, **facts)
    except (KeyError, TypeError, ValueError) as damaged:  # pydantic's ValidationError is a ValueError
        raise Unavailable(f"The record of order {row.get('PartitionKey')} cannot be read: {_why(damaged)}.") from None


def _why(damaged: Exception) -> str:
    """The faults, without the values, which may be personal."""
    errors = getattr(damaged, "errors", None)
    if errors is None:
        return f"{type(damaged).__name__} in its columns"
    return ", ".join(sorted({".".join(map(str, error["loc"])) for error in errors()}))
