"""The outside world of one order, in memory: tables, labels, Stripe and a mail server, without a process or a socket.

The app's own adapters stand on it unchanged, so that what the model explores is the code that runs: the record's rules
are `TableOrders`, the stock's `TableStock`, the charge's `StripePayments`. Tables and blobs keep what storage keeps:
ETags, create-if-absent, one transaction or nothing. Stripe is the sandbox's own till, called without HTTP.

Every call to the outside goes through `Wire`, which is where the model makes it fail, and where it looks at the world
after each commit.
"""

from __future__ import annotations

import itertools
import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import urlsplit

import stripe
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.data.tables import TableTransactionError, UpdateMode

from activities.notification import Mail
from models.errors import OutcomeUnknown, Refused, Unavailable
from sandbox.ledger import JsonObject
from sandbox.payments.errors import StripeError, api_error
from sandbox.payments.http_api import operations
from sandbox.payments.idempotency import StripeResponse, Till, error_response
from sandbox.payments.request import Call, Params, decode
from sandbox.payments.state import Books

BOUNCES = "@bounce.invalid"


class Wire(Protocol):
    """`call` performs one request, or makes it suffer a fate. `lost` makes the error of an answer that never came.

    `writes`: the request may change something. `stored_failure`, where the provider has that: done, and a 500 stored.
    """

    def call(
        self,
        name: str,
        perform: Callable[[], Any],
        lost: Callable[[], Exception],
        *,
        writes: bool,
        stored_failure: Callable[[], Any] | None = None,
    ) -> Any: ...


class Row(dict[str, Any]):
    """An entity, as the table client hands it out."""

    metadata: dict[str, Any]


def _row(columns: Mapping[str, Any]) -> Row:
    row = Row({name: value for name, value in columns.items() if name != "etag"})
    row.metadata = {"etag": columns["etag"]}
    return row


def _no_answer() -> Exception:
    return ServiceResponseError("the connection was lost")


class QueryResult:
    """What a query found, as the table client hands it out: row by row, or in pages with a continuation."""

    def __init__(self, rows: list[Row], per_page: int) -> None:
        self._rows, self._per_page = rows, per_page

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def by_page(self) -> Pages:
        return Pages(self._rows, self._per_page)


class Pages:
    """`continuation_token` is None when the last page was handed out."""

    def __init__(self, rows: list[Row], per_page: int) -> None:
        self._rows, self._per_page, self._at = rows, per_page, 0
        self.continuation_token: str | None = None

    def __iter__(self) -> Pages:
        return self

    def __next__(self) -> Iterator[Row]:
        if self._at and self._at >= len(self._rows):
            raise StopIteration
        page, self._at = self._rows[self._at : self._at + self._per_page], self._at + self._per_page
        self.continuation_token = str(self._at) if self._at < len(self._rows) else None
        return iter(page)


