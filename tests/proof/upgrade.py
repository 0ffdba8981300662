"""Orders that an older commit stored are carried on by this tree: `python -m tests.proof.upgrade COMMIT`.

The product of COMMIT accepts orders on a data folder and brings them into each state; it is killed in the middle. Then
the product of this tree starts on the same folder, and finishes, cancels, refunds, shows, lists and erases them. The
auditor judges both at the end. Exit status 1 on any finding.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from devtools.audit.auditor import Auditor
from devtools.bench.real_orders.against import checked_out
from devtools.example_order import example_order
from devtools.places import ROOT
from devtools.printing import say
from devtools.processes.ports import free_ports_in_a_row
from tests.support.outside_view import wait_for
from tests.support.product import Product

SETTINGS = {"APPROVAL_THRESHOLD_MINOR": "40000", "UNDO_RETRY_SECONDS": "2", "SWEEP_SCHEDULE": "*/2 * * * * *"}
BY = {"by": "operator-7", "reason": "the provider answers again"}
DECISION = {"approver": "ada", "comment": "as agreed"}
BOUNCING = {"customer": {**example_order()["customer"], "email": "ada@bounce.invalid"}}
LARGE = {"items": [{**example_order()["items"][0], "quantity": 4}]}
# By order id: what the older product is asked for, and the state that it brings the order to.
STORED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "completed": ({}, "completed"),
    "to-be-erased": ({}, "completed"),
    "approved-later": (LARGE, "awaiting_approval"),
    "rejected-later": (LARGE, "awaiting_approval"),
    "cancelled-later": (LARGE, "awaiting_approval"),
    "undo-retried": (BOUNCING, "needs_attention"),
    "undo-resolved": (BOUNCING, "needs_attention"),
    "in-the-middle": ({}, "running"),
    "in-the-middle-bounces": (BOUNCING, "running"),
    "in-the-middle-cancelled": ({}, "running"),
}
ENDS = {
    "completed": "completed",
    "to-be-erased": "completed",
    "approved-later": "completed",
    "rejected-later": "rejected",
    "cancelled-later": "cancelled",
    "undo-retried": "compensated",
    "undo-resolved": "compensated",
    "in-the-middle": "completed",
    "in-the-middle-bounces": "compensated",
    "in-the-middle-cancelled": "cancelled",
}
UNDO = "/compensations/refund_payment"


@contextmanager
def running(tree: Path, data: Path, port: int) -> Iterator[Product]:
    """The product of a tree on a data folder. An older tree sets up an environment of its own."""
    product = Product(data, port, **SETTINGS)
    product.command[:2] = [getattr(sys, "_base_executable", sys.executable), str(tree / "dev.py")]
    try:
        yield product.start()
    finally:
        product.end()


def status_of(product: Product, order_id: str) -> str:
    return str(product.get(f"/api/orders/{order_id}").json()["status"])


def becomes(product: Product, order_id: str, status: str) -> None:
    wait_for(lambda: status_of(product, order_id) == status, 60, f"{status} of {order_id}")


def store(product: Product) -> None:
    """By the older product: an order in each state, some of them in the middle of their payment."""
    refused = [
        {"operation": "refunds.create", "fault": "error_before_commit", "order_id": each}
        for each in STORED
        if each.startswith("undo")
    ]
    held = [
        {"operation": "payment_intents.confirm", "fault": "hold", "delay_s": 30, "order_id": each}
        for each in STORED
        if each.startswith("in-the-middle")
    ]
    product.faults("payments", *refused, *held)
    for order_id, (changes, _) in STORED.items():
        assert product.order(order_id=order_id, **changes).status == 202
    for order_id, (_, status) in STORED.items():
        becomes(product, order_id, status)
    wait_for(lambda: all(product.ledger(each) for each in STORED if each.startswith("in-the")), 30, "payment")
    assert product.post("/api/orders/in-the-middle-cancelled/cancel").status == 202


def decide(product: Product) -> None:
    """By this tree: what the shop and its operators ask for, of orders that the older product stored."""
    product.faults("payments")  # the provider answers again
    requests = {
        "approved-later/approval": {**DECISION, "approved": True},
        "rejected-later/approval": {**DECISION, "approved": False},
        "cancelled-later/cancel": {},
        f"undo-retried{UNDO}/retry": BY,
        f"undo-resolved{UNDO}/resolve": {**BY, "reference": "SEPA-4711"},
    }
    for path, body in requests.items():
        answer = product.post(f"/api/orders/{path}", body)
        assert answer.status in {200, 202}, f"{path}: {answer.status} {answer.body!r}"


def findings(product: Product) -> list[str]:
    """Every sentence about an order that is not listed, not erased, or of which the witnesses disagree."""
    for order_id, status in ENDS.items():
        becomes(product, order_id, status)
    listed = {order["order_id"] for order in product.get("/api/orders?top=100").json()["orders"]}
    wrong = [f"{order_id} is not listed" for order_id in ENDS if order_id not in listed]
    with closing(Auditor(product.urls, everything=True)) as auditor:
        for order_id in ENDS:
            auditor.accepted(order_id)
        # This operator returned the money outside of Stripe, which the ledger cannot know.
        wrong += [sentence for sentence in auditor.violations() if "undo-resolved" not in sentence]
    erased = product.call("DELETE", "/api/orders/to-be-erased/personal-data")
    if erased.status != 204:
        wrong.append(f"the erasure was answered with {erased.status}: {erased.body!r}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.proof.upgrade", description=__doc__.partition("\n")[0])
    parser.add_argument("commit", help="the commit whose product stores the orders")
    older = checked_out(parser.parse_args().commit)
    with tempfile.TemporaryDirectory(prefix="order-saga-upgrade-") as name:
        data, port = Path(name), free_ports_in_a_row()
        with running(older, data, port) as product:
            store(product)
            product.kill_start()
        with running(ROOT, data, port) as product:
            decide(product)
            wrong = findings(product)
    say("\n".join(wrong) or f"{len(ENDS)} orders of the older code came to their end.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
