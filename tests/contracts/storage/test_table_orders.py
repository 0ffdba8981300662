"""`TableOrders` against real tables: the record decides, under any number of writers, and the index follows it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from models.errors import Conflict, Unavailable
from models.money import Total
from models.order_record import (
    OrderRecord,
    begin_undo,
    claim_cancellation_notice,
    claim_confirmation,
    close,
    erase,
    note_charged,
    note_confirmation_sent,
    note_goods,
    note_payment_intent,
    note_refund,
    note_shipment,
    request_cancel,
    start,
)
from models.order_request import OrderRequest
from models.states import OrderStatus
from services import storage
from services.tables.table_orders import TableOrders
from tests.contracts.storage.stored_orders import LINES, TOTAL, audits, ended, listed, placed, running
from tests.unit.orders import request


def test_exactly_one_of_fifty_equal_posts_inserts_the_order(orders: TableOrders, order_id: str) -> None:
    with ThreadPoolExecutor(50) as pool:
        accepted = list(pool.map(lambda _: orders.accept(order_id, request()), range(50)))
    assert sum(acceptance.inserted for acceptance in accepted) == 1
    assert {acceptance.record.state for acceptance in accepted} == {"accepted"}
    assert audits(orders, order_id) == ["accepted"]


def test_the_record_gives_back_what_the_client_sent(orders: TableOrders, order_id: str) -> None:
    sent = request(customer__name="山田", shipping_address__city="Łódź", shipping_address__line2="Flat 2")
    orders.accept(order_id, sent)
    stored = orders.read(order_id)
    assert OrderRequest.model_validate_json(stored.sent) == sent
    assert stored.contents.customer.model_dump() == sent.customer.model_dump()
    assert stored.contents.shipping_address.model_dump() == sent.shipping_address.model_dump()
    assert [item.model_dump() for item in stored.contents.items] == [item.model_dump() for item in sent.items]


@pytest.mark.parametrize(
    "other", ["#1001", "A/1001", "A\\1001", "who?", "tab\t", "x" * 2000, "", "it's", "50%", " ", "ø"]
)
def test_an_id_that_another_shop_gave_a_payment_is_the_id_of_no_order_of_ours(orders: TableOrders, other: str) -> None:
    """The sweep and the webhooks meet ids of other shops at the same provider. Not all of them can be keys."""
    assert orders.find(other) is None


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
    arrive = placed if state == "rejected" else running  # an order that has run is not rejected
    arrive(orders, order_id)
    if state in {"compensating", "needs_attention"}:
        orders.change(order_id, begin_undo, None)
    if state != "compensating":
        orders.change(order_id, close, ended(order_id, state), 1)
    with pytest.raises(Conflict, match=state):
        orders.change(order_id, request_cancel)


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


def test_an_order_without_a_record_is_a_fault_that_says_so(orders: TableOrders) -> None:
    assert orders.find("never-placed") is None
    with pytest.raises(Unavailable, match="never-placed has no record"):
        orders.change("never-placed", request_cancel)


def test_storage_that_is_away_is_unavailable_and_quotes_nothing(ports: object) -> None:
    nowhere = storage.EMULATOR.replace(":10002", ":9")
    with pytest.raises(Unavailable, match="did not answer"):
        storage.open_table(storage.connect({storage.SETTING: nowhere}), "orders")


def test_an_order_notes_when_it_ended_and_keeps_it(orders: TableOrders, order_id: str) -> None:
    order = orders.change(placed(orders, order_id), start, LINES, TOTAL, None)
    assert order.ended_at is None
    order = orders.change(order, close, ended(order_id, "completed"), 0)
    assert order.ended_at is not None and order.ended_at >= order.accepted_at
    assert orders.change(order, erase, b"key").ended_at == order.ended_at
    assert orders.read(order_id).ended_at == order.ended_at
