"""The claims of the API about an order, and the facts of the providers that each one needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from devtools.audit.witnesses import UNDONE, ApiOrder, Facts


class Claim(NamedTuple):
    """If the API makes this claim (`applies`), the providers must agree (`agreed`). Both fill in `sentence`."""

    sentence: str
    applies: Callable[[ApiOrder], bool]
    agreed: Callable[[ApiOrder, Facts], bool]


CLAIMS = (
    Claim(
        "says completed, but {facts.net} of {order.total} was kept",
        lambda order: order.status == "completed",
        lambda order, facts: facts.net == order.total,
    ),
    Claim(
        "says completed, but its stock is {facts.stock}",
        lambda order: order.status == "completed",
        lambda order, facts: facts.stock == "sold",
    ),
    Claim(
        "says completed, but its label is {facts.shipping}",
        lambda order: order.status == "completed",
        lambda order, facts: facts.shipping in {"issued", "erased"},
    ),
    Claim(
        "says {order.status}, but {facts.net} was not given back",
        lambda order: order.status in UNDONE and not order.vouched("refund_payment"),
        lambda order, facts: facts.net == 0,
    ),
    Claim(
        "says {order.status}, but its stock is {facts.stock}",
        lambda order: order.status in UNDONE and not order.vouched("release_inventory"),
        lambda order, facts: facts.stock in {"released", "untouched"},
    ),
    Claim(
        "says {order.status}, but its label is {facts.shipping}",
        lambda order: order.status in UNDONE and not order.vouched("cancel_shipment"),
        lambda order, facts: facts.shipping in {"void", "none"},
    ),
    Claim(
        "says {order.status}, but its undos are {order.undos}",
        lambda order: order.status in UNDONE,
        lambda order, facts: set(order.undos.values()) <= {"done", "resolved"},
    ),
    Claim(
        "says that stock is reserved, but it is {facts.stock}",
        lambda order: order.stands("reserve_inventory"),
        lambda order, facts: facts.stock in {"reserved", "sold"},
    ),
    Claim(
        "says that {order.total} is paid, but {facts.net} is",
        lambda order: order.stands("process_payment"),
        lambda order, facts: facts.net == order.total,
    ),
    Claim(
        "says that the payment was refused, but {facts.net} was kept",
        lambda order: order.steps["process_payment"] == "refused",
        lambda order, facts: facts.net == 0,
    ),
    Claim(
        "says that it is shipped, but its label is {facts.shipping}",
        lambda order: order.stands("create_shipment"),
        lambda order, facts: facts.shipping in {"issued", "erased"},
    ),
    Claim(
        "says that its confirmation is sent, but no mail server has it",
        lambda order: order.stands("send_confirmation"),
        lambda order, facts: bool(facts.mails("confirmation")),
    ),
    Claim(
        "says that its stock is released, but it is {facts.stock}",
        lambda order: order.undos.get("release_inventory") == "done",
        lambda order, facts: facts.stock == "released",
    ),
    Claim(
        "says that its payment is given back, but {facts.net} is not",
        lambda order: order.undos.get("refund_payment") == "done",
        lambda order, facts: facts.net == 0,
    ),
    Claim(
        "says that its shipment is cancelled, but its label is {facts.shipping}",
        lambda order: order.undos.get("cancel_shipment") == "done",
        lambda order, facts: facts.shipping == "void",
    ),
)


def broken(order: ApiOrder, facts: Facts) -> list[Claim]:
    return [claim for claim in CLAIMS if claim.applies(order) and not claim.agreed(order, facts)]


def sentence_of(claim: Claim, order: ApiOrder, facts: Facts) -> str:
    return f"order {order.order_id} " + claim.sentence.format(order=order, facts=facts)
