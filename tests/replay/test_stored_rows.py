"""Rows that orders of each layout so far have left in storage are read by today's code, in each stage of an order.

The files in `records` are append-only, as the histories are. Each is read as it is, with a column and fields that are
unknown here, and with content that today's edge refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from activities.notification import cancellation_mail, confirmation_mail
from models.errors import Conflict, Unavailable
from models.order_record import OrderRecord
from models.order_request import OrderRequest
from models.states import FINAL_STATES
from models.view import view_of
from services.blob_labels import BlobLabels
from services.tables.order_index import OPEN, OrderIndex
from services.tables.order_rows import record_of
from services.tables.table_orders import TableOrders
from services.tables.table_stock import TableStock
from tests.replay.record_rows import FOLDER, LAYOUT, STAGES, digest_of, read, rows_in, text_of
from tests.support.pure_world import PureLabels, PureTable
from tests.support.shop_in_memory import Direct
from tests.unit.test_order_transitions import TRANSITIONS

FILES = sorted(FOLDER.glob("*.json"))
Rows = dict[str, list[dict[str, Any]]]


def as_stored(rows: Rows) -> Rows:
    return rows


def with_unknown_fields(rows: Rows) -> Rows:
    """As a later version would have written them."""
    return changed(
        rows, lambda sent: {**sent, "gift": True, "customer": {**sent["customer"], "loyalty": {"points": 7}}}
    )


def with_forbidden_content(rows: Rows) -> Rows:
    """As a version with other rules would have taken it: each field is one that today's edge refuses."""
    customer = {"id": "cust 42/é", "name": "x" * 500, "email": "ada@localhost"}
    address = {"name": "\u05d0\u05d1\u05d2", "line1": "\u5c71\u7530", "line2": "", "city": "\x07", "country": "XX"}
    items = [{"sku": "crunchy armchair", "quantity": 0}, {"sku": "crunchy armchair", "quantity": 10**6}]
    sent = {"customer": customer, "items": items, "payment_method": "card", "shipping_address": address}
    return changed(rows, lambda _: sent)


def with_fields_gone(rows: Rows) -> Rows:
    return changed(rows, lambda sent: {"items": sent["items"]})


def changed(rows: Rows, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Rows:
    for row in rows["orders"]:
        row["LoyaltyPoints"] = 7
        if row.get("Request"):
            row["Request"] = json.dumps(change(json.loads(row["Request"])))
    return rows


VARIANTS = (as_stored, with_unknown_fields, with_forbidden_content, with_fields_gone)
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem.rpartition(".")[0])
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)


class StoredOrder:
    """Tables with the rows of a file in them."""

    def __init__(self, rows: Rows) -> None:
        self.tables = {name: PureTable(name, Direct()) for name in ("orders", "orderindex")}
        for name, those in rows.items():
            self.tables[name].rows |= {(row["PartitionKey"], row["RowKey"]): row for row in those}
        tables = cast(dict[str, Any], self.tables)
        self.index = OrderIndex(tables["orderindex"])
        self.orders = TableOrders(tables["orders"], self.index)


pytestmark = pytest.mark.remedy(
    "A stored row is an order of yesterday: today's code must read it. A changed layout of rows is recorded anew by "
    'tests/replay/record_rows.py under a new LAYOUT: see "Add a field" in CONTRIBUTING.md.'
)


def stored(file: Path, variant: Callable[[Rows], Rows]) -> StoredOrder:
    return StoredOrder(variant(read(file.read_text(encoding="utf-8"))))


@each_file
def test_a_file_is_as_it_was_stored(file: Path) -> None:
    assert file.stem.rpartition(".")[2] == digest_of(file.read_text(encoding="utf-8")), "records are append-only"


@pytest.mark.parametrize("stage", STAGES)
def test_todays_rows_are_stored_too(stage: str) -> None:
    (file,) = FOLDER.glob(f"{LAYOUT}.{stage}.*.json")
    today, then = read(text_of(rows_in(stage))), read(file.read_text(encoding="utf-8"))
    assert {name: columns(rows) for name, rows in today.items()} == {
        name: columns(rows) for name, rows in then.items()
    }, "the layout of rows has changed: raise LAYOUT in tests/replay/record_rows.py and run it"


def columns(rows: list[dict[str, Any]]) -> list[list[str]]:
    return sorted(sorted(row) for row in rows)


@each_variant
@each_file
def test_an_order_is_read_shown_and_listed(file: Path, variant: Callable[[Rows], Rows]) -> None:
    shop = stored(file, variant)
    record = shop.orders.read("order-1")
    assert view_of(record, None).order_id == "order-1"
    assert (
        view_of(record, {"order_id": "order-1", "status": record.state, "steps": [], "new": 1}).status == record.state
    )
    shop.index.follow(record)
    (entry,) = [row for row in shop.tables["orderindex"].rows.values() if row["PartitionKey"] != "sweep"][-1:]
    assert entry["Status"] == record.state


@each_variant
@each_file
def test_each_transition_decides(file: Path, variant: Callable[[Rows], Rows]) -> None:
    """It changes the order, leaves it or refuses; and what it writes can be read."""
    for name, transition in TRANSITIONS.items():
        shop = stored(file, variant)
        try:
            record = shop.orders.change("order-1", transition)
        except (Conflict, ValueError):
            continue
        assert shop.orders.read("order-1").state == record.state, name


@each_variant
@each_file
def test_an_order_that_has_ended_is_erased(file: Path, variant: Callable[[Rows], Rows]) -> None:
    shop = stored(file, variant)
    if shop.orders.read("order-1").state in FINAL_STATES:
        shop.orders.change("order-1", TRANSITIONS["erase"])
        row = shop.tables["orders"].rows["order-1", "order"]
        assert (row["Request"], row["BodyHash"][:7]) == ("", "erased:")