class PureTable:
    """What the adapters use of `azure.data.tables.TableClient`."""

    def __init__(self, name: str, wire: Wire) -> None:
        self._name, self._wire = name, wire
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self._etags = (f'W/"{number}"' for number in itertools.count(1))

    def get_entity(self, partition: str, row: str) -> Row:
        entity: Row = self._call("read", lambda: self._get(partition, row), writes=False)
        return entity

    def submit_transaction(self, operations: list[Any]) -> list[dict[str, Any]]:
        written: list[dict[str, Any]] = self._call("write", lambda: self._submit(operations), writes=True)
        return written

    def create_entity(self, entity: Mapping[str, Any]) -> None:
        self._call("write", lambda: self._create(entity), writes=True)

    def upsert_entity(self, entity: Mapping[str, Any], mode: UpdateMode = UpdateMode.MERGE) -> None:
        self._call("write", lambda: self._put(entity, mode), writes=True)

    def delete_entity(self, partition: str, row: str) -> None:
        self._call("write", lambda: self.rows.pop((partition, row), None), writes=True)

    def query_entities(self, wanted: str, results_per_page: int = 1000, **_: Any) -> QueryResult:
        return QueryResult(self._call("read", lambda: self._matching(wanted), writes=False), results_per_page)

    def _call(self, verb: str, perform: Callable[[], Any], *, writes: bool) -> Any:
        return self._wire.call(f"{self._name}.{verb}", perform, _no_answer, writes=writes)

    def _create(self, entity: Mapping[str, Any]) -> None:
        if _key(entity) in self.rows:
            raise ResourceExistsError("there is one already")
        self._put(entity)

    def _matching(self, wanted: str) -> list[Row]:
        conditions = [_condition(text) for text in re.split(r" and (?![^(]*\))", wanted)]
        keys = sorted(key for key, row in self.rows.items() if all(holds(row) for holds in conditions))
        return [_row(self.rows[key]) for key in keys]

    def _get(self, partition: str, row: str) -> Row:
        if (partition, row) not in self.rows:
            raise ResourceNotFoundError("there is no such row")
        return _row(self.rows[partition, row])

    def _submit(self, operations: list[Any]) -> list[dict[str, Any]]:
        for kind, entity, *guard in operations:
            self._check(kind, _key(entity), guard[0] if guard else {})
        return [{"etag": self._put(entity)} for _, entity, *_ in operations]

    def _check(self, kind: str, key: tuple[str, str], guard: Mapping[str, Any]) -> None:
        there = self.rows.get(key)
        if kind == "create" and there is not None:
            raise _refused(409)
        if kind == "update" and (there is None or there["etag"] != guard.get("etag", there["etag"])):
            raise _refused(412)

    def _put(self, entity: Mapping[str, Any], mode: UpdateMode = UpdateMode.MERGE) -> str:
        etag = next(self._etags)
        kept = self.rows.get(_key(entity), {}) if mode is UpdateMode.MERGE else {}
        self.rows[_key(entity)] = {**kept, **entity, "etag": etag}
        return etag


COMPARED: dict[str, Callable[[Any, Any], bool]] = {name: getattr(operator, name) for name in ("eq", "gt", "ge", "lt")}


