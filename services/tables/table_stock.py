"""`TableStock`: what is on the shelf and what is reserved, in table `stock`, one partition.

Rows `sku:<SKU>` hold the counts, rows `order:<id>` one reservation an order. A reservation and the counts that it
changes are one entity-group transaction, each row guarded by its ETag: all lines or none, no oversell under any number
of writers, and no crash between the record of an operation and its effect. At most 51 operations of the 100 that Azure
allows.

    reserve   (nothing) -> reserved    reserved += n
    sell      reserved  -> sold        reserved -= n, on_hand -= n
    release   reserved  -> released    reserved -= n
    release   (nothing) -> released    a tombstone without lines: a reserve that arrives late is refused

Rejected: a row a SKU in partitions of their own, which would scale further and could not reserve two SKUs in one
transaction (docs/decisions/0018-all-stock-in-one-partition.md says what it bounds).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables import TableClient, TableTransactionError, UpdateMode

from models.errors import Conflict, Refused, Unavailable
from models.order_parts import Line
from models.stock import Held, InventoryUpdate, StockEntry, StockItem, StockPage
from services.storage import number, plain, storage_faults, write_attempts
from services.tables.bounded_reads import quoted, read_part
from services.tables.recent_rows import RecentRows

PARTITION = "stock"
POINT_READS_AT_ONCE = 8
COUNTS = ("OnHand", "Reserved", "PriceMinor")
ResultT = TypeVar("ResultT")
Columns = dict[str, Any]
Operation = tuple[Any, ...]
Get = Callable[[str], Columns | None]
LOST_THE_RACE = frozenset({409, 412})


class Move(NamedTuple):
    """The changes of a line's counts, per unit, when its reservation changes state."""

    to: str
    on_hand: int
    reserved: int


SELL = Move("sold", on_hand=-1, reserved=-1)
RELEASE = Move("released", on_hand=0, reserved=-1)


