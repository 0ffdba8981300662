"""What an order is told to be, and what the providers must then say."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from devtools.audit.witnesses import UNDONE, Facts, Told


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


def broken(told: Told, facts: Facts) -> list[Claim]:
    return [claim for claim in CLAIMS if claim.told(told) and not claim.agreed(told, facts)]


def sentence_of(claim: Claim, told: Told, facts: Facts) -> str:
    return f"order {told.order_id} " + claim.sentence.format(told=told, facts=facts)