@each_variant
@each_file
def test_the_contents_are_there_for_the_steps(file: Path, variant: Callable[[Rows], Rows]) -> None:
    record = stored(file, variant).orders.read("order-1")
    if record.is_erased:
        with pytest.raises(Unavailable, match="erased"):
            assert record.contents
        return
    assert record.contents.items[0].sku
    if record.total is not None:
        for mail in (confirmation_mail(record, None), cancellation_mail(record, "compensated", None)):
            assert "order-1" in mail.text


def test_todays_edge_refuses_the_forbidden_content() -> None:
    """Else the tests above would prove nothing."""
    (row,) = [row for row in with_forbidden_content(rows_in("accepted"))["orders"] if row["RowKey"] == "order"]
    with pytest.raises(ValidationError) as refused:
        OrderRequest.model_validate_json(row["Request"])
    named = {str(error["loc"][0]) for error in refused.value.errors()}
    assert named == {"customer", "items", "payment_method", "shipping_address"}


DAMAGED: dict[str, str] = {
    "no JSON": "{",
    "no object": "[]",
    "items of another kind": '{"items": {"sku": 1}}',
    "a quantity that is none": '{"items": [{"sku": "A", "quantity": "many"}]}',
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_contents_that_are_no_order_keep_it_from_being_driven_and_from_nothing_else(damage: str) -> None:
    rows = rows_in("running")
    next(row for row in rows["orders"] if row["RowKey"] == "order")["Request"] = DAMAGED[damage]
    shop = StoredOrder(rows)
    record = shop.orders.read("order-1")
    with pytest.raises(Unavailable, match="order-1 cannot be read") as raised:
        assert record.contents
    assert "many" not in str(raised.value)
    assert view_of(record, None).order_id == "order-1"
    shop.index.follow(record)
    for name in ("request_cancel", "begin_undo", "close", "erase"):
        record = shop.orders.change("order-1", TRANSITIONS[name])
    assert record.is_erased


# The index and the stock.


@each_file
def test_an_index_entry_is_listed_and_moved_to_where_it_belongs(file: Path) -> None:
    shop = stored(file, as_stored)
    record = shop.orders.read("order-1")
    day = record.accepted_at.date()
    (entry,) = shop.index.page(None, day, day, 10, None).entries
    assert (entry.order_id, entry.skus) == ("order-1", ("CRUNCHY-ARMCHAIR",))
    assert entry.status in ({"accepted", "running"} if record.state in {"accepted", "running"} else {record.state})
    shop.index.put_right(entry, record)
    (key,) = shop.tables["orderindex"].rows
    assert key[0] == (day.isoformat() if record.is_final else OPEN)


STOCK: dict[str, dict[str, Any]] = {
    "sku:CRUNCHY-ARMCHAIR": {"OnHand": 5, "Reserved": 2, "PriceMinor": 12900, "Currency": "gbp"},
    "order:order-1": {"State": "reserved", "Lines": '[{"sku": "CRUNCHY-ARMCHAIR", "quantity": 2}]'},
}


@pytest.mark.parametrize("verb", ["release", "sell"])
def test_a_reservation_with_columns_and_fields_that_are_unknown_here_is_moved(verb: str) -> None:
    table = PureTable("stock", Direct())
    for key, row in STOCK.items():
        lines = {"Lines": '[{"sku": "CRUNCHY-ARMCHAIR", "quantity": 2, "engraving": "A"}]'} if "Lines" in row else {}
        table.rows["stock", key] = {
            "PartitionKey": "stock",
            "RowKey": key,
            "etag": "1",
            **row,
            "Warehouse": "W1",
            **lines,
        }
    getattr(TableStock(cast(Any, table)), verb)("order-1")
    counts = table.rows["stock", "sku:CRUNCHY-ARMCHAIR"]
    assert (counts["OnHand"], counts["Reserved"]) == ((5, 0) if verb == "release" else (3, 0))


def test_no_step_reads_an_order_by_the_rules_of_the_edge() -> None:
    """A rule of the edge that becomes stricter must leave orders in flight alone."""
    root = Path(__file__).resolve().parents[2]
    rooms = ("activities", "orchestrators", "reconciliation", "services")
    readers = {
        path.relative_to(root).as_posix()
        for room in rooms
        for path in (root / room).rglob("*.py")
        if "OrderRequest" in path.read_text(encoding="utf-8")
    }
    assert readers == {"services/tables/table_orders.py"}  # which stores what the edge has read


def test_an_order_record_has_no_rule_of_the_edge() -> None:
    assert not [
        field for field in OrderRecord.model_fields.values() if field.metadata and "pattern" in str(field.metadata)
    ]


LABELS: dict[str, dict[str, str]] = {
    "of today": {"order_id": "order-1", "tracking_number": "TRACKING", "status": "issued"},
    "with a key that is unknown here": {"order_id": "order-1", "status": "issued", "carrier": "post"},
    "without a status": {"order_id": "order-1"},
    "of a status that is unknown here": {"order_id": "order-1", "status": "printed"},
}


@pytest.mark.parametrize("metadata", LABELS.values(), ids=LABELS)
def test_a_label_is_found_voided_and_stays_void(metadata: dict[str, str]) -> None:
    blobs = PureLabels(Direct())
    labels = BlobLabels(cast(Any, blobs))
    blobs.blobs["order-1.pdf"] = SimpleNamespace(etag="1", metadata=metadata)
    (row,) = [row for row in rows_in("running")["orders"] if row["RowKey"] == "order"]
    assert labels.issue(record_of(row))
    labels.void("order-1")
    labels.erase("order-1")
    assert blobs.status("order-1") == "void"
