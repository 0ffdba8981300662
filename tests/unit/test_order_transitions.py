"""The rules of an order's record: which transition may start in which stage, and what each writes.

docs/order-states.md shows the table, and is what the functions are held to.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from models import order_record
from models.errors import Conflict, Unavailable
from models.money import Total
from models.order_record import Change, OrderRecord
from models.order_request import Decision, Evidence, Reason
from reconciliation.sweep import GRACE, missed_event
from tests.support.documents import text_of
from tests.unit.orders import STAGES, order_in, running_order

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ADA = Reason(by="ada", reason="the bank is up again")
PROOF = Evidence(by="ada", reason="the card is closed", reference="SEPA-4711")
TOTAL = Total(amount_minor=25800, currency="gbp")


def view(status: str) -> dict[str, Any]:
    return {"status": status, "compensations": []}


TRANSITIONS: dict[str, Callable[[OrderRecord], Change | None]] = {
    "start": lambda order: order_record.start(order, (), TOTAL, None),
    "resume_after_approval": order_record.resume_after_approval,
    "renew_approval_wait": order_record.renew_approval_wait,
    "expire_approval": order_record.expire_approval,
    "decide_approval": lambda order: order_record.decide_approval(order, Decision(approved=True, approver="g"), NOW),
    "note_goods": lambda order: order_record.note_goods(order, "reserved"),
    "note_payment_intent": lambda order: order_record.note_payment_intent(order, "pi_1"),
    "note_payment_unknown": lambda order: order_record.note_payment_unknown(order, "payment:1"),
    "note_charged": order_record.note_charged,
    "note_shipment": lambda order: order_record.note_shipment(order, "TRACK"),
    "claim_confirmation": order_record.claim_confirmation,
    "note_confirmation_sent": order_record.note_confirmation_sent,
    "request_cancel": order_record.request_cancel,
    "begin_undo": lambda order: order_record.begin_undo(order, None, 1),
    "note_refund": lambda order: order_record.note_refund(order, "re_1"),
    "request_retry": lambda order: order_record.request_retry(order, "refund_payment", ADA),
    "resolve": lambda order: order_record.resolve(order, "refund_payment", PROOF),
    "close": lambda order: order_record.close(order, view("compensated"), 1),
    "claim_cancellation_notice": order_record.claim_cancellation_notice,
    "park": lambda order: order_record.park(order, view("needs_attention")),
    "note_healed": lambda order: order_record.note_healed(order, 1),
    "erase": lambda order: order_record.erase(order, b"key"),
}


def done_to(name: str, stage: str) -> str:
    """A cell of the table: the state that it leads to, `written`, `409`, or `-` where the order is left as it is."""
    order = order_in(stage)
    try:
        change = TRANSITIONS[name](order)
    except Conflict:
        return "409"
    except ValueError:  # a fact of a total that validation has not fixed yet
        return "fault"
    if change is None:
        return "-"
    state = str(change.facts.get("state", order.state))
    return f"→ {state}" if state != order.state else "written"


def table() -> str:
    """The table as Markdown."""
    head = ["transition", *(f"{stage}" for stage in STAGES)]
    rows = [[f"`{name}`", *(done_to(name, stage) for stage in STAGES)] for name in TRANSITIONS]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def test_the_table_of_the_documents_is_what_the_functions_do() -> None:
    assert table() in text_of("docs/order-states.md"), table()


def test_every_transition_is_in_the_table() -> None:
    returns = {"Change | None", "Change"}
    public = {
        name
        for name, function in inspect.getmembers(order_record, inspect.isfunction)
        if not name.startswith("_") and function.__annotations__.get("return") in returns
    }
    assert public == set(TRANSITIONS)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", TRANSITIONS)
def test_no_transition_leads_out_of_a_final_state(name: str, stage: str) -> None:
    order = order_in(stage)
    if order.is_final:
        assert not done_to(name, stage).startswith("→")


@pytest.mark.parametrize("name", ["start", "claim_confirmation", "request_cancel"])
def test_an_order_that_is_undone_is_neither_driven_nor_claimed_nor_cancelled(name: str) -> None:
    for stage in ("compensating", "needs_attention"):
        assert done_to(name, stage) in {"-", "409"}


def test_a_fact_that_is_there_is_not_written_again() -> None:
    order = running_order(goods="reserved", payment_intent_id="pi_1", charged_minor=25800, tracking_number="TRACK")
    for name in ("note_goods", "note_payment_intent", "note_charged", "note_shipment"):
        assert TRANSITIONS[name](order) is None


def test_evidence_that_comes_after_a_retry_is_refused_and_so_is_a_retry_after_evidence() -> None:
    order = order_in("needs_attention")
    retried = after(order, order_record.request_retry(order, "refund_payment", ADA))
    assert retried.state == "compensating"
    with pytest.raises(Conflict, match="compensating"):
        order_record.resolve(retried, "refund_payment", PROOF)
    resolved = after(order, order_record.resolve(order, "refund_payment", PROOF))
    assert resolved.state == "compensating"
    with pytest.raises(Conflict, match="compensating"):
        order_record.request_retry(resolved, "refund_payment", ADA)


def test_an_order_whose_other_undo_waits_stays_parked_until_the_last_is_resolved() -> None:
    waiting = [{"name": name, "status": "failed"} for name in ("cancel_shipment", "refund_payment")]
    order = order_in("needs_attention", outcome={"compensations": waiting})
    order = after(order, order_record.resolve(order, "refund_payment", PROOF))
    assert (order.state, order.parked_compensations) == ("needs_attention", ("cancel_shipment",))
    with pytest.raises(Conflict, match="resolved already"):
        order_record.request_retry(order, "refund_payment", ADA)
    order = after(order, order_record.resolve(order, "cancel_shipment", PROOF))
    assert (order.state, set(order.resolved)) == ("compensating", {"refund_payment", "cancel_shipment"})


@pytest.mark.parametrize("stage", ["compensating", "needs_attention"])
def test_an_order_that_is_undone_is_not_completed(stage: str) -> None:
    assert order_record.close(order_in(stage), view("completed"), 0) is None


@pytest.mark.parametrize("stage", ["running", "to be cancelled", "being confirmed", "compensating", "needs_attention"])
def test_an_order_that_ran_is_not_rejected(stage: str) -> None:
    assert order_record.close(order_in(stage), view("rejected"), 0) is None


def test_an_order_is_not_parked_again_by_the_late_end_of_its_parking() -> None:
    parked = order_in("needs_attention")
    retried = after(parked, order_record.request_retry(parked, "refund_payment", ADA))
    outcome = {"status": "needs_attention", "compensations": [{"name": "refund_payment", "status": "failed"}]}
    assert order_record.close(retried, outcome, 1) is None
    again = order_record.close(retried, outcome, 2)
    assert again is not None and (again.facts["state"], again.facts["attention"]) == ("needs_attention", 2)


def test_an_order_whose_failed_undos_are_all_resolved_waits_for_no_operator() -> None:
    """Storage may be away for so long that the saga cannot read the resolution."""
    parked = order_in("needs_attention")
    resolved = after(parked, order_record.resolve(parked, "refund_payment", PROOF))
    outcome = {"status": "needs_attention", "compensations": [{"name": "refund_payment", "status": "failed"}]}
    change = order_record.close(resolved, outcome, 2)
    assert change is not None and (change.facts["state"], change.facts["attention"]) == ("compensating", 2)
    shown = missed_event(after(resolved, change).model_copy(update={"changed_at": NOW - 2 * GRACE}), outcome, NOW)
    assert shown == "attention:2", "the sweep wakes the saga"


def test_an_undo_of_before_the_order_was_parked_again_leaves_it_to_its_operator() -> None:
    order = order_in("needs_attention", attention=2)
    assert order_record.begin_undo(order, None, 1) is None
    assert order_record.begin_undo(order, None, 2) is not None


def test_a_decision_on_the_deadline_is_late_and_the_moment_before_it_is_not() -> None:
    order = order_in("awaiting_approval")
    assert order.approval is not None
    deadline, yes = order.approval.deadline, Decision(approved=True, approver="grace")
    with pytest.raises(Conflict, match="deadline"):
        order_record.decide_approval(order, yes, deadline)
    assert order_record.decide_approval(order, yes, NOW).event == "approved"


def test_a_promised_cancel_ends_cancelled_whatever_else_had_gone_wrong() -> None:
    orders = {"rejected": order_in("accepted", cancel_requested=True), "compensated": order_in("to be cancelled")}
    for status, order in orders.items():
        change = order_record.close(order, view(status), 0)
        assert change is not None
        assert (change.facts["state"], change.facts["outcome"]["status"]) == ("cancelled", "cancelled")


def test_what_is_erased_cannot_be_confirmed_by_its_hash() -> None:
    order = order_in("completed")
    first, second = (after(order, order_record.erase(order, key)) for key in (b"one", b"two"))
    assert first.is_erased
    assert len({order.body_hash, first.body_hash, second.body_hash}) == 3
    assert order_record.erase(first, b"again") is None
    with pytest.raises(Unavailable, match="erased"):
        assert first.contents


def test_what_older_code_erased_and_left_its_hash_is_erased_again() -> None:
    order = order_in("completed", sent="")
    assert after(order, order_record.erase(order, b"key")).body_hash != order.body_hash


def after(order: OrderRecord, change: Change | None) -> OrderRecord:
    assert change is not None
    facts = {**order.model_dump(), **change.facts}
    return OrderRecord(**facts)
