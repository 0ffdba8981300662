"""Notes: facts that the next activity writes to the record. And how several changes become one write.

A step whose effect is outside of the record (a reservation, a label, a mail) does not write the record. It returns a
note, and the saga keeps the note in the history. The next activity that writes the record writes the note too, with the
time of the effect. So the record lags behind the effect by at most one activity, and the audit trail misses nothing.

No decision may depend on a note: the stock says whether goods are reserved, and the label whether it is issued. A note
may come twice, because a saga does not know whether a failed activity had written it. A fact that the record has
already, or has moved past, is not written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec

from models.messages import Note
from models.order_record import (
    Change,
    OrderRecord,
    claim_cancellation_notice,
    close,
    note_confirmation_sent,
    note_goods,
    note_shipment,
)

Rule = ParamSpec("Rule")
Transition = Callable[Concatenate[OrderRecord, Rule], Change | None]


def goods_reserved() -> Note:
    return Note(event="goods_reserved", at=datetime.now(UTC))


def goods_released() -> Note:
    return Note(event="goods_released", at=datetime.now(UTC))


def label_issued(tracking_number: str) -> Note:
    return Note(event="label_issued", at=datetime.now(UTC), value=tracking_number)


def confirmation_sent() -> Note:
    return Note(event="confirmation_sent", at=datetime.now(UTC))


def _write_reserved(record: OrderRecord, _: str) -> Change | None:
    """Only if the record has no later fact: goods that were released or sold are not reserved again."""
    return note_goods(record, "reserved") if record.goods is None else None


def _write_released(record: OrderRecord, _: str) -> Change | None:
    return note_goods(record, "released")


def _write_sent(record: OrderRecord, _: str) -> Change | None:
    return note_confirmation_sent(record) if record.confirmation == "sending" else None


WRITE: dict[str, Callable[[OrderRecord, str], Change | None]] = {
    "goods_reserved": _write_reserved,
    "goods_released": _write_released,
    "label_issued": note_shipment,
    "confirmation_sent": _write_sent,
}


def with_notes(
    record: OrderRecord, notes: Iterable[Note], rule: Transition[Rule], *args: Rule.args, **kwargs: Rule.kwargs
) -> Change | None:
    """The notes that the record does not have yet, then the change that `rule` decides on the record with them."""
    late = []
    for note in notes:
        change = WRITE[note.event](record, note.value) if note.event in WRITE else None
        if change is not None:
            late.append(change._replace(at=note.at))
            record = record.model_copy(update=dict(change.facts))
    return together(*late, rule(record, *args, **kwargs))


def close_and_claim(record: OrderRecord, outcome: dict[str, object], attention: int) -> Change | None:
    """Close the order, and claim the mail that says what was undone, in one write."""
    closed = close(record, outcome, attention)
    if closed is None or not wants_notice(record):
        return closed
    return together(closed, claim_cancellation_notice(record.model_copy(update=dict(closed.facts))))


def wants_notice(record: OrderRecord) -> bool:
    """Whether the customer gets the mail. Without a total nothing was reserved or charged, so there is no news."""
    return record.total is not None and not record.is_erased


def together(*changes: Change | None) -> Change | None:
    """Several changes as one write, the earliest first. None: there is nothing to write."""
    every = [each._replace(before=()) for change in changes if change is not None for each in change.each]
    return every[-1]._replace(before=tuple(every[:-1])) if every else None