class TableStock:
    """The stock, for the edge and for the activities. Safe to share between threads.

    Writers of one process take turns by a lock, because each write makes the others' ETags stale. ETags guard against
    writers of other processes.

    Each row that was read or written is remembered with its ETag. A caller who allows it (`remembered`) has its change
    tried on these rows first, without a read. They may be out of date: then the ETags refuse the transaction, and the
    rows are read. So nothing is refused on them, and nothing is found done on them.
    """

    def __init__(self, table: TableClient) -> None:
        self._table = table
        self._one_writer = threading.Lock()
        self._memory = RecentRows()
        self._side_by_side = ThreadPoolExecutor(POINT_READS_AT_ONCE, "stock")

    def items(self, skus: Iterable[str]) -> Mapping[str, StockItem]:
        """The items of these SKUs, by SKU; an unknown SKU is left out. Point reads, in parallel."""
        wanted = list(skus)
        entries = self._side_by_side.map(self.find, wanted) if len(wanted) > 1 else map(self.find, wanted)
        return {entry.item.sku: entry.item for entry in entries if entry is not None}

    def find(self, sku: str) -> StockEntry | None:
        with storage_faults(f"sku {sku}"):
            row = self._get(f"sku:{sku}")
            return None if row is None else _entry(row)

    def page(self, after: str | None, top: int) -> StockPage:
        """At most `top` SKUs in ascending order, those after `after`."""
        begin = "RowKey ge 'sku:'" if after is None else f"RowKey gt 'sku:{after}'"
        wanted = f"PartitionKey eq '{PARTITION}' and {begin} and RowKey lt 'sku;'"
        with storage_faults("the stock"):
            rows = self._table.query_entities(wanted, results_per_page=top + 1)
            entries = [_entry(_columns(row)) for _, row in zip(range(top + 1), rows, strict=False)]
        continuation = entries[top - 1].item.sku if len(entries) > top else None
        return StockPage(tuple(entries[:top]), continuation)

    def is_empty(self) -> bool:
        with storage_faults("the stock"):
            return next(iter(self._table.query_entities(f"PartitionKey eq '{PARTITION}'")), None) is None

    def put(self, sku: str, update: InventoryUpdate, if_match: str | None = None) -> StockEntry:
        """Set count and price. Raises Conflict below what is reserved, and (stale) if `if_match` is not the ETag."""
        return self._write(f"sku {sku}", lambda: self._put_once(sku, update, if_match))

    def reserve(self, order_id: str, lines: tuple[Line, ...], *, remembered: bool = False) -> None:
        """Reserve all lines or none. Safe to repeat.

        Raises Refused("out_of_stock" | "unknown_sku" | "already_released").
        """
        if remembered and self._tried(order_id, lambda: self._reservation(order_id, lines, self._memory.get)):
            return
        self._write(f"the stock of order {order_id}", lambda: self._reserve_once(order_id, lines))

    def release(self, order_id: str) -> None:
        """reserved -> released, or a tombstone. Safe to repeat. Raises Refused("already_sold")."""
        self._write(f"the stock of order {order_id}", lambda: self._release_once(order_id))

    def sell(self, order_id: str, *, remembered: bool = False) -> None:
        """reserved -> sold. Safe to repeat. Raises Unavailable when there is nothing reserved to sell."""
        if remembered and self._tried(order_id, lambda: self._remembered_sale(order_id)):
            return
        self._write(f"the stock of order {order_id}", lambda: self._sell_once(order_id))

    def reservations(self, before: datetime, after: str | None, limit: int) -> Held:
        """Orders that have held stock since before then, at most `limit`: for the sweep.

        One read of a part of the rows, which begins after the order `after`: most of them are of orders that ended.
        """
        wanted = f"PartitionKey eq '{PARTITION}' and RowKey gt 'order:{quoted(after or '')}' and RowKey lt 'order;'"
        columns = ["RowKey", "State", "ChangedAt"]
        with storage_faults("the reservations"):
            part = read_part(self._table, wanted, lambda row: _is_held(row, before), limit, columns)
            ids = tuple(_order_of(row["RowKey"]) for row in part.rows)
            return Held(ids, _order_of(part.after) if part.after else None)

    def reserved_for(self, order_id: str, sku: str) -> int:
        """The units of a SKU that an order holds now: 0 once they are sold or released."""
        with storage_faults(f"the stock of order {order_id}"):
            row = self._get(f"order:{order_id}")
        if row is None or row.get("State") != "reserved":
            return 0
        return sum(int(line["quantity"]) for line in json.loads(row["Lines"]) if line["sku"] == sku)

    def _write(self, subject: str, once: Callable[[], ResultT]) -> ResultT:
        """Try until no other writer was first."""
        with storage_faults(subject):
            for _ in write_attempts(subject):
                try:
                    with self._one_writer:
                        return once()
                except _LostTheRace:
                    continue
        raise AssertionError("write_attempts() ends by raising")

    def _tried(self, order_id: str, guessed: Callable[[], list[Operation]]) -> bool:
        """One transaction on remembered rows. False: a row was missing or out of date; nothing was written."""
        with storage_faults(f"the stock of order {order_id}"), self._one_writer:
            try:
                self._submit(guessed())
            except (Refused, Unavailable, _LostTheRace):
                return False
            return True

    def _put_once(self, sku: str, update: InventoryUpdate, if_match: str | None) -> StockEntry:
        row = self._get(f"sku:{sku}")
        _refuse_stale(sku, row, if_match)
        columns = {"OnHand": update.on_hand, "PriceMinor": number(update.price_minor), "Currency": update.currency}
        if row is None:
            self._submit([("create", _entity(f"sku:{sku}", {**columns, "Reserved": 0}))])
        elif update.on_hand < row["Reserved"]:
            raise Conflict(f"{row['Reserved']} units of {sku} are reserved: on_hand may not fall below them.")
        else:
            self._submit([_guarded(row, columns)])
        written = self._get(f"sku:{sku}")
        if written is None:
            raise Unavailable(f"sku {sku} is gone just after it was written.")
        return _entry(written)._replace(created=row is None)

    def _reserve_once(self, order_id: str, lines: tuple[Line, ...]) -> None:
        reservation = self._get(f"order:{order_id}")
        if reservation is None:
            self._submit(self._reservation(order_id, lines, self._get))
        elif reservation["State"] == "released":
            raise Refused("already_released")

    def _reservation(self, order_id: str, lines: tuple[Line, ...], get: Get) -> list[Operation]:
        changes = [_take(line, get) for line in lines]
        taken = json.dumps([{"sku": line.sku, "quantity": line.quantity} for line in lines])
        return [*changes, ("create", _reservation(order_id, "reserved", taken))]

    def _release_once(self, order_id: str) -> None:
        reservation = self._get(f"order:{order_id}")
        if reservation is None:
            self._submit([("create", _reservation(order_id, "released", "[]"))])
        elif reservation["State"] == "sold":
            raise Refused("already_sold")
        elif reservation["State"] == "reserved":
            self._submit(_moved(reservation, RELEASE, self._get))

    def _sell_once(self, order_id: str) -> None:
        reservation = self._get(f"order:{order_id}")
        if reservation is None or reservation["State"] == "released":
            raise Unavailable(f"Order {order_id} has no reservation to sell.")
        if reservation["State"] == "reserved":
            self._submit(_moved(reservation, SELL, self._get))

    def _remembered_sale(self, order_id: str) -> list[Operation]:
        reservation = self._memory.get(f"order:{order_id}")
        if reservation is None or reservation["State"] != "reserved":
            raise _LostTheRace
        return _moved(reservation, SELL, self._memory.get)

    def _get(self, row_key: str) -> Columns | None:
        since = self._memory.moment()
        try:
            entity = self._table.get_entity(PARTITION, row_key)
        except ResourceNotFoundError:
            self._memory.forget([row_key])
            return None
        row = _columns(entity)
        self._memory.read(row_key, row, since)
        return row

    def _submit(self, operations: list[Operation]) -> None:
        keys = [operation[1]["RowKey"] for operation in operations]
        try:
            written = self._table.submit_transaction(operations)
        except (TableTransactionError, HttpResponseError) as error:
            self._memory.forget(keys)
            if error.status_code in LOST_THE_RACE:
                raise _LostTheRace from error
            raise
        for (_, columns, *guard), metadata in zip(operations, written, strict=True):
            on = guard[0]["etag"] if guard else None
            self._memory.written(columns["RowKey"], columns, metadata["etag"], on=on)


