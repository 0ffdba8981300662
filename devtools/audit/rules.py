"""The rules for an order at any moment, and at its end. Each fault is the end of a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from devtools.audit.witnesses import IN_REVERSE, STEPS_IN_ORDER, ApiOrder, Facts, Row, charged_at, net_at, order_of
from models.states import SEND_CONFIRMATION

GENERATION = re.compile(r":\d+$")


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
    """The keys of an effect without their generations (`:2`): one effect of one order has one key."""
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
    return any(f"<{order_of(row)}.{kind}@" in row["message_id"] for kind in ("confirmation", "farewell"))


def _pushed_too_much(facts: Facts) -> Iterator[str]:
    mails, pushes = facts.mails("confirmation"), facts.pushes
    if len(pushes) > 1:
        yield f"was pushed {len(pushes)} times"
    if pushes and (not mails or mails[0]["at"] > pushes[0]["at"]):
        yield "was pushed before its confirmation was sent"


def _confirmed_before_the_fact(facts: Facts) -> Iterator[str]:
    for mail in facts.mails("confirmation")[:1]:
        if net_at(facts, mail["at"]) == 0:
            yield "was confirmed by mail while nothing was paid"
        number = (facts.label or {}).get("tracking_number")
        if number is None or f"Tracking number: {number}" not in mail["text"]:
            yield f"was mailed a tracking number that is not its label's, {number}"


def _notice_before_the_refund(facts: Facts) -> Iterator[str]:
    for mail in facts.mails("farewell"):
        charged, net = charged_at(facts, mail["at"]), net_at(facts, mail["at"])
        if net:
            yield f"has a mail that says it is undone while {net} was not given back"
        if charged and not net and "refunded" not in mail["text"]:
            yield f"was charged {charged} and refunded, but its mail names no refund"
        if not charged and "refunded" in mail["text"]:
            yield "has a mail that names a refund, but was never charged"


def _notice_too_often(facts: Facts) -> Iterator[str]:
    if len(facts.mails("farewell")) > 1:
        yield f"has {len(facts.mails('farewell'))} mails that say it is undone"


NEVER: tuple[Callable[[Facts], Iterator[str]], ...] = (
    _given_back_before_taken,
    _charged_twice,
    _declined_twice,
    _keys_of_attempts,
    _ids_of_mails,
    _pushed_too_much,
    _confirmed_before_the_fact,
    _notice_before_the_refund,
    _notice_too_often,
)


def wrong_end(order: ApiOrder, facts: Facts) -> Iterator[str]:
    total = order.total or 0
    if facts.net not in {0, total}:
        yield f"has kept {facts.net} of {total}"
    ran = [undo for undo in IN_REVERSE if undo in order.undos]
    if list(order.undos) != ran:
        yield f"was undone in the order {list(order.undos)}"
    if order.status == "cancelled" and facts.mails("confirmation"):
        yield "says cancelled, and was confirmed by mail"
    if order.status == "completed" and facts.mails("farewell"):
        yield "says completed, but has a mail that says it is undone"
    missing = [
        step
        for step in STEPS_IN_ORDER
        if order.status == "completed" and step != SEND_CONFIRMATION and order.steps[step] != "done"
    ]
    if missing:
        yield f"says completed, without {missing}"
