"""The order's record: what our own table holds of an order, read tolerantly, and the rules by which it may change.

Each rule is a function below the record, one for each transition. It looks at the record as it was read, and returns
the `Change` to write, or None if there is nothing to write. It raises Conflict if the record forbids the request. The
rules are pure. `services.tables.table_orders` writes a change under the ETag of exactly the record that the rule looked
at. If another writer was first, the rule decides again, on what that writer left.

docs/order-states.md lists the states in which each transition may start; a test compares the functions with it.

What the client sent is kept as it came, and parsed only when a step asks for it.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import AwareDatetime, Field, SkipValidation, ValidationError

from models.errors import Conflict, Unavailable
from models.money import Total
from models.order_parts import Approval, Contents, Line, Stored
from models.order_request import Decision, Evidence, Reason
from models.states import FINAL_STATES, REFUND_PAYMENT, OrderStatus

# The prefix of the hash of an erased body.
ERASED = "erased:"


class OrderRecord(Stored):
    """The order as our own table holds it: what decides duplicates, cancels and approvals, and all that the steps need.

    - `ended_at` is written with the final state; orders that older code ended have none.
    - `sent`: the client's order as JSON, as it was stored; empty when its personal data was erased.
    - `confirmation` is the point of no return: `sending` before the mail is sent, `sent` after.
    - `undoing` is set by the first undo and never taken back: from then on no step may act.
    - `resolved`: the compensations that count as done on an operator's evidence, with the evidence.
    - `attention` counts how often the order was parked; a saga that parked it waits for the event `attention:<n>`.
    - `alert_claimed` and `alert_sent`: the key of the last alert (models.operations.alerts).
    - `stored` is the row as it was read, with its ETag: the very state that a change may be tried on first.
    - `is_guess`: the record was remembered and not read. Only a write that its ETag guards counts.

    States and the like are plain texts, because a later version may have written one that this code does not know.
    """

    order_id: str
    state: SkipValidation[OrderStatus]
    body_hash: str
    accepted_at: AwareDatetime
    changed_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    sent: str = ""
    lines: tuple[Line, ...] = ()
    total: Total | None = None
    payment_intent_id: str | None = None
    payment_wake: str | None = None
    charged_minor: int = 0
    refund_id: str | None = None
    refunded_minor: int = 0
    goods: str | None = None
    tracking_number: str | None = None
    confirmation: str | None = None
    cancellation_notice: str | None = None
    cancel_requested: bool = False
    approval: Approval | None = None
    undoing: dict[str, Any] | None = None
    resolved: dict[str, dict[str, Any]] = Field(default={})
    attention: int = 0
    healed: int = 0
    alert_claimed: str | None = None
    alert_sent: str | None = None
    outcome: dict[str, Any] | None = None
    stored: dict[str, Any] = Field(default={}, exclude=True, repr=False)
    is_guess: bool = Field(default=False, exclude=True, repr=False)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def needs_saga(self) -> bool:
        """Whether a saga must be there. An operator's action on a parked order starts one if there is none."""
        return not self.is_final and self.state != "needs_attention"

    @property
    def etag(self) -> str | None:
        return self.stored.get("etag")

    @property
    def is_erased(self) -> bool:
        return not self.sent

    @property
    def can_be_cancelled(self) -> bool:
        """Until the confirmation has claimed the order, unless it is undone already."""
        return not (self.is_final or self.undoing is not None or self.confirmation)

    @functools.cached_property
    def contents(self) -> Contents:
        """The client's data. Raises Unavailable if it was erased or cannot be read: no step can act then."""
        if self.is_erased:
            raise Unavailable(f"The personal data of order {self.order_id} was erased.")
        try:
            return Contents.model_validate_json(self.sent)
        except ValidationError as unreadable:
            fields = sorted({".".join(map(str, error["loc"])) or "all of it" for error in unreadable.errors()})
            raise Unavailable(f"What is stored of order {self.order_id} cannot be read: {', '.join(fields)}.") from None

    def with_contents_of(self, before: OrderRecord) -> OrderRecord:
        """This record, without parsing again what the client sent, if the state before it has parsed the same."""
        if "contents" in vars(before) and before.sent == self.sent:
            vars(self)["contents"] = before.contents
        return self

    def priced_total(self) -> Total:
        """The total that validation fixed. Raises ValueError before that."""
        if self.total is None:
            raise ValueError(f"order {self.order_id} has no total yet: validate_order fixes it")
        return self.total

    @property
    def held_minor(self) -> int:
        """Money of an order that is not completed: charged, and given back neither by us nor, on evidence, by hand."""
        if self.state == "completed" or REFUND_PAYMENT in self.resolved:
            return 0
        return self.charged_minor - self.refunded_minor

    @property
    def stage(self) -> str:
        """The state, and if it says too little, how far the order is: for sentences."""
        if self.state == "running" and self.confirmation:
            return "being confirmed"
        return "to be cancelled" if self.cancel_requested and not self.is_final else self.state

    @property
    def parked_compensations(self) -> tuple[str, ...]:
        """The compensations of a parked order that wait for an operator."""
        failed = _failed_compensations(self.outcome or {}) if self.state == "needs_attention" else ()
        return tuple(name for name in failed if name not in self.resolved)


