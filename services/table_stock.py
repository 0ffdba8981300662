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
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables import TableClient, TableTransactionError, UpdateMode

from models.errors import Conflict, Refused, Unavailable
from models.order_record import Line
from models.stock import InventoryUpdate, StockEntry, StockItem, StockPage
from services.storage import number, plain, storage_faults, write_attempts

PARTITION = "stock"
COUNTS = ("OnHand", "Reserved", "PriceMinor")
ResultT = TypeVar("ResultT")
LOST_THE_RACE = frozenset({409, 412})


class Move(NamedTuple):
    """What a change of a reservation's state does to each of its lines' counts, per unit."""

    to: str
    on_hand: int
    reserved: int


SELL = Move("sold", on_hand=-1, reserved=-1)
RELEASE = Move("released", on_hand=0, reserved=-1)


class TableStock:
    """The stock, for the edge and for the activities. Safe to share between threads.

    Writers of one process take turns by a lock, since each would only lose the next one's ETag; writers of other
    processes are met by the ETags themselves.
    """

    def __init__(self, table: TableClient) -> None:
        self._table = table
        self._one_writer = threading.Lock()

    def items(self, skus: Iterable[str]) -> Mapping[str, StockItem]:
        """The known SKUs among those asked for."""
        found = (self.find(sku) for sku in skus)
        return {shelf.item.sku: shelf.item for shelf in found if shelf is not None}

    def find(self, sku: str) -> StockEntry | None:
        with storage_faults(f"sku {sku}"):
            row = self._get(f"sku:{sku}")
            return None if row is None else _entry(row)

    def page(self, after: str | None, top: int) -> StockPage:
        """At most `top` SKUs in their order, those after `after`."""
        begin = "RowKey ge 'sku:'" if after is None else f"RowKey gt 'sku:{after}'"
        wanted = f"PartitionKey eq '{PARTITION}' and {begin} and RowKey lt 'sku;'"
        with storage_faults("the stock"):
            rows = self._table.query_entities(wanted, results_per_page=top + 1)
            entries = [_entry(_whole_counts(row)) for _, row in zip(range(top + 1), rows, strict=False)]
        continuation = entries[top - 1].item.sku if len(entries) > top else None
        return StockPage(tuple(entries[:top]), continuation)

    def is_empty(self) -> bool:
        with storage_faults("the stock"):
            return next(iter(self._table.query_entities(f"PartitionKey eq '{PARTITION}'")), None) is None

    def put(self, sku: str, update: InventoryUpdate, if_match: str | None = None) -> StockEntry:
        """Set count and price. Raises Conflict below what is reserved, and (stale) when `if_match` is no longer so."""
        return self._write(f"sku {sku}", lambda: self._put_once(sku, update, if_match))

    def reserve(self, order_id: str, lines: tuple[Line, ...]) -> None:
        """All lines or none. Safe to repeat. Raises Refused("out_of_stock" | "unknown_sku" | "already_released")."""
        self._write(f"the stock of order {order_id}", lambda: self._reserve_once(order_id, lines))

    def release(self, order_id: str) -> None:
        """reserved -> released, or a tombstone. Safe to repeat. Raises Refused("already_sold")."""
        self._write(f"the stock of order {order_id}", lambda: self._release_once(order_id))

    def sell(self, order_id: str) -> None:
        """reserved -> sold. Safe to repeat. Raises Unavailable when there is nothing reserved to sell."""
        self._write(f"the stock of order {order_id}", lambda: self._sell_once(order_id))

    def reservations(self, before: datetime, limit: int) -> list[str]:
        """Ids of orders that have held stock since before then, at most `limit`: for the sweep."""
        wanted = f"PartitionKey eq '{PARTITION}' and RowKey ge 'order:' and RowKey lt 'order;' and State eq 'reserved'"
        moment = f"datetime'{before.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}'"
        with storage_faults("the reservations"):
            rows = self._table.query_entities(f"{wanted} and ChangedAt lt {moment}", select=["RowKey"])
            return [row["RowKey"].removeprefix("order:") for _, row in zip(range(limit), rows, strict=False)]

    def reserved_for(self, order_id: str, sku: str) -> int:
        """How many units of a SKU are held for an order now: 0 once they are sold or released."""
        with storage_faults(f"the stock of order {order_id}"):
            row = self._get(f"order:{order_id}")
        if row is None or row.get("State") != "reserved":
            return 0
        return sum(int(line["quantity"]) for line in json.loads(row["Lines"]) if line["sku"] == sku)

    def _write(self, what: str, once: Callable[[], ResultT]) -> ResultT:
        """Try until no other writer was first."""
        with storage_faults(what):
            for _ in write_attempts(what):
                try:
                    with self._one_writer:
                        return once()
                except _LostTheRace:
                    continue
        raise AssertionError("write_attempts() ends by raising")

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
        if reservation is not None:
            if reservation["State"] == "released":
                raise Refused("already_released")
            return
        changes = [self._take(line) for line in lines]
        taken = json.dumps([{"sku": line.sku, "quantity": line.quantity} for line in lines])
        self._submit([*changes, ("create", _reservation(order_id, "reserved", taken))])

    def _take(self, line: Line) -> Any:
        row = self._get(f"sku:{line.sku}")
        if row is None:
            raise Refused("unknown_sku", skus=[line.sku])
        if row["OnHand"] - row["Reserved"] < line.quantity:
            raise Refused("out_of_stock")
        return _guarded(row, {"Reserved": row["Reserved"] + line.quantity})

    def _release_once(self, order_id: str) -> None:
        reservation = self._get(f"order:{order_id}")
        if reservation is None:
            self._submit([("create", _reservation(order_id, "released", "[]"))])
        elif reservation["State"] == "sold":
            raise Refused("already_sold")
        elif reservation["State"] == "reserved":
            self._move(reservation, RELEASE)

    def _sell_once(self, order_id: str) -> None:
        reservation = self._get(f"order:{order_id}")
        if reservation is None or reservation["State"] == "released":
            raise Unavailable(f"Order {order_id} has no reservation to sell.")
        if reservation["State"] == "reserved":
            self._move(reservation, SELL)

    def _move(self, reservation: Any, move: Move) -> None:
        changes = [self._count(line, move) for line in json.loads(reservation["Lines"])]
        self._submit([*changes, _guarded(reservation, {"State": move.to, "ChangedAt": datetime.now(UTC)})])

    def _count(self, line: Mapping[str, Any], move: Move) -> Any:
        row = self._get(f"sku:{line['sku']}")
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

    def _get(self, row_key: str) -> Any:
        try:
            row = self._table.get_entity(PARTITION, row_key)
        except ResourceNotFoundError:
            return None
        return _whole_counts(row) if row_key.startswith("sku:") else row

    def _submit(self, operations: list[Any]) -> None:
        try:
            self._table.submit_transaction(operations)
        except (TableTransactionError, HttpResponseError) as error:
            if error.status_code in LOST_THE_RACE:
                raise _LostTheRace from error
            raise


