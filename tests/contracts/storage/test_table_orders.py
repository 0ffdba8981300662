"""`TableOrders` against real tables: the record decides, under any number of writers, and the index follows it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.errors import Conflict, Unavailable
from models.money import Total
from models.operations.order_list import IndexEntry
from models.order_parts import Approval, Line
from models.order_record import (
    OrderRecord,
    begin_undo,
    claim_cancellation_notice,
    claim_confirmation,
    close,
    decide_approval,
    erase,
    expire_approval,
    note_charged,
    note_confirmation_sent,
    note_goods,
    note_payment_intent,
    note_refund,
    note_shipment,
    renew_approval_wait,
    request_cancel,
    request_retry,
    resolve,
    resume_after_approval,
    start,
)
from models.order_request import Decision, Evidence, OrderRequest, Reason
from models.states import OrderStatus
from models.view import CompensationView, fresh_view
from services import storage
from services.tables.order_index import OrderIndex
from services.tables.table_orders import TableOrders
from tests.support.servers import Azurite
from tests.unit.orders import request

LINES = (Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=12900),)
TOTAL = Total(amount_minor=25800, currency="gbp")
ADA = Reason(by="ada", reason="the bank is up again")
PROOF = Evidence(by="ada", reason="the card is closed", reference="SEPA-4711")


@pytest.fixture(scope="module")
def orders(azurite: Azurite) -> TableOrders:
    account = storage.connect({storage.SETTING: azurite.connection_string})
    index = OrderIndex(storage.open_table(account, "orderindexcontract"))
    return TableOrders(storage.open_table(account, "orderscontract"), index)


@pytest.fixture
def order_id() -> str:
    return str(uuid.uuid4())


def ended(order_id: str, status: OrderStatus) -> dict[str, Any]:
    return fresh_view(order_id, status).as_json()


def parked(order_id: str) -> dict[str, Any]:
    view = fresh_view(order_id, "needs_attention")
    view.compensations = [
        CompensationView(name="refund_payment", status="failed"),
        CompensationView(name="release_inventory", status="done"),
    ]
    return view.as_json()


def placed(orders: TableOrders, order_id: str) -> OrderRecord:
    return orders.accept(order_id, request()).record


def running(orders: TableOrders, order_id: str) -> OrderRecord:
    return orders.change(placed(orders, order_id), start, LINES, TOTAL, None)


def waiting(orders: TableOrders, order_id: str, seconds: float = 60) -> OrderRecord:
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    return orders.change(placed(orders, order_id), start, LINES, TOTAL, deadline)


def listed(orders: TableOrders, order_id: str) -> IndexEntry:
    """The order's one entry in the index."""
    today = datetime.now(UTC).date()
    page = orders._index.page(None, today, today - timedelta(days=1), 1000, None)
    (entry,) = [entry for entry in page.entries if entry.order_id == order_id]
    return entry


def audits(orders: TableOrders, order_id: str) -> list[str]:
    rows = orders._table.query_entities(f"PartitionKey eq '{order_id}' and RowKey ge 'audit:' and RowKey lt 'audit;'")
    return [row["Event"] for row in rows]


def test_exactly_one_of_fifty_equal_posts_inserts_the_order(orders: TableOrders, order_id: str) -> None:
    with ThreadPoolExecutor(50) as pool:
        accepted = list(pool.map(lambda _: orders.accept(order_id, request()), range(50)))
    assert sum(acceptance.inserted for acceptance in accepted) == 1
    assert {acceptance.record.state for acceptance in accepted} == {"accepted"}
    assert audits(orders, order_id) == ["accepted"]


