"""`TableOrders` against a real table: the record decides, under any number of writers."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.errors import Unavailable
from models.order import Line, Total
from models.status import OrderView, fresh_view
from services import storage
from services.table_orders import TableOrders
from tests.servers import Azurite
from tests.unit.orders import request

LINES = (Line(sku="CRUNCHY-ARMCHAIR", quantity=2, price_minor=12900),)
TOTAL = Total(amount_minor=25800, currency="gbp")


@pytest.fixture(scope="module")
def orders(azurite: Azurite) -> TableOrders:
    account = storage.connect({storage.SETTING: azurite.connection_string})
    return TableOrders(storage.open_table(account, "orderscontract"))


@pytest.fixture
def order_id() -> str:
    return str(uuid.uuid4())


def ended(order_id: str, status: str) -> OrderView:
    view = fresh_view(order_id)
    return view.model_copy(update={"status": status})


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
    orders.accept(order_id, request())
    orders.start(order_id, LINES, TOTAL)
    again = orders.start(order_id, (), Total(amount_minor=1, currency="usd"))
    assert (again.state, again.lines, again.total) == ("running", LINES, TOTAL)
    assert audits(orders, order_id) == ["accepted", "running"]


def test_a_closed_order_cannot_be_started_or_closed_otherwise(orders: TableOrders, order_id: str) -> None:
    orders.accept(order_id, request())
    orders.close(order_id, ended(order_id, "rejected"))
    orders.close(order_id, ended(order_id, "completed"))
    assert orders.start(order_id, LINES, TOTAL).state == "rejected"
    outcome = orders.read(order_id).outcome
    assert outcome is not None
    assert outcome["status"] == "rejected"


def test_each_fact_is_noted_once_with_its_audit_row(orders: TableOrders, order_id: str) -> None:
    orders.accept(order_id, request())
    for _ in range(2):
        orders.note_payment_intent(order_id, "pi_1")
        orders.note_shipment(order_id, "TRACK")
        orders.claim_confirmation(order_id)
        orders.claim_confirmation(order_id)
    orders.note_confirmation_sent(order_id)
    orders.note_refund(order_id, None)
    record = orders.read(order_id)
    assert (record.payment_intent_id, record.tracking_number, record.confirmation) == ("pi_1", "TRACK", "sent")
    assert record.refund_id is None
    assert audits(orders, order_id) == [
        "accepted",
        "payment_intent_opened",
        "label_issued",
        "confirmation_claimed",
        "confirmation_sent",
    ]


def test_writers_at_once_lose_nothing_and_number_their_audit_rows_without_a_gap(
    orders: TableOrders, order_id: str
) -> None:
    orders.accept(order_id, request())
    notes = [
        lambda: orders.note_payment_intent(order_id, "pi_1"),
        lambda: orders.note_refund(order_id, "re_1"),
        lambda: orders.note_shipment(order_id, "TRACK"),
        lambda: orders.start(order_id, LINES, TOTAL),
    ]
    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(note) for note in notes * 4]:
            done.result()
    record = orders.read(order_id)
    assert (record.payment_intent_id, record.refund_id, record.tracking_number) == ("pi_1", "re_1", "TRACK")
    assert record.state == "running"
    assert len(audits(orders, order_id)) == 5


def test_the_audit_trail_holds_no_personal_data(orders: TableOrders, order_id: str) -> None:
    orders.accept(order_id, request(customer__name="Canary Name"))
    orders.start(order_id, LINES, TOTAL)
    rows = orders._table.query_entities(f"PartitionKey eq '{order_id}' and RowKey ge 'audit:'")
    told = " ".join(str(dict(row)) for row in rows if row["RowKey"] != "order")
    for canary in ("Canary", "ada@example.com", "St James", "pm_card_visa"):
        assert canary not in told


def test_an_order_without_a_record_is_a_fault_that_says_so(orders: TableOrders) -> None:
    assert orders.find("never-placed") is None
    with pytest.raises(Unavailable, match="never-placed has no record"):
        orders.note_shipment("never-placed", "TRACK")


def test_storage_that_is_away_is_unavailable_and_quotes_nothing(ports: object) -> None:
    nowhere = storage.EMULATOR.replace(":10002", ":9")
    with pytest.raises(Unavailable, match="did not answer"):
        storage.open_table(storage.connect({storage.SETTING: nowhere}), "orders")