class Acceptance(NamedTuple):
    """The result of a `POST`: `inserted` is true for exactly one `POST` of an order id, ever."""

    inserted: bool
    record: OrderRecord


class Change(NamedTuple):
    """The write of a transition, with its audit row.

    `facts`: attributes of the record and their new values. `remarks`: what only the audit row keeps. `event`: the audit
    row's event. `at`: since when it is true, if not since now. `before`: other changes of the same write, each with an
    audit row of its own.
    """

    event: str
    facts: Mapping[str, Any]
    remarks: Mapping[str, str] = {}
    at: datetime | None = None
    before: tuple[Change, ...] = ()

    @property
    def each(self) -> tuple[Change, ...]:
        """Every change of this write, the earliest first."""
        return *self.before, self


class Applied(NamedTuple):
    """The record before and after a change, and the events that this very write has put into the audit trail."""

    before: OrderRecord
    record: OrderRecord
    events: tuple[str, ...]


# The steps' own facts. A fact that is there already is neither written nor audited again.


def start(record: OrderRecord, lines: tuple[Line, ...], total: Total, deadline: datetime | None) -> Change | None:
    """accepted -> running, with the prices that hold from now on; with a deadline, -> awaiting_approval.

    Any other state, and an order that is to be cancelled, is left as it is.
    """
    if record.state != "accepted" or record.cancel_requested:
        return None
    facts = {"state": "running", "lines": lines, "total": total}
    if deadline is not None:
        facts |= {"state": "awaiting_approval", "approval": Approval(deadline=deadline, total=total)}
    return Change(str(facts["state"]), facts)


def note_payment_intent(record: OrderRecord, intent_id: str) -> Change | None:
    return _noted(record, "payment_intent_opened", payment_intent_id=intent_id)


def note_payment_unknown(record: OrderRecord, wake: str) -> Change | None:
    """`wake`: the one event that the saga waits for until it asks again."""
    return _noted(record, "payment_unknown", payment_wake=wake)


def note_charged(record: OrderRecord) -> Change | None:
    return _noted(record, "payment_charged", charged_minor=record.priced_total().amount_minor)


def note_refund(record: OrderRecord, refund_id: str) -> Change | None:
    amount = record.priced_total().amount_minor
    return _noted(record, "payment_refunded", refund_id=refund_id, charged_minor=amount, refunded_minor=amount)


def note_goods(record: OrderRecord, goods: str) -> Change | None:
    """`goods`: reserved, sold or released."""
    return _noted(record, f"goods_{goods}", goods=goods)


def note_shipment(record: OrderRecord, tracking_number: str) -> Change | None:
    return _noted(record, "label_issued", tracking_number=tracking_number)


def claim_confirmation(record: OrderRecord) -> Change | None:
    """Write `sending`, the point of no return. Nothing for an order that must be cancelled, is undone or has ended."""
    if record.is_final or record.confirmation is not None or record.cancel_requested or record.undoing is not None:
        return None
    return Change("confirmation_claimed", {"confirmation": "sending"})