def test_the_record_gives_back_what_the_client_sent(orders: TableOrders, order_id: str) -> None:
    given = request(customer__name="山田", shipping_address__city="Łódź", shipping_address__line2="Flat 2")
    orders.accept(order_id, given)
    stored = orders.read(order_id)
    assert OrderRequest.model_validate_json(stored.sent) == given
    assert stored.contents.customer.model_dump() == given.customer.model_dump()
    assert stored.contents.shipping_address.model_dump() == given.shipping_address.model_dump()
    assert [item.model_dump() for item in stored.contents.items] == [item.model_dump() for item in given.items]


def test_another_body_under_the_same_id_leaves_the_first_as_it_is(orders: TableOrders, order_id: str) -> None:
    first = orders.accept(order_id, request())
    second = orders.accept(order_id, request(payment_method="pm_card_mastercard"))
    assert not second.inserted
    assert second.record == first.record


def test_starting_fixes_the_prices_once(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    again = orders.change(orders.read(order_id), start, (), Total(amount_minor=1, currency="usd"), None)
    assert (again.state, again.lines, again.total) == ("running", LINES, TOTAL)
    assert audits(orders, order_id) == ["accepted", "running"]


def test_an_amount_of_more_than_32_bits_is_kept_charged_and_refunded(orders: TableOrders, order_id: str) -> None:
    placed(orders, order_id)
    total = Total(amount_minor=999_999_999_999, currency="idr")
    orders.change(order_id, start, LINES, total, datetime(2030, 1, 1, tzinfo=UTC))
    assert orders.read(order_id).total == total
    assert (listed(orders, order_id).amount_minor, listed(orders, order_id).currency) == (999_999_999_999, "idr")
    charged = orders.change(order_id, note_charged)
    assert charged.charged_minor == orders.read(order_id).charged_minor == 999_999_999_999
    refunded = orders.change(order_id, note_refund, "re_1")
    assert refunded.refunded_minor == orders.read(order_id).refunded_minor == 999_999_999_999


def test_a_closed_order_cannot_be_started_or_closed_otherwise(orders: TableOrders, order_id: str) -> None:
    order = placed(orders, order_id)
    orders.change(order_id, close, ended(order_id, "rejected"), 0)
    orders.change(order_id, close, ended(order_id, "completed"), 0)
    # `order` is the state before: it is tried first, and found to be old.
    assert orders.change(order, start, LINES, TOTAL, None).state == "rejected"
    outcome = orders.read(order_id).outcome
    assert outcome is not None
    assert outcome["status"] == "rejected"


def test_each_fact_is_noted_once_with_its_audit_row(orders: TableOrders, order_id: str) -> None:
    order = running(orders, order_id)
    for _ in range(2):  # the second time on a record of before the first
        orders.change(order, note_goods, "reserved")
        orders.change(order, note_payment_intent, "pi_1")
        orders.change(order, note_charged)
        orders.change(order, note_shipment, "TRACK")
        orders.change(order, claim_confirmation)
        orders.change(order, claim_confirmation)
    orders.change(order, note_confirmation_sent)
    record = orders.read(order_id)
    assert (record.payment_intent_id, record.tracking_number, record.confirmation) == ("pi_1", "TRACK", "sent")
    assert (record.goods, record.charged_minor, record.refunded_minor) == ("reserved", 25800, 0)
    assert audits(orders, order_id) == [
        "accepted",
        "running",
        "goods_reserved",
        "payment_intent_opened",
        "payment_charged",
        "label_issued",
        "confirmation_claimed",
        "confirmation_sent",
    ]


def test_a_change_returns_the_record_as_it_then_stands(orders: TableOrders, order_id: str) -> None:
    """So that the next change can be tried on it without a read."""
    order = running(orders, order_id)
    changes: list[Callable[[], OrderRecord]] = [
        lambda: orders.change(order, note_payment_intent, "pi_1"),
        lambda: orders.change(order, note_refund, "re_1"),
        lambda: orders.change(order_id, request_cancel),
        lambda: orders.change(order_id, begin_undo, {"step": "create_shipment", "reason": "undeliverable_address"}),
        lambda: orders.change(order_id, close, ended(order_id, "compensated"), 0),
    ]
    for change in changes:
        assert change().model_dump() == orders.read(order_id).model_dump()


def test_writers_at_once_lose_nothing_and_number_their_audit_rows_without_a_gap(
    orders: TableOrders, order_id: str
) -> None:
    order = running(orders, order_id)
    notes = [
        lambda: orders.change(order, note_payment_intent, "pi_1"),
        lambda: orders.change(order, note_refund, "re_1"),
        lambda: orders.change(order, note_shipment, "TRACK"),
        lambda: orders.change(order, note_goods, "reserved"),
    ]
    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(note) for note in notes * 4]:
            done.result()
    record = orders.read(order_id)
    assert (record.payment_intent_id, record.refund_id, record.tracking_number) == ("pi_1", "re_1", "TRACK")
    assert record.goods == "reserved"
    assert len(audits(orders, order_id)) == 6


