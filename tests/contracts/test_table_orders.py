"""`TableOrders` against real tables: the record decides, under any number of writers, and the index follows it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from models.errors import Conflict, Unavailable
from models.order import Approval, Decision, Evidence, IndexEntry, Line, OrderRecord, Reason, Total
from models.status import CompensationView, OrderStatus, OrderView, fresh_view
from services import storage
from services.table_orders import TableOrders
from tests.servers import Azurite
from tests.unit.orders import request

LINES = (Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=12900),)
TOTAL = Total(amount_minor=25800, currency="gbp")
ADA = Reason(by="ada", reason="the bank is up again")
PROOF = Evidence(by="ada", reason="the card is closed", reference="SEPA-4711")


@pytest.fixture(scope="module")
def orders(azurite: Azurite) -> TableOrders:
    account = storage.connect({storage.SETTING: azurite.connection_string})
    return TableOrders(storage.open_table(account, "orderscontract"), storage.open_table(account, "orderindexcontract"))


@pytest.fixture
def order_id() -> str:
    return str(uuid.uuid4())


def ended(order_id: str, status: OrderStatus) -> OrderView:
    return fresh_view(order_id, status)


def parked(order_id: str) -> OrderView:
    view = fresh_view(order_id, "needs_attention")
    view.compensations = [
        CompensationView(name="refund_payment", status="failed"),
        CompensationView(name="release_inventory", status="done"),
    ]
    return view


def placed(orders: TableOrders, order_id: str) -> OrderRecord:
    return orders.accept(order_id, request()).record


def running(orders: TableOrders, order_id: str) -> OrderRecord:
    return orders.start(placed(orders, order_id), LINES, TOTAL, None)


def waiting(orders: TableOrders, order_id: str, seconds: float = 60) -> OrderRecord:
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    return orders.start(placed(orders, order_id), LINES, TOTAL, deadline)


def listed(orders: TableOrders, order_id: str) -> IndexEntry:
    """The order's one entry in the index."""
    today = datetime.now(UTC).date()
    page = orders.page(None, today, today - timedelta(days=1), 1000, None)
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
    assert orders.read(order_id).request == given


def test_another_body_under_the_same_id_leaves_the_first_as_it_is(orders: TableOrders, order_id: str) -> None:
    first = orders.accept(order_id, request())
    second = orders.accept(order_id, request(payment_method="pm_card_mastercard"))
    assert not second.inserted
    assert second.record == first.record


def test_starting_fixes_the_prices_once(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    again = orders.start(orders.read(order_id), (), Total(amount_minor=1, currency="usd"), None)
    assert (again.state, again.lines, again.total) == ("running", LINES, TOTAL)
    assert audits(orders, order_id) == ["accepted", "running"]


def test_a_closed_order_cannot_be_started_or_closed_otherwise(orders: TableOrders, order_id: str) -> None:
    order = placed(orders, order_id)
    orders.close(order_id, ended(order_id, "rejected"), 0)
    orders.close(order_id, ended(order_id, "completed"), 0)
    # `order` is the state before: it is tried first, and found to be old.
    assert orders.start(order, LINES, TOTAL, None).state == "rejected"
    outcome = orders.read(order_id).outcome
    assert outcome is not None
    assert outcome["status"] == "rejected"


def test_each_fact_is_noted_once_with_its_audit_row(orders: TableOrders, order_id: str) -> None:
    order = running(orders, order_id)
    for _ in range(2):  # the second time on a record of before the first
        orders.note_goods(order, "reserved")
        orders.note_payment_intent(order, "pi_1")
        orders.note_charged(order)
        orders.note_shipment(order, "TRACK")
        orders.claim_confirmation(order)
        orders.claim_confirmation(order)
    orders.note_confirmation_sent(order)
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
        lambda: orders.note_payment_intent(order, "pi_1"),
        lambda: orders.note_refund(order, "re_1"),
        lambda: orders.request_cancel(order_id),
        lambda: orders.begin_undo(order_id, {"step": "create_shipment", "reason": "undeliverable_address"}),
        lambda: orders.close(order_id, ended(order_id, "compensated"), 0),
    ]
    for change in changes:
        assert change().model_dump() == orders.read(order_id).model_dump()


