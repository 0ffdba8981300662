"""Decisions of approvers and operators in real tables: one counts, under any number of writers."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from models.errors import Conflict
from models.order_record import (
    begin_undo,
    claim_confirmation,
    close,
    decide_approval,
    expire_approval,
    renew_approval_wait,
    request_retry,
    resolve,
    resume_after_approval,
)
from models.order_request import Decision, Evidence, Reason
from services.tables.table_orders import TableOrders
from tests.contracts.storage.stored_orders import TOTAL, approval_of, audits, ended, listed, parked, running, waiting

ADA = Reason(by="ada", reason="the bank is up again")
PROOF = Evidence(by="ada", reason="the card is closed", reference="SEPA-4711")


def decision(number: int) -> Decision:
    return Decision(approved=number % 2 == 0, approver=f"grace-{number}")


def test_one_decision_counts_and_belongs_to_its_total(orders: TableOrders, order_id: str) -> None:
    assert waiting(orders, order_id).state == "awaiting_approval"
    with ThreadPoolExecutor(8) as pool:
        decisions = [
            pool.submit(orders.change, order_id, decide_approval, decision(number), datetime.now(UTC))
            for number in range(8)
        ]
        refused = [decision.exception() for decision in decisions if decision.exception()]
    assert len(refused) == 7
    assert all(isinstance(refusal, Conflict) for refusal in refused)
    approval = approval_of(orders, order_id)
    assert approval.verdict in {"approved", "rejected"}
    assert approval.total == TOTAL


def test_a_decision_after_its_deadline_is_refused_and_expiry_takes_no_decision_back(orders: TableOrders) -> None:
    late, decided = str(uuid.uuid4()), str(uuid.uuid4())
    order = waiting(orders, late, seconds=-1)
    with pytest.raises(Conflict, match="deadline"):
        orders.change(late, decide_approval, Decision(approved=True, approver="grace"), datetime.now(UTC))
    assert orders.change(order, expire_approval).approval == approval_of(orders, late)
    assert approval_of(orders, late).verdict == "expired"
    order = waiting(orders, decided)
    orders.change(decided, decide_approval, Decision(approved=True, approver="grace"), datetime.now(UTC))
    orders.change(order, expire_approval)
    assert approval_of(orders, decided).verdict == "approved"
    assert orders.change(orders.read(decided), resume_after_approval).state == "running"


def test_each_wait_for_a_decision_has_an_event_of_its_own(orders: TableOrders, order_id: str) -> None:
    order = waiting(orders, order_id)
    wakes = [approval_of(orders, order_id).wake]
    for _ in range(2):
        order = orders.change(order, renew_approval_wait)
        wakes.append(approval_of(orders, order_id).wake)
    assert len(set(wakes)) == 3


def test_an_undo_that_has_begun_is_noted_once_with_its_first_reason(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    failure = {"step": "process_payment", "reason": "card_declined"}
    orders.change(order_id, begin_undo, failure)
    record = orders.change(order_id, begin_undo, None)
    assert (record.state, record.undoing) == ("compensating", {"failure": failure})
    assert audits(orders, order_id).count("compensating") == 1
    assert orders.change(record, claim_confirmation).confirmation is None


def test_an_operator_acts_on_a_parked_undo_and_on_no_other(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    with pytest.raises(Conflict, match="running"):
        orders.change(order_id, request_retry, "refund_payment", ADA)
    orders.change(order_id, begin_undo, None)
    assert orders.change(order_id, close, parked(order_id), 1).attention == 1
    with pytest.raises(Conflict, match="release_inventory"):
        orders.change(order_id, resolve, "release_inventory", PROOF)
    assert orders.change(order_id, request_retry, "refund_payment", ADA).state == "compensating"
    with pytest.raises(Conflict, match="compensating"):
        orders.change(order_id, resolve, "refund_payment", PROOF)
    orders.change(order_id, close, parked(order_id), 2)
    assert orders.change(order_id, resolve, "refund_payment", PROOF).resolved == {"refund_payment": PROOF.model_dump()}
    assert orders.read(order_id).state == "compensating"
    with pytest.raises(Conflict):
        orders.change(order_id, request_retry, "refund_payment", ADA)
    assert audits(orders, order_id)[-3:] == ["compensation_retry_requested", "closed", "compensation_resolved"]
    assert listed(orders, order_id).status == "compensating"


def test_of_operators_who_act_on_one_undo_at_once_one_is_heard(orders: TableOrders) -> None:
    for _ in range(10):
        order_id = str(uuid.uuid4())
        running(orders, order_id)
        orders.change(order_id, begin_undo, None)
        record = orders.change(order_id, close, parked(order_id), 1)
        with ThreadPoolExecutor(4) as pool:
            acts = [
                pool.submit(orders.change, record, request_retry, "refund_payment", ADA),
                pool.submit(orders.change, record, resolve, "refund_payment", PROOF),
                pool.submit(orders.change, record, resolve, "refund_payment", PROOF),
                pool.submit(orders.change, record, request_retry, "refund_payment", ADA),
            ]
        assert sum(isinstance(act.exception(), Conflict) for act in acts) == 3


def test_a_parked_order_is_parked_again_under_the_next_number(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    for attention in (1, 1, 2):
        orders.change(order_id, close, parked(order_id), attention)
    assert orders.read(order_id).attention == 2
    assert audits(orders, order_id).count("closed") == 2
    assert orders.change(order_id, begin_undo, None, 1).state == "needs_attention", "an undo from before the parking"
    assert orders.change(order_id, begin_undo, None, 2).state == "compensating"
    assert orders.change(order_id, close, ended(order_id, "compensated"), 2).state == "compensated"