def note_confirmation_sent(record: OrderRecord) -> Change | None:
    return _noted(record, "confirmation_sent", confirmation="sent")


def claim_cancellation_notice(record: OrderRecord) -> Change | None:
    """Claim the mail about the undos, once the order has ended: only one caller ever may send it."""
    if record.cancellation_notice is not None or record.state not in {"compensated", "cancelled"}:
        return None
    return Change("farewell_claimed", {"cancellation_notice": "claimed"})


# Undoing, parking, ending.


def begin_undo(record: OrderRecord, failure: dict[str, Any] | None, attention: int = 0) -> Change | None:
    """Note, once and before anything is undone, that the order goes backwards from here.

    An order that was parked since then stays parked (this undo knows of `attention` times). Otherwise an undo that
    missed its deadline would unpark the order, and no saga would park it again.
    """
    if record.undoing is None:
        going_back = {"state": "compensating", "undoing": {"failure": failure}}
        return None if record.is_final else Change("compensating", going_back)
    parked_before = record.state == "needs_attention" and record.attention <= attention
    return Change("compensating", {"state": "compensating"}) if parked_before else None


def close(record: OrderRecord, outcome: Mapping[str, Any], attention: int) -> Change | None:
    """Write the outcome, once. An order that is undone is not completed, and one that ran is not rejected.

    `needs_attention` parks the order, and is not final. `outcome` is a view of the order as JSON. An order whose cancel
    was promised ends `cancelled`, whatever else had gone wrong before it was undone.
    """
    status = outcome["status"]
    has_run = record.state not in {"accepted", "awaiting_approval"}
    if record.is_final or (status == "completed" and record.undoing) or (status == "rejected" and has_run):
        return None
    if status == "needs_attention":
        return _parked_by_its_saga(record, outcome, attention)
    if record.cancel_requested and status in {"rejected", "compensated"}:
        status = "cancelled"
    sold = {"goods": "sold"} if status == "completed" else {}
    return Change("closed", {"state": status, "outcome": {**outcome, "status": status}, **sold})


def _parked_by_its_saga(record: OrderRecord, outcome: Mapping[str, Any], attention: int) -> Change | None:
    """Nothing if the order was parked under this number before: an operator may have unparked it since.

    If each failed undo is resolved it stays `compensating`: the sweep wakes its saga. `undoing` stops a late first one.
    """
    if record.attention >= attention and (attention or record.state == "needs_attention"):
        return None
    failed = frozenset(_failed_compensations(outcome))
    state = "compensating" if failed and failed <= record.resolved.keys() else "needs_attention"
    facts = {"outcome": dict(outcome), "undoing": record.undoing or {"failure": outcome.get("failure")}}
    return Change("closed", {"state": state, "attention": attention, **facts})


def park(record: OrderRecord, outcome: Mapping[str, Any]) -> Change | None:
    """Park an order whose saga cannot be kept alive. From here it can only be undone."""
    if record.is_final or record.state == "needs_attention":
        return None
    facts = {"state": "needs_attention", "outcome": dict(outcome), "attention": record.attention + 1}
    return Change("parked", {**facts, "undoing": record.undoing or {"failure": None}})


def note_healed(record: OrderRecord, healed: int) -> Change | None:
    """Count how often the sweep had to start this order's saga again."""
    return _noted(record, "saga_started_again", healed=healed)


# What the shop and its operators ask for.


def request_cancel(record: OrderRecord, remark: Mapping[str, str] | None = None) -> Change | None:
    """Once written, the order will end `cancelled`. Raises Conflict with the state when it cannot."""
    if record.cancel_requested:
        return None
    if not record.can_be_cancelled:
        raise Conflict(f"Order {record.order_id} is {record.stage}: it can no longer be cancelled.")
    return Change("cancel_requested", {"cancel_requested": True}, remark or {})