def test_writers_at_once_lose_nothing_and_number_their_audit_rows_without_a_gap(
    orders: TableOrders, order_id: str
) -> None:
    order = running(orders, order_id)
    notes = [
        lambda: orders.note_payment_intent(order, "pi_1"),
        lambda: orders.note_refund(order, "re_1"),
        lambda: orders.note_shipment(order, "TRACK"),
        lambda: orders.note_goods(order, "reserved"),
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
            claim = pool.submit(orders.claim_confirmation, order)
            cancel = pool.submit(orders.request_cancel, order_id)
            refused = isinstance(cancel.exception(), Conflict)
            claimed = claim.result().confirmation == "sending"
        record = orders.read(order_id)
        assert (claimed, record.confirmation, record.cancel_requested) == (
            (True, "sending", False) if refused else (False, None, True)
        )


def test_a_promised_cancel_ends_cancelled_and_is_promised_once(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    for _ in range(2):
        assert orders.request_cancel(order_id).cancel_requested
    record = orders.close(order_id, ended(order_id, "compensated"), 0)
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
        orders.begin_undo(order_id, None)
    if state != "compensating":
        orders.close(order_id, ended(order_id, state), 1)
    with pytest.raises(Conflict, match=state):
        orders.request_cancel(order_id)


def test_one_decision_counts_and_belongs_to_its_total(orders: TableOrders, order_id: str) -> None:
    assert waiting(orders, order_id).state == "awaiting_approval"
    with ThreadPoolExecutor(8) as pool:
        decisions = [
            pool.submit(
                orders.decide_approval, order_id, Decision(approved=number % 2 == 0, approver=f"grace-{number}")
            )
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
        orders.decide_approval(late, Decision(approved=True, approver="grace"))
    assert orders.expire_approval(order).approval == approval_of(orders, late)
    assert approval_of(orders, late).verdict == "expired"
    order = waiting(orders, decided)
    orders.decide_approval(decided, Decision(approved=True, approver="grace"))
    orders.expire_approval(order)
    assert approval_of(orders, decided).verdict == "approved"
    assert orders.go_on(orders.read(decided)).state == "running"


def test_each_wait_for_a_decision_has_an_event_of_its_own(orders: TableOrders, order_id: str) -> None:
    order = waiting(orders, order_id)
    wakes = [approval_of(orders, order_id).wake]
    for _ in range(2):
        order = orders.ask_again(order)
        wakes.append(approval_of(orders, order_id).wake)
    assert len(set(wakes)) == 3


def approval_of(orders: TableOrders, order_id: str) -> Approval:
    approval = orders.read(order_id).approval
    assert approval is not None
    return approval


def test_an_undo_that_has_begun_is_noted_once_with_its_first_reason(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    failure = {"step": "process_payment", "reason": "card_declined"}
    orders.begin_undo(order_id, failure)
    record = orders.begin_undo(order_id, None)
    assert (record.state, record.undoing) == ("compensating", {"failure": failure})
    assert audits(orders, order_id).count("compensating") == 1
    assert orders.claim_confirmation(record).confirmation is None


def test_an_operator_acts_on_a_parked_undo_and_on_no_other(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    with pytest.raises(Conflict, match="running"):
        orders.request_retry(order_id, "refund_payment", ADA)
    orders.begin_undo(order_id, None)
    assert orders.close(order_id, parked(order_id), 1).attention == 1
    with pytest.raises(Conflict, match="release_inventory"):
        orders.resolve(order_id, "release_inventory", PROOF)
    orders.request_retry(order_id, "refund_payment", ADA)
    assert orders.resolve(order_id, "refund_payment", PROOF).resolved == {"refund_payment": PROOF}
    assert orders.read(order_id).resolved == {"refund_payment": PROOF}
    assert audits(orders, order_id)[-2:] == ["compensation_retry_requested", "compensation_resolved"]


def test_a_parked_order_is_parked_again_under_the_next_number(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    for attention in (1, 1, 2):
        orders.close(order_id, parked(order_id), attention)
    assert orders.read(order_id).attention == 2
    assert audits(orders, order_id).count("closed") == 2
    assert orders.begin_undo(order_id, None).state == "compensating"
    assert orders.close(order_id, ended(order_id, "compensated"), 2).state == "compensated"


def test_one_caller_ever_may_send_the_farewell(orders: TableOrders, order_id: str) -> None:
    order = running(orders, order_id)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: orders.claim_farewell(order), range(8))) == 1


def test_personal_data_is_erased_from_a_finished_order_alone(orders: TableOrders, order_id: str) -> None:
    running(orders, order_id)
    with pytest.raises(Conflict, match="running"):
        orders.erase(order_id)
    orders.close(order_id, ended(order_id, "completed"), 0)
    for _ in range(2):
        record = orders.erase(order_id)
        assert (record.request, record.total, record.lines) == (None, TOTAL, LINES)
    assert orders.read(order_id).body_hash == request().body_hash()
    assert audits(orders, order_id).count("personal_data_erased") == 1
    again = orders.accept(order_id, request())
    assert (again.inserted, again.record.request) == (False, None)


def test_the_index_follows_each_state(orders: TableOrders, order_id: str) -> None:
    order = placed(orders, order_id)
    entry = listed(orders, order_id)
    assert (entry.status, entry.skus, entry.amount_minor) == ("accepted", ("CRUNCHY-ARMCHAIR",), None)
    assert entry.accepted_at == order.accepted_at
    orders.start(order, LINES, TOTAL, None)
    entry = listed(orders, order_id)
    assert (entry.status, entry.amount_minor, entry.currency) == ("running", 25800, "gbp")
    orders.begin_undo(order_id, None)
    assert listed(orders, order_id).status == "compensating"
    orders.close(order_id, parked(order_id), 1)
    assert listed(orders, order_id).status == "needs_attention"
    orders.close(order_id, ended(order_id, "compensated"), 1)
    assert listed(orders, order_id).status == "compensated"


@pytest.mark.parametrize("status", get_args(OrderStatus))
def test_the_sweep_is_given_the_orders_that_are_to_have_a_saga(
    orders: TableOrders, order_id: str, status: OrderStatus
) -> None:
    today = datetime.now(UTC).date()
    order = running(orders, order_id)
    orders.follow(order.model_copy(update={"state": status}))
    unfinished = {entry.order_id for entry in orders.unfinished(today, 1, 1000)}
    assert (order_id in unfinished) == (status in {"accepted", "running", "awaiting_approval", "compensating"})


def test_the_sweeps_report_is_kept_until_the_next(orders: TableOrders) -> None:
    orders.note_sweep({"sagas_started": 2})
    last = orders.last_sweep()
    assert last is not None
    assert last == {"at": last["at"], "sagas_started": 2}
    orders.note_sweep({})
    last = orders.last_sweep()
    assert last is not None
    assert set(last) == {"at"}


def test_the_audit_trail_holds_no_personal_data(orders: TableOrders, order_id: str) -> None:
    order = orders.accept(order_id, request(customer__name="Canary Name")).record
    orders.close(orders.start(order, LINES, TOTAL, None).order_id, ended(order_id, "completed"), 0)
    rows = orders._table.query_entities(f"PartitionKey eq '{order_id}' and RowKey ge 'audit:'")
    told = " ".join(str(dict(row)) for row in rows if row["RowKey"] != "order")
    for canary in ("Canary", "ada@example.com", "St James", "pm_card_visa"):
        assert canary not in told


def test_an_order_without_a_record_is_a_fault_that_says_so(orders: TableOrders) -> None:
    assert orders.find("never-placed") is None
    with pytest.raises(Unavailable, match="never-placed has no record"):
        orders.request_cancel("never-placed")


def test_storage_that_is_away_is_unavailable_and_quotes_nothing(ports: object) -> None:
    nowhere = storage.EMULATOR.replace(":10002", ":9")
    with pytest.raises(Unavailable, match="did not answer"):
        storage.open_table(storage.connect({storage.SETTING: nowhere}), "orders")
