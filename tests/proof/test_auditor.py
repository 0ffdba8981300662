"""The auditor finds what is wrong: each lie and each wrong in turn, told in its sentence, and none about an order that
is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from devtools.audit.claims import CLAIMS, broken, sentence_of
from devtools.audit.rules import never, wrong_end
from devtools.audit.witnesses import IN_REVERSE, STEPS_IN_ORDER, ApiOrder, Facts, doubled

TOTAL = 1500
LABEL = {"status": "issued", "tracking_number": "T123"}


def entry(event: str, at: str = "12:00:00.100", amount: int = TOTAL, key: str = "o:pay") -> dict[str, Any]:
    return {"event": event, "amount_minor": amount, "idempotency_key": key, "at": at, "order_id": "o"}


def mail(kind: str, at: str = "12:00:00.300", text: str = "Tracking number: T123", domain: str = "x") -> dict[str, Any]:
    return {"kind": "email", "message_id": f"<o.{kind}@{domain}>", "text": text, "at": at}


CHARGE, REFUND = entry("payment_intent.succeeded"), entry("refund.succeeded", "12:00:00.200", key="o:refund")
PUSH = {"kind": "push", "message_id": "1", "text": '{"order_id": "o"}', "at": "12:00:00.400"}
SOLD = Facts((CHARGE,), (mail("confirmation"), PUSH), {"State": "sold"}, LABEL)
GIVEN_BACK = Facts((CHARGE, REFUND), (mail("farewell", text="refunded"),), {"State": "released"}, {"status": "void"})
COMPLETED = ApiOrder("o", "completed", TOTAL, dict.fromkeys(STEPS_IN_ORDER, "done"), {})
UNDONE = dict.fromkeys(IN_REVERSE, "done")
COMPENSATED = ApiOrder("o", "compensated", TOTAL, dict.fromkeys(STEPS_IN_ORDER, "undone"), UNDONE)


def sentences(order: ApiOrder, facts: Facts) -> str:
    lies = [sentence_of(claim, order, facts) for claim in broken(order, facts)]
    return "; ".join([*lies, *never("o", facts), *wrong_end(order, facts)])


@pytest.mark.parametrize(("order", "facts"), [(COMPLETED, SOLD), (COMPENSATED, GIVEN_BACK)])
def test_an_order_that_is_right_is_left_alone(order: ApiOrder, facts: Facts) -> None:
    assert sentences(order, facts) == ""


WRONG: Mapping[str, tuple[ApiOrder, Facts]] = {
    "says completed, but 0 of 1500 was kept": (COMPLETED, SOLD._replace(ledger=(CHARGE, REFUND))),
    "says completed, but its stock is reserved": (COMPLETED, SOLD._replace(goods={"State": "reserved"})),
    "says completed, but its label is void": (COMPLETED, SOLD._replace(label={**LABEL, "status": "void"})),
    "no mail server has it": (COMPLETED, SOLD._replace(messages=())),
    "says completed, without": (COMPLETED._replace(steps={**COMPLETED.steps, "create_shipment": "failed"}), SOLD),
    "says compensated, but 1500 was not given back": (COMPENSATED, GIVEN_BACK._replace(ledger=(CHARGE,))),
    "says compensated, but its stock is reserved": (COMPENSATED, GIVEN_BACK._replace(goods={"State": "reserved"})),
    "says compensated, but its stock is sold": (COMPENSATED, GIVEN_BACK._replace(goods={"State": "sold"})),
    "says compensated, but its label is issued": (COMPENSATED, GIVEN_BACK._replace(label=LABEL)),
    "its shipment is cancelled, but its label is none": (COMPENSATED, GIVEN_BACK._replace(label=None)),
    "its stock is released, but it is untouched": (COMPENSATED, GIVEN_BACK._replace(goods=None)),
    "but its undos are": (COMPENSATED._replace(undos={**UNDONE, "refund_payment": "failed"}), GIVEN_BACK),
    "was undone in the order": (COMPENSATED._replace(undos=dict(reversed(UNDONE.items()))), GIVEN_BACK),
    "was refunded 3000 of 1500": (COMPENSATED, GIVEN_BACK._replace(ledger=(CHARGE, REFUND, REFUND))),
    "was refunded 1500 of 0": (COMPENSATED, GIVEN_BACK._replace(ledger=(REFUND, CHARGE))),
    "was charged 2 times": (COMPLETED, SOLD._replace(ledger=(CHARGE, CHARGE))),
    "was declined 2 times": (COMPLETED, SOLD._replace(ledger=(*2 * (entry("charge.failed"),), CHARGE))),
    "an effect has one key": (
        COMPLETED,
        SOLD._replace(ledger=(*(entry("payment_intent.created", key=key) for key in ("o:pay", "o:pay-2")), CHARGE)),
    ),
    "mails of different ids": (COMPLETED, SOLD._replace(messages=(*SOLD.messages, mail("confirmation", domain="y")))),
    "a mail of another id": (COMPLETED, SOLD._replace(messages=(*SOLD.messages, mail("hello")))),
    "was pushed 2 times": (COMPLETED, SOLD._replace(messages=(*SOLD.messages, PUSH))),
    "was pushed before": (COMPLETED, SOLD._replace(messages=(mail("confirmation", "12:00:00.500"), PUSH))),
    "while nothing was paid": (COMPLETED, SOLD._replace(messages=(mail("confirmation", "12:00:00.050"), PUSH))),
    "not its label's": (COMPLETED, SOLD._replace(messages=(mail("confirmation", text="on its way"), PUSH))),
    "while 1500 was not given back": (
        COMPENSATED,
        GIVEN_BACK._replace(messages=(mail("farewell", "12:00:00.150", "refunded"),)),
    ),
    "its mail names no refund": (COMPENSATED, GIVEN_BACK._replace(messages=(mail("farewell", text="not charged"),))),
    "was never charged": (COMPENSATED, GIVEN_BACK._replace(ledger=())),
    "has 2 mails that say": (COMPENSATED, GIVEN_BACK._replace(messages=2 * GIVEN_BACK.messages)),
    "says cancelled, and was confirmed": (
        COMPENSATED._replace(status="cancelled"),
        GIVEN_BACK._replace(messages=(mail("confirmation", "12:00:00.150"),), label={**LABEL, "status": "void"}),
    ),
    "has a mail that says it is undone": (COMPLETED, SOLD._replace(messages=(*SOLD.messages, *GIVEN_BACK.messages))),
    "has kept 700 of 1500": (COMPLETED, SOLD._replace(ledger=(entry("payment_intent.succeeded", amount=700),))),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_reported(wrong: str) -> None:
    assert wrong in sentences(*WRONG[wrong])


def test_a_resolved_undo_is_taken_on_its_operators_word() -> None:
    resolved = COMPENSATED._replace(undos={**UNDONE, "refund_payment": "resolved"})
    assert broken(resolved, GIVEN_BACK._replace(ledger=(CHARGE,))) == []


def test_a_step_whose_undo_has_begun_claims_nothing_any_more() -> None:
    undoing = COMPLETED._replace(status="compensating", undos={"cancel_shipment": "running"})
    assert broken(undoing, SOLD._replace(label={"status": "void"})) == []
    assert len(CLAIMS) == len({claim.sentence for claim in CLAIMS})


def test_two_labels_of_one_order_are_found() -> None:
    assert doubled([("a", LABEL), ("b", LABEL), ("a", LABEL)]) == ["order a has two labels"]
    assert doubled([("a", LABEL), ("b", LABEL)]) == []