class _LostTheRace(Exception):
    """Another writer changed a row between our read and our write. Nothing was written."""


def _is_held(row: Mapping[str, Any], before: datetime) -> bool:
    changed_at = row.get("ChangedAt")
    return row.get("State") == "reserved" and isinstance(changed_at, datetime) and changed_at < before


def _order_of(row_key: str) -> str:
    return row_key.removeprefix("order:")


def _take(line: Line, get: Get) -> Operation:
    row = get(f"sku:{line.sku}")
    if row is None:
        raise Refused("unknown_sku", skus=[line.sku])
    if row["OnHand"] - row["Reserved"] < line.quantity:
        raise Refused("out_of_stock")
    return _guarded(row, {"Reserved": row["Reserved"] + line.quantity})


def _moved(reservation: Columns, move: Move, get: Get) -> list[Operation]:
    changes = [_count(line, move, get) for line in json.loads(reservation["Lines"])]
    return [*changes, _guarded(reservation, {"State": move.to, "ChangedAt": datetime.now(UTC)})]


def _count(line: Mapping[str, Any], move: Move, get: Get) -> Operation:
    row = get(f"sku:{line['sku']}")
    if row is None:
        raise Unavailable(f"sku {line['sku']} is reserved, but its row is gone.")
    quantity = line["quantity"]
    return _guarded(
        row,
        {
            "OnHand": row["OnHand"] + move.on_hand * quantity,
            "Reserved": row["Reserved"] + move.reserved * quantity,
        },
    )


def _refuse_stale(sku: str, row: Columns | None, if_match: str | None) -> None:
    if if_match is None:
        return
    if row is None or if_match not in {"*", row["etag"]}:
        raise Conflict(f"{sku} has changed since it was read: If-Match is not its ETag.", stale=True)


def _guarded(row: Columns, columns: Columns) -> Operation:
    guard = {
        "mode": UpdateMode.MERGE,
        "etag": row["etag"],
        "match_condition": MatchConditions.IfNotModified,
    }
    return ("update", _entity(row["RowKey"], columns), guard)


def _entity(row_key: str, columns: Columns) -> Columns:
    return {"PartitionKey": PARTITION, "RowKey": row_key, **columns}


def _reservation(order_id: str, state: str, lines: str) -> Columns:
    return _entity(f"order:{order_id}", {"State": state, "Lines": lines, "ChangedAt": datetime.now(UTC)})


def _whole(value: object) -> int:
    """A number of a row, as older code or a person may have written it (a text, say); 0 where there is none."""
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return 0


def _columns(entity: Any) -> Columns:
    """A row as the table client returns it, with its ETag; a SKU's counts as whole numbers."""
    row = {**entity, "etag": entity.metadata["etag"]}
    if entity["RowKey"].startswith("sku:"):
        row |= {column: 0 for column in COUNTS} | plain(row)
        row |= {column: _whole(row[column]) for column in COUNTS}
    return row


def _entry(row: Columns) -> StockEntry:
    """Tolerant: what today's PUT would refuse is read as it was stored, and validation refuses to sell it."""
    item = StockItem(
        sku=row["RowKey"].removeprefix("sku:"),
        on_hand=row["OnHand"],
        reserved=row["Reserved"],
        price_minor=row["PriceMinor"],
        currency=str(row.get("Currency") or "").lower(),
    )
    return StockEntry(item, row["etag"])