class _LostTheRace(Exception):
    """Another writer changed a row between our read and our write. Nothing was written."""


def _refuse_stale(sku: str, row: Any, if_match: str | None) -> None:
    if if_match is None:
        return
    if row is None or if_match not in {"*", row.metadata["etag"]}:
        raise Conflict(f"{sku} has changed since it was read: If-Match is not its ETag.", stale=True)


def _guarded(row: Any, columns: dict[str, Any]) -> Any:
    guard = {
        "mode": UpdateMode.MERGE,
        "etag": row.metadata["etag"],
        "match_condition": MatchConditions.IfNotModified,
    }
    return ("update", _entity(row["RowKey"], columns), guard)


def _entity(row_key: str, columns: dict[str, Any]) -> dict[str, Any]:
    return {"PartitionKey": PARTITION, "RowKey": row_key, **columns}


def _reservation(order_id: str, state: str, lines: str) -> dict[str, Any]:
    return _entity(f"order:{order_id}", {"State": state, "Lines": lines, "ChangedAt": datetime.now(UTC)})


def _whole(value: object) -> int:
    """A number of a row, as older code or a person may have written it (a text, say); 0 where there is none."""
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return 0


def _whole_counts(row: Any) -> Any:
    """The same row of a SKU, each count of it a whole number, also one that is missing or that another tool wrote."""
    row |= {column: 0 for column in COUNTS} | plain(row)
    row |= {column: _whole(row[column]) for column in COUNTS}
    return row


def _entry(row: Any) -> StockEntry:
    """Tolerant: what today's PUT would refuse is read as it was stored, and validation refuses to sell it."""
    item = StockItem(
        sku=row["RowKey"].removeprefix("sku:"),
        on_hand=row["OnHand"],
        reserved=row["Reserved"],
        price_minor=row["PriceMinor"],
        currency=str(row.get("Currency") or "").lower(),
    )
    return StockEntry(item, row.metadata["etag"])