def decide_approval(record: OrderRecord, decision: Decision, now: datetime) -> Change:
    """Record the one decision about the order's total. Raises Conflict for a second or a late one."""
    if record.approval is None or record.state != "awaiting_approval" or record.approval.verdict:
        raise Conflict(f"Order {record.order_id} is {record.stage}: it waits for no decision.")
    if record.approval.deadline <= now:
        raise Conflict(f"The decision about order {record.order_id} came after its deadline.")
    verdict, event = ("approved", "approved") if decision.approved else ("rejected", "approval_refused")
    fields = {"verdict": verdict, "approver": decision.approver, "comment": decision.comment}
    return Change(event, {"approval": record.approval.model_copy(update=fields)})


def expire_approval(record: OrderRecord) -> Change | None:
    """No decision came in time. A decision that was recorded before stays."""
    if record.approval is None or record.approval.verdict:
        return None
    return Change("approval_expired", {"approval": record.approval.model_copy(update={"verdict": "expired"})})


def renew_approval_wait(record: OrderRecord) -> Change | None:
    """Give the saga's next wait a number of its own, while there is no decision."""
    if record.approval is None or record.approval.verdict or record.cancel_requested:
        return None
    again = record.approval.model_copy(update={"asked": record.approval.asked + 1})
    return Change("approval_asked_again", {"approval": again})


def resume_after_approval(record: OrderRecord) -> Change | None:
    """awaiting_approval -> running, once it was approved."""
    return Change("running", {"state": "running"}) if record.state == "awaiting_approval" else None


def request_retry(record: OrderRecord, compensation: str, reason: Reason) -> Change:
    """needs_attention -> compensating: the parked undos are tried again.

    Raises Conflict when this undo waits for no operator: another one was first. The state changes here and not when the
    undo starts, so that later evidence is refused: the retry may pay what the evidence says was paid.
    """
    _refuse_unless_parked(record, compensation)
    return Change("compensation_retry_requested", {"state": "compensating"}, _remarks(compensation, reason))


def resolve(record: OrderRecord, compensation: str, evidence: Evidence) -> Change:
    """Take an undo as done on an operator's evidence. The saga resumes when no other undo waits.

    Raises Conflict when this undo waits for no operator.
    """
    _refuse_unless_parked(record, compensation)
    facts: dict[str, Any] = {"resolved": {**record.resolved, compensation: evidence.model_dump()}}
    if record.parked_compensations == (compensation,):
        facts["state"] = "compensating"
    return Change("compensation_resolved", facts, {**_remarks(compensation, evidence), "reference": evidence.reference})


def erase(record: OrderRecord, key: bytes, remark: Mapping[str, str] | None = None) -> Change | None:
    """Take the personal data out of a finished order. Raises Conflict while it is not finished. Safe to repeat.

    The body's hash is replaced by one that is keyed with `key`, which is random and which the caller throws away: else
    somebody who guesses the body could confirm it by the hash. So a repeated order is no longer recognised by its body;
    its id stays taken.
    """
    if not record.is_final:
        raise Conflict(f"Order {record.order_id} is {record.stage}: only a finished order's data can be erased.")
    if record.is_erased and record.body_hash.startswith(ERASED):
        return None
    keyed = hmac.digest(key, record.body_hash.encode(), "sha256").hex()
    return Change("personal_data_erased", {"sent": "", "body_hash": f"{ERASED}{keyed}"}, remark or {})


def _failed_compensations(outcome: Mapping[str, Any]) -> list[str]:
    return [entry["name"] for entry in outcome.get("compensations", []) if entry.get("status") == "failed"]


def _noted(record: OrderRecord, event: str, **facts: Any) -> Change | None:
    known = all(getattr(record, name) == value for name, value in facts.items())
    return None if known else Change(event, facts)


def _remarks(compensation: str, reason: Reason) -> dict[str, str]:
    return {"compensation": compensation, "by": reason.by, "reason": reason.reason}


def _refuse_unless_parked(record: OrderRecord, compensation: str) -> None:
    if record.state != "needs_attention":
        raise Conflict(f"Order {record.order_id} is {record.stage}: no undo of it waits for an operator.")
    if compensation in record.resolved:
        raise Conflict(f"{compensation} of order {record.order_id} is resolved already.")
    if compensation not in record.parked_compensations:
        raise Conflict(f"{compensation} of order {record.order_id} does not wait for an operator.")