def _condition(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """One condition of a filter, of the few forms that the adapters write."""
    if text.startswith("not ("):
        inner = [_condition(part) for part in text[len("not (") : -1].split(" or ")]
        return lambda row: not any(holds(row) for holds in inner)
    if text.startswith("("):
        choice = [_condition(part) for part in text[1:-1].split(" or ")]
        return lambda row: any(holds(row) for holds in choice)
    match = re.fullmatch(r"(\w+) (eq|gt|ge|lt) (datetime)?'(.*)'", text)
    assert match, text
    column, verb, moment, value = match.groups()
    wanted = datetime.fromisoformat(value) if moment else value
    return lambda row: column in row and COMPARED[verb](row[column], wanted)


def _key(entity: Mapping[str, Any]) -> tuple[str, str]:
    return entity["PartitionKey"], entity["RowKey"]


def _refused(status: int) -> TableTransactionError:
    error = TableTransactionError(message="0:the row is not as it was")
    error.status_code = status
    return error


class PureLabels:
    """What the adapter uses of `azure.storage.blob.ContainerClient`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._etags = itertools.count(1)
        self.blobs: dict[str, SimpleNamespace] = {}

    def upload_blob(self, name: str, page: bytes, **options: Any) -> None:
        self._wire.call("labels.write", lambda: self._upload(name, options), _no_answer, writes=True)

    def get_blob_client(self, name: str) -> Any:
        return SimpleNamespace(
            get_blob_properties=lambda: self._wire.call(
                "labels.read", lambda: self._properties(name), _no_answer, writes=False
            )
        )

    def _upload(self, name: str, options: Mapping[str, Any]) -> None:
        there = self.blobs.get(name)
        if there is not None and not options["overwrite"]:
            raise ResourceExistsError("there is one already")
        if "etag" in options and (there is None or there.etag != options["etag"]):
            raise ResourceModifiedError("it is another one")
        self.blobs[name] = SimpleNamespace(etag=str(next(self._etags)), metadata=dict(options["metadata"]))

    def _properties(self, name: str) -> Any:
        if name not in self.blobs:
            raise ResourceNotFoundError("there is no such blob")
        return self.blobs[name]

    def status(self, order_id: str) -> str | None:
        blob = self.blobs.get(f"{order_id}.pdf")
        return None if blob is None else str(blob.metadata["status"])


class PureLedger:
    """The sandbox's ledger, without its file."""

    def __init__(self) -> None:
        self.rows: list[JsonObject] = []

    def recall(self, take: Callable[[JsonObject], None]) -> None:
        """There is nothing to recall."""

    def commit(self, rows: list[JsonObject], **state: Any) -> list[JsonObject]:
        self.rows += rows
        return rows


class PureStripe(stripe.HTTPClient):
    """Stripe, as the official client's own transport: requests go to the sandbox's till in this process."""

    name = "pure"
    routes = operations(search_lag_s=60)

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire
        self.ledger = PureLedger()
        ledger: Any = self.ledger
        self.books = Books(ledger)
        self._till = Till(self.books, lambda rows: None)
        self._ids = itertools.count(1)

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        path, form = urlsplit(url).path, urlsplit(url).query if method.upper() == "GET" else post_data
        operation, target = self._operation(method.upper(), path)
        key = (headers or {}).get("Idempotency-Key") if method.upper() == "POST" else None
        version = (headers or {}).get("Stripe-Version", "")
        params = Params(decode(form or ""))
        call = Call(method.upper(), path, target, params, key, f"req_{next(self._ids)}", version)
        answer: StripeResponse = self._wire.call(
            operation,
            lambda: self._take(operation, call),
            lambda: stripe.APIConnectionError("the connection was lost"),  # type: ignore[no-untyped-call]
            writes=method.upper() == "POST",
            stored_failure=lambda: self._take(operation, call, api_error()),
        )
        replayed = {"Idempotent-Replayed": "true"} if answer.replays else {}
        return json.dumps(answer.body), answer.status, {"request-id": call.request_id, **replayed}

    def close(self) -> None:
        """There is nothing to close."""

    def _take(self, operation: str, call: Call, ending: StripeError | None = None) -> StripeResponse:
        route = self.routes[operation]
        try:
            return self._till.take(call, route, route.handler, ending)
        except StripeError as error:
            return error_response(error)

    def _operation(self, method: str, path: str) -> tuple[str, str | None]:
        for operation, route in self.routes.items():
            before, _, after = route.path.partition("{id}")
            if route.method == method and route.path == path:
                return operation, None
            if route.method == method and after != route.path and path.startswith(before) and path.endswith(after):
                target = path[len(before) : len(path) - len(after)]
                if before != route.path and "/" not in target:
                    return operation, target
        raise AssertionError(f"the sandbox does not offer {method} {path}")

    def amount(self, event: str) -> int:
        return sum(row["amount_minor"] for row in self.ledger.rows if row["event"] == event)

    def count(self, event: str) -> int:
        return sum(row["event"] == event for row in self.ledger.rows)

    def chargeable(self) -> list[str]:
        """Intents that a late confirmation could still charge."""
        over = {"succeeded", "canceled"}
        return [it["id"] for it in self.books.newest_first("payment_intent") if it["status"] not in over]


class PureMailServer:
    """Fulfils `Mailer`. `accepted` tells each mail, and under which state of the world it was asked for."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.accepted: list[Mail] = []

    def send(self, mail: Mail) -> None:
        if mail.to.endswith(BOUNCES):
            self._wire.call("email.send", lambda: None, lambda: Unavailable("no answer"), writes=False)
            raise Refused("recipient_rejected")
        name = f"email.{mail.key.rpartition('.')[2]}" if mail.key.endswith((".confirmation", ".farewell")) else "email"
        self._wire.call(
            name, lambda: self.accepted.append(mail), lambda: OutcomeUnknown("the connection was lost"), writes=True
        )


class PurePush:
    """Fulfils `Push`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.accepted: list[str] = []

    def send(self, tag: str, order_id: str, message: str) -> None:
        self._wire.call("push.send", lambda: self.accepted.append(tag), lambda: Unavailable("no answer"), writes=True)