def test_a_cancel_and_the_claim_of_the_confirmation_cannot_both_win(orders: TableOrders) -> None:
    for _ in range(10):
        order_id = str(uuid.uuid4())
        order = running(orders, order_id)
        with ThreadPoolExecutor(2) as pool:
            claim = pool.submit(orders.change, order, claim_confirmation)
            cancel = pool.submit(orders.change, order_id, request_cancel)
            refused = isinstance(cancel.exception(), Conflict)
            claimed = claim.result().confirmation == "sending"
        record = orders.read(order_id)
        assert (claimed, record.confirmation, record.cancel_requested) == (
            (True, "sending", False) if refused else (False, None, True)
        )


def test_a_promised_cancel_ends_cancelled_and_is_promised_once(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    for _ in range(2):
        assert orders.change(order_id, request_cancel).cancel_requested
    record = orders.change(order_id, close, ended(order_id, "compensated"), 0)
    assert record.state == "cancelled"
    assert record.outcome is not None
    assert record.outcome["status"] == "cancelled"
    assert audits(orders, order_id).count("cancel_requested") == 1
    assert listed(orders, order_id).status == "cancelled"


@pytest.mark.parametrize("state", ["compensating", "needs_attention", "completed", "rejected", "compensated"])
def test_an_order_that_is_undone_or_ended_cannot_be_cancelled(
    orders: TableOrders, order_id: str, state: OrderStatus
) -> None:
    running(orders, order_id)
    if state in {"compensating", "needs_attention"}:
        orders.change(order_id, begin_undo, None)
    if state != "compensating":
        orders.change(order_id, close, ended(order_id, state), 1)
    with pytest.raises(Conflict, match=state):
        orders.change(order_id, request_cancel)


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


def approval_of(orders: TableOrders, order_id: str) -> Approval:
    approval = orders.read(order_id).approval
    assert approval is not None
    return approval


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
    assert orders.change(order_id, begin_undo, None).state == "compensating"
    assert orders.change(order_id, close, ended(order_id, "compensated"), 2).state == "compensated"


def test_one_caller_ever_may_send_the_cancellation_notice(orders: TableOrders, order_id: str) -> None:
    order = running(orders, order_id)
    assert not orders.apply(order, claim_cancellation_notice).events  # nothing was undone yet
    order = orders.change(order, close, ended(order_id, "compensated"), 0)
    with ThreadPoolExecutor(8) as pool:
        applied = pool.map(lambda _: orders.apply(order, claim_cancellation_notice), range(8))
        assert sum(each.events == ("farewell_claimed",) for each in applied) == 1


def test_personal_data_is_erased_from_a_finished_order_alone(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    with pytest.raises(Conflict, match="running"):
        orders.change(order_id, erase, b"thrown away")
    orders.change(order_id, close, ended(order_id, "completed"), 0)
    for _ in range(2):
        record = orders.change(order_id, erase, b"thrown away")
        assert (record.sent, record.total, record.lines) == ("", TOTAL, LINES)
    assert audits(orders, order_id).count("personal_data_erased") == 1
    assert request().body_hash() not in str(orders.read(order_id).stored)
    again = orders.accept(order_id, request())
    assert (again.inserted, again.record.is_erased) == (False, True)


def test_the_audit_trail_holds_no_personal_data(orders: TableOrders, order_id: str) -> None:
    order = orders.accept(order_id, request(customer__name="Canary Name")).record
    orders.change(orders.change(order, start, LINES, TOTAL, None), close, ended(order_id, "completed"), 0)
    rows = orders._table.query_entities(f"PartitionKey eq '{order_id}' and RowKey ge 'audit:'")
    told = " ".join(str(dict(row)) for row in rows if row["RowKey"] != "order")
    for canary in ("Canary", "ada@example.com", "St James", "pm_card_visa"):
        assert canary not in told


def test_an_order_without_a_record_is_a_fault_that_says_so(orders: TableOrders) -> None:
    assert orders.find("never-placed") is None
    with pytest.raises(Unavailable, match="never-placed has no record"):
        orders.change("never-placed", request_cancel)


def test_storage_that_is_away_is_unavailable_and_quotes_nothing(ports: object) -> None:
    nowhere = storage.EMULATOR.replace(":10002", ":9")
    with pytest.raises(Unavailable, match="did not answer"):
        storage.open_table(storage.connect({storage.SETTING: nowhere}), "orders")


def test_the_trail_tells_each_change_and_who_asked_for_it(orders: TableOrders, order_id: str) -> None:
    order = placed(orders, order_id)
    deadline = datetime.now(UTC) + timedelta(hours=1)
    order = orders.change(order, start, LINES, TOTAL, deadline)
    order = orders.change(order, decide_approval, Decision(approved=True, approver="grace"), datetime.now(UTC))
    order = orders.change(order, begin_undo, {"step": "send_confirmation", "reason": "recipient_rejected"})
    order = orders.change(order, close, parked(order_id), 1)
    orders.change(order, resolve, "refund_payment", PROOF)
    trail = orders.trail(order_id, 0, 100)
    assert trail.continuation is None
    assert [event.number for event in trail.events] == [1, 2, 3, 4, 5, 6]
    facts = {event.event: event.facts for event in trail.events}
    assert facts["accepted"] == {}
    assert facts["awaiting_approval"]["total"] == {"amount_minor": 25800, "currency": "gbp"}
    assert facts["approved"]["approval"]["approver"] == "grace"
    assert facts["closed"]["outcome"]["status"] == "needs_attention"
    assert (
        facts["compensation_resolved"].items()
        >= {
            "compensation": "refund_payment",
            "by": "ada",
            "reason": "the card is closed",
            "reference": "SEPA-4711",
        }.items()
    )
    assert "Ada" not in str(trail) and "pm_card" not in str(trail)


def test_the_trail_is_read_in_pages(orders: TableOrders, order_id: str) -> None:
    order = placed(orders, order_id)
    order = orders.change(order, start, LINES, TOTAL, None)
    order = orders.change(order, note_goods, "reserved")
    pages = [orders.trail(order_id, after, 2) for after in (0, 2)]
    assert [[event.event for event in page.events] for page in pages] == [["accepted", "running"], ["goods_reserved"]]
    assert [page.continuation for page in pages] == [2, None]
    assert orders.trail(str(uuid.uuid4()), 0, 2) == ((), None)


def test_an_order_notes_when_it_ended_and_keeps_it(orders: TableOrders, order_id: str) -> None:
    order = orders.change(placed(orders, order_id), start, LINES, TOTAL, None)
    assert order.ended_at is None
    order = orders.change(order, close, ended(order_id, "completed"), 0)
    assert order.ended_at is not None and order.ended_at >= order.accepted_at
    assert orders.change(order, erase, b"key").ended_at == order.ended_at
    assert orders.read(order_id).ended_at == order.ended_at
