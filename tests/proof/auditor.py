"""The auditor: decides from outside whether money, stock, labels, mail and what customers are told agree.

It reads the two ledgers of the sandbox, the stock table, the labels container and the public API, and nothing of the
app. Every finding is a sentence.

Two ways of looking:

- while orders run, `sample`: the providers, then what the customer is told, then the providers again. What is told may
  be a moment old, so it is a lie only when it agrees with neither reading;
- at the end, `violations`: every order, and the totals.

Stock is read row by row, and a transaction of Azurite is not one for its readers. A single row that is wrong is wrong
at once (below zero, more reserved than there is); a sum over rows is wrong when it stays wrong over several readings.

Rejected: comparing with what the driver expects of each order. Under faults and kills an order may rightly end in
several ways; what must hold is that all witnesses tell of the same one.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

import dev

UNDONE = frozenset({"rejected", "compensated", "cancelled"})
FINAL = UNDONE | {"completed"}
ENDED = FINAL | {"needs_attention"}
STEPS_IN_ORDER = ["validate_order", "reserve_inventory", "process_payment", "create_shipment", "send_confirmation"]
UNDO_OF = {
    "reserve_inventory": "release_inventory",
    "process_payment": "refund_payment",
    "create_shipment": "cancel_shipment",
}
IN_REVERSE = ["cancel_shipment", "refund_payment", "release_inventory"]
GENERATION = re.compile(r":\d+$")
READINGS_OF_A_SUM = 8
ORDERS_A_SAMPLE = 6

Row = Mapping[str, Any]


class Facts(NamedTuple):
    """What the providers say of one order. `goods` and `label` are None where there is nothing."""

    ledger: tuple[Row, ...]
    messages: tuple[Row, ...]
    goods: Row | None
    label: Row | None

    @property
    def charged(self) -> int:
        return _sum(self.ledger, "payment_intent.succeeded")

    @property
    def given_back(self) -> int:
        return _sum(self.ledger, "refund.succeeded")

    @property
    def net(self) -> int:
        return self.charged - self.given_back

    @property
    def stock(self) -> str:
        return str(self.goods["State"]) if self.goods else "untouched"

    @property
    def shipping(self) -> str:
        return str(self.label["status"]) if self.label else "none"

    def mails(self, kind: str) -> list[Row]:
        return [row for row in self.messages if f".{kind}@" in (row["message_id"] or "")]

    @property
    def pushes(self) -> list[Row]:
        return [row for row in self.messages if row["kind"] == "push"]


class Told(NamedTuple):
    """What the public API says of one order."""

    order_id: str
    status: str
    total: int | None
    steps: Mapping[str, str]
    undos: Mapping[str, str]

    def stands(self, step: str) -> bool:
        """The step is shown as done, and nothing has begun to undo it."""
        return self.steps[step] == "done" and UNDO_OF.get(step) not in self.undos

    def vouched(self, undo: str) -> bool:
        """An operator resolved this undo on evidence: the providers need not agree."""
        return self.undos.get(undo) == "resolved"


class Claim(NamedTuple):
    """When an order is told so (`told`), the providers must agree (`agreed`). `sentence` is formatted with both."""

    sentence: str
    told: Callable[[Told], bool]
    agreed: Callable[[Told, Facts], bool]


CLAIMS = (
    Claim(
        "says completed, but {facts.net} of {told.total} was kept",
        lambda told: told.status == "completed",
        lambda told, facts: facts.net == told.total,
    ),
    Claim(
        "says completed, but its stock is {facts.stock}",
        lambda told: told.status == "completed",
        lambda told, facts: facts.stock == "sold",
    ),
    Claim(
        "says completed, but its label is {facts.shipping}",
        lambda told: told.status == "completed",
        lambda told, facts: facts.shipping in {"issued", "erased"},
    ),
    Claim(
        "says {told.status}, but {facts.net} was not given back",
        lambda told: told.status in UNDONE and not told.vouched("refund_payment"),
        lambda told, facts: facts.net == 0,
    ),
    Claim(
        "says {told.status}, but its stock is {facts.stock}",
        lambda told: told.status in UNDONE and not told.vouched("release_inventory"),
        lambda told, facts: facts.stock in {"released", "untouched"},
    ),
    Claim(
        "says {told.status}, but its label is {facts.shipping}",
        lambda told: told.status in UNDONE and not told.vouched("cancel_shipment"),
        lambda told, facts: facts.shipping in {"void", "none"},
    ),
    Claim(
        "says {told.status}, but its undos are {told.undos}",
        lambda told: told.status in UNDONE,
        lambda told, facts: set(told.undos.values()) <= {"done", "resolved"},
    ),
    Claim(
        "says that stock is reserved, but it is {facts.stock}",
        lambda told: told.stands("reserve_inventory"),
        lambda told, facts: facts.stock in {"reserved", "sold"},
    ),
    Claim(
        "says that {told.total} is paid, but {facts.net} is",
        lambda told: told.stands("process_payment"),
        lambda told, facts: facts.net == told.total,
    ),
    Claim(
        "says that the payment was refused, but {facts.net} was kept",
        lambda told: told.steps["process_payment"] == "refused",
        lambda told, facts: facts.net == 0,
    ),
    Claim(
        "says that it is shipped, but its label is {facts.shipping}",
        lambda told: told.stands("create_shipment"),
        lambda told, facts: facts.shipping in {"issued", "erased"},
    ),
    Claim(
        "says that its confirmation is sent, but no mail server has it",
        lambda told: told.stands("send_confirmation"),
        lambda told, facts: bool(facts.mails("confirmation")),
    ),
    Claim(
        "says that its stock is released, but it is {facts.stock}",
        lambda told: told.undos.get("release_inventory") == "done",
        lambda told, facts: facts.stock == "released",
    ),
    Claim(
        "says that its payment is given back, but {facts.net} is not",
        lambda told: told.undos.get("refund_payment") == "done",
        lambda told, facts: facts.net == 0,
    ),
    Claim(
        "says that its shipment is cancelled, but its label is {facts.shipping}",
        lambda told: told.undos.get("cancel_shipment") == "done",
        lambda told, facts: facts.shipping == "void",
    ),
)


@dataclass(eq=False)
class Arrival:
    """Units that a PUT adds to a SKU. `arrived` None: nobody knows."""

    units: int
    arrived: bool | None = None


class Auditor:
    """`urls`: the content of `urls.json`. Judges the orders it was told of by `accepted`; with `everything`, also every
    order that the API lists or a provider knows: for a world that nobody else uses.
    """

    def __init__(self, urls: Mapping[str, Any], *, everything: bool = False) -> None:
        self._urls = urls
        self._everything = everything
        storage = urls["storage_connection_string"]
        # A sample of a world that is down is worth nothing later: fail at once, and sample again.
        self._tables = TableServiceClient.from_connection_string(storage, retry_total=0)
        self._stock = self._tables.get_table_client("stock")
        self._blobs = BlobServiceClient.from_connection_string(storage, retry_total=0)
        self._labels = self._blobs.get_container_client("labels")
        self._accepted: dict[str, float] = {}
        self._promised: set[str] = set()
        self._ended: dict[str, str] = {}
        self._owned: dict[str, int] = {}
        self._arriving: dict[str, list[Arrival]] = defaultdict(list)
        self._books = threading.Lock()
        self._found: dict[str, None] = {}
        self.samples = 0

    def close(self) -> None:
        self._tables.close()
        self._blobs.close()

    # What the driver tells: only what it was itself promised.

    def accepted(self, order_id: str) -> None:
        """The POST of this order was answered with 202."""
        self._accepted.setdefault(order_id, time.monotonic())

    def cancel_accepted(self, order_id: str) -> None:
        """Its cancel was answered with 202: the order has to end cancelled."""
        self._promised.add(order_id)

    @contextmanager
    def restocking(self, sku: str, units: int) -> Iterator[Arrival]:
        """Around a PUT that adds units. Whoever has its answer sets `arrived`; left unset, nobody can know."""
        arrival = Arrival(units)
        with self._books:
            self._arriving[sku].append(arrival)
        yield arrival
        if arrival.arrived is not None:
            with self._books:
                self._arriving[sku].remove(arrival)
                self._owned[sku] += units if arrival.arrived else 0

    def stocked(self, sku: str, units: int) -> None:
        """The SKU began with so many units. Without this, what is first seen counts as the beginning."""
        self._owned[sku] = units

    # While orders run.

    def sample(self) -> None:
        """Look at the stock, and at a few orders that have not ended. Raises OSError or AzureError while it is down."""
        self._note(self._wrong_stock())
        waiting = [order_id for order_id in self._accepted if order_id not in self._ended]
        for order_id in random.sample(waiting, min(ORDERS_A_SAMPLE, len(waiting))):
            self._sample_order(order_id)
        self.samples += 1

    def _sample_order(self, order_id: str) -> None:
        before = self._facts_of(order_id)
        told = self._told(order_id)
        if told is None:
            return self._note([f"order {order_id} was accepted and is unknown"])
        after = self._facts_of(order_id)
        lies = [claim for claim in broken(told, before) if claim in broken(told, after)]
        self._note(sentence_of(claim, told, after) + " (while it ran)" for claim in lies)
        self._note(never(order_id, after))
        if told.status in FINAL:
            self._note_end(told)
        return None

    def _note_end(self, told: Told) -> None:
        before = self._ended.setdefault(told.order_id, told.status)
        if before != told.status:
            self._note([f"order {told.order_id} had ended {before} and says {told.status} now"])

    # At the end.

    @property
    def known(self) -> frozenset[str]:
        """The accepted orders."""
        return frozenset(self._accepted)

    def waiting(self) -> list[str]:
        """Accepted orders that have not ended and are not parked."""
        return [order_id for order_id, told in self._open().items() if told is None or told.status not in ENDED]

    def unfinished(self) -> list[str]:
        """Accepted orders that have not ended, the parked ones included."""
        return [order_id for order_id, told in self._open().items() if told is None or told.status not in FINAL]

    def _open(self) -> dict[str, Told | None]:
        """What is told of the orders that were not seen to end before."""
        told = {order_id: self._told(order_id) for order_id in self._accepted if order_id not in self._ended}
        for each in told.values():
            if each is not None and each.status in FINAL:
                self._note_end(each)
        return told

    def outcomes(self) -> Counter[str]:
        """How many orders ended how."""
        told = (self._told(order_id) for order_id in self._accepted)
        return Counter("unknown" if each is None else each.status for each in told)

    def violations(self) -> list[str]:
        """Every sentence, of the samples and of the end. Empty: all witnesses agree. Call it when nothing runs."""
        self._note(self._wrong_stock())
        facts = self._all_facts()
        for order_id in self._orders(facts):
            self._judge(order_id, facts.get(order_id, NOTHING))
        return list(self._found)

    def _judge(self, order_id: str, facts: Facts) -> None:
        self._note(never(order_id, facts))
        told = self._told(order_id)
        if told is None:
            return self._note([f"order {order_id} is unknown, and its providers know of it or it was accepted"])
        self._note(sentence_of(claim, told, facts) for claim in broken(told, facts))
        self._note(f"order {order_id} {sentence}" for sentence in wrong_end(told, facts))
        if told.status not in ENDED:
            age = time.monotonic() - self._accepted.get(order_id, time.monotonic())
            self._note([f"order {order_id} was accepted {age:.0f} s ago and is {told.status} still"])
        if order_id in self._promised and told.status not in {"cancelled", "needs_attention"}:
            self._note([f"order {order_id} was promised to end cancelled and is {told.status}"])
        if told.status in FINAL:
            self._note_end(told)
        return None

    def _orders(self, facts: Mapping[str, Facts]) -> list[str]:
        if not self._everything:
            return list(self._accepted)
        return sorted({*self._accepted, *facts, *self._listed()})

    def _listed(self) -> Iterator[str]:
        token = ""
        while True:
            page = dev.fetch(f"{self._urls['host']}/api/orders?top=100&continuation={token}").json()
            yield from (order["order_id"] for order in page["orders"])
            token = page["continuation"]
            if not token:
                return

    def _note(self, sentences: Iterable[str]) -> None:
        self._found.update(dict.fromkeys(sentences))

    # Reading.

    def _told(self, order_id: str) -> Told | None:
        answer = dev.fetch(f"{self._urls['host']}/api/orders/{order_id}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise OSError(f"GET of order {order_id} was answered with {answer.status}")
        view = answer.json()
        return Told(
            order_id=order_id,
            status=view["status"],
            total=view["total"] and view["total"]["amount_minor"],
            steps={step["name"]: step["status"] for step in view["steps"]},
            undos={undo["name"]: undo["status"] for undo in view["compensations"]},
        )

    def _ledger(self) -> list[Row]:
        return list(dev.fetch(self._urls["payments"] + "/sandbox/ledger").json())

    def _messages(self) -> list[Row]:
        return list(dev.fetch(self._urls["mail"] + "/sandbox/messages").json())

    def _facts_of(self, order_id: str) -> Facts:
        """Messages are read first: whatever they speak of is then in the other readings."""
        messages = tuple(row for row in self._messages() if _order_of(row) == order_id)
        return Facts(
            ledger=tuple(row for row in self._ledger() if row["order_id"] == order_id),
            messages=messages,
            goods=self._goods_of(order_id),
            label=self._label_of(order_id),
        )

    def _goods_of(self, order_id: str) -> Row | None:
        try:
            return dict(self._stock.get_entity("stock", f"order:{order_id}"))
        except ResourceNotFoundError:
            return None

    def _label_of(self, order_id: str) -> Row | None:
        try:
            return dict(self._labels.get_blob_client(f"{order_id}.pdf").get_blob_properties().metadata)
        except ResourceNotFoundError:
            return None

    def _all_facts(self) -> dict[str, Facts]:
        """By order id: everything that any provider knows, each read once."""
        ledger, messages = (
            _by_order(self._ledger(), lambda row: row["order_id"]),
            _by_order(self._messages(), _order_of),
        )
        goods = {key: row for key, row in self._stock_rows().items() if key.startswith("order:")}
        labels = self._all_labels()
        ids = {*ledger, *messages, *labels, *(key.removeprefix("order:") for key in goods)}
        return {
            order_id: Facts(
                tuple(ledger.get(order_id, ())),
                tuple(messages.get(order_id, ())),
                goods.get(f"order:{order_id}"),
                labels.get(order_id),
            )
            for order_id in ids
        }

    def _all_labels(self) -> dict[str, Row]:
        """Also finds two labels of one order, which their names ought to make impossible."""
        found: dict[str, Row] = {}
        if not self._labels.exists():
            return found
        for blob in self._labels.list_blobs(include=["metadata"]):
            order_id = (blob.metadata or {}).get("order_id") or blob.name.removesuffix(".pdf")
            if order_id in found:
                self._note([f"order {order_id} has two labels"])
            found[order_id] = blob.metadata or {}
        return found

    # Stock.

    def _stock_rows(self) -> dict[str, Row]:
        return {row["RowKey"]: dict(row) for row in self._stock.query_entities("PartitionKey eq 'stock'")}

    def _wrong_stock(self) -> list[str]:
        rows = self._stock_rows()
        wrong = [f"sku {key[4:]} {what}" for key, row in rows.items() if (what := _impossible(key, row))]
        sums = self._wrong_sums(rows)
        for _ in range(READINGS_OF_A_SUM - 1):
            if not sums:
                break
            time.sleep(0.02)
            again = self._wrong_sums(self._stock_rows())
            sums = {key: sentence for key, sentence in again.items() if key in sums}
        return wrong + list(sums.values())

    def _wrong_sums(self, rows: Mapping[str, Row]) -> dict[str, str]:
        """By SKU and sum: what does not add up in this reading."""
        held, wrong = _held_by_orders(rows), {}
        for key, row in rows.items():
            if not key.startswith("sku:"):
                continue
            sku, reserved, sold = key[4:], held["reserved", key[4:]], held["sold", key[4:]]
            if row["Reserved"] != reserved:
                wrong[f"{sku} reserved"] = f"sku {sku} counts {row['Reserved']} reserved, its orders hold {reserved}"
            here = row["OnHand"] + sold
            if here not in self._possible(sku, here):
                wrong[f"{sku} owned"] = (
                    f"sku {sku}: {row['OnHand']} on hand and {sold} sold make {here}, but there were {self._owned[sku]}"
                )
        return wrong

    def _possible(self, sku: str, here: int) -> set[int]:
        """How many units there may have been in all: with and without every arrival of which nobody knows."""
        with self._books:
            sums = {self._owned.setdefault(sku, here)}
            for arrival in self._arriving[sku]:
                sums |= {each + arrival.units for each in sums}
            return sums


NOTHING = Facts((), (), None, None)


def broken(told: Told, facts: Facts) -> list[Claim]:
    return [claim for claim in CLAIMS if claim.told(told) and not claim.agreed(told, facts)]


def sentence_of(claim: Claim, told: Told, facts: Facts) -> str:
    return f"order {told.order_id} " + claim.sentence.format(told=told, facts=facts)


# ------------------------------------------------------------------------------------- what may not be at any moment


def never(order_id: str, facts: Facts) -> Iterator[str]:
    for rule in NEVER:
        for sentence in rule(facts):
            yield f"order {order_id} {sentence}"


def _given_back_before_taken(facts: Facts) -> Iterator[str]:
    charged = given_back = 0
    for row in facts.ledger:
        charged += row["amount_minor"] if row["event"] == "payment_intent.succeeded" else 0
        given_back += row["amount_minor"] if row["event"] == "refund.succeeded" else 0
        if given_back > charged:
            yield f"was refunded {given_back} of {charged}"
            return


def _charged_twice(facts: Facts) -> Iterator[str]:
    charges = [row["amount_minor"] for row in facts.ledger if row["event"] == "payment_intent.succeeded"]
    if len(charges) > 1:
        yield f"was charged {len(charges)} times: {charges}"


def _declined_twice(facts: Facts) -> Iterator[str]:
    declines = [row for row in facts.ledger if row["event"] == "charge.failed"]
    if len(declines) > 1:
        yield f"was declined {len(declines)} times: a refusal was tried again"


def _keys_of_attempts(facts: Facts) -> Iterator[str]:
    """A key may have generations (`:2`); apart from these, one effect of one order has one key."""
    for event in ("payment_intent.created", "payment_intent.succeeded", "refund.succeeded"):
        keys = {GENERATION.sub("", row["idempotency_key"] or "") for row in facts.ledger if row["event"] == event}
        if len(keys) > 1 or "" in keys:
            yield f"has {event} under the keys {sorted(keys)}: an effect has one key"


def _ids_of_mails(facts: Facts) -> Iterator[str]:
    for kind in ("confirmation", "farewell"):
        ids = {row["message_id"] for row in facts.mails(kind)}
        if len(ids) > 1:
            yield f"was sent {kind} mails of different ids: {sorted(ids)}"
    strangers = [row for row in facts.messages if row["kind"] == "email" and not _is_known_mail(row)]
    if strangers:
        yield f"was sent a mail of another id: {strangers[0]['message_id']}"
    if len({row["text"] for row in facts.mails("confirmation")}) > 1:
        yield "was sent confirmations of different texts"


def _is_known_mail(row: Row) -> bool:
    return any(f"<{_order_of(row)}.{kind}@" in row["message_id"] for kind in ("confirmation", "farewell"))


def _pushed_too_much(facts: Facts) -> Iterator[str]:
    mails, pushes = facts.mails("confirmation"), facts.pushes
    if len(pushes) > 1:
        yield f"was pushed {len(pushes)} times"
    if pushes and (not mails or mails[0]["at"] > pushes[0]["at"]):
        yield "was pushed before its confirmation was sent"


def _confirmed_before_the_fact(facts: Facts) -> Iterator[str]:
    for mail in facts.mails("confirmation")[:1]:
        if _net_at(facts, mail["at"]) == 0:
            yield "was confirmed by mail while nothing was paid"
        number = (facts.label or {}).get("tracking_number")
        if number is None or f"Tracking number: {number}" not in mail["text"]:
            yield f"was told a tracking number that is not its label's, {number}"


def _farewell_before_the_refund(facts: Facts) -> Iterator[str]:
    for mail in facts.mails("farewell"):
        charged, net = _charged_at(facts, mail["at"]), _net_at(facts, mail["at"])
        if net:
            yield f"was told that it is undone while {net} was not given back"
        if charged and not net and "refunded" not in mail["text"]:
            yield f"was charged {charged} and refunded, and told of no refund"
        if not charged and "refunded" in mail["text"]:
            yield "was told of a refund, and was never charged"


def _farewell_too_often(facts: Facts) -> Iterator[str]:
    if len(facts.mails("farewell")) > 1:
        yield f"was told {len(facts.mails('farewell'))} times that it is undone"


NEVER: tuple[Callable[[Facts], Iterator[str]], ...] = (
    _given_back_before_taken,
    _charged_twice,
    _declined_twice,
    _keys_of_attempts,
    _ids_of_mails,
    _pushed_too_much,
    _confirmed_before_the_fact,
    _farewell_before_the_refund,
    _farewell_too_often,
)


# ---------------------------------------------------------------------------------------------- what must be at the end


def wrong_end(told: Told, facts: Facts) -> Iterator[str]:
    total = told.total or 0
    if facts.net not in {0, total}:
        yield f"has kept {facts.net} of {total}"
    ran = [undo for undo in IN_REVERSE if undo in told.undos]
    if list(told.undos) != ran:
        yield f"was undone in the order {list(told.undos)}"
    if told.status == "cancelled" and facts.mails("confirmation"):
        yield "says cancelled, and was confirmed by mail"
    if told.status == "completed" and facts.mails("farewell"):
        yield "says completed, and was told by mail that it is undone"
    missing = [step for step in STEPS_IN_ORDER[:4] if told.status == "completed" and told.steps[step] != "done"]
    if missing:
        yield f"says completed, without {missing}"


# -------------------------------------------------------------------------------------------------------------- reading


def _sum(ledger: Iterable[Row], event: str) -> int:
    return sum(row["amount_minor"] for row in ledger if row["event"] == event)


def _charged_at(facts: Facts, moment: str) -> int:
    return _sum((row for row in facts.ledger if row["at"] <= moment), "payment_intent.succeeded")


def _net_at(facts: Facts, moment: str) -> int:
    """Both ledgers are dated by one machine's clock, in the same notation."""
    given_back = _sum((row for row in facts.ledger if row["at"] <= moment), "refund.succeeded")
    return _charged_at(facts, moment) - given_back


def _order_of(message: Row) -> str | None:
    """A mail tells it in its Message-ID, a push in its properties."""
    if message["kind"] == "push":
        return str(json.loads(message["text"]).get("order_id"))
    found = re.match(r"<([A-Za-z0-9-]+)\.", message["message_id"] or "")
    return found[1] if found else None


def _by_order(rows: Iterable[Row], order_of: Callable[[Row], str | None]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        order_id = order_of(row)
        if order_id is not None:
            found[order_id].append(row)
    return found


def _held_by_orders(rows: Mapping[str, Row]) -> Counter[tuple[str, str]]:
    """Units by (state of the reservation, SKU)."""
    held: Counter[tuple[str, str]] = Counter()
    for key, row in rows.items():
        if key.startswith("order:"):
            for line in json.loads(row["Lines"]):
                held[row["State"], line["sku"]] += line["quantity"]
    return held


def _impossible(key: str, row: Row) -> str | None:
    if not key.startswith("sku:"):
        return None
    on_hand, reserved = row["OnHand"], row["Reserved"]
    return None if 0 <= reserved <= on_hand else f"has {on_hand} on hand and {reserved} of them reserved"
