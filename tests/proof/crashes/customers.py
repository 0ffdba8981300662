"""What customers, the shop and its operators do in the proof: over the public API, drawn from a seed.

Each of these may be cut off by a death of the host. A customer who got no answer sends the order again
with the same id and body; a restock is sent again only under the ETag that it read.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from devtools.audit.auditor import Auditor
from devtools.example_order import example_order
from devtools.processes.http import HttpResponse, fetch

DECLINED = (
    "pm_card_visa_chargeDeclined",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_authenticationRequired",
)
OPERATOR = {"by": "operator-7", "reason": "the provider answers again"}


class Mix(NamedTuple):
    """How often, of one order in one: what is drawn first counts. `cancelled` and `repeated` are drawn beside it."""

    declined: float = 0.1
    bouncing: float = 0.1
    po_box: float = 0.05
    unknown_sku: float = 0.03
    cancelled: float = 0.25
    repeated: float = 0.1


class Order(NamedTuple):
    """`cancel_after`: seconds after it was placed, None for never; `repeated`: its POST is sent once more."""

    order_id: str
    body: Mapping[str, Any]
    cancel_after: float | None
    repeated: bool

    @property
    def items(self) -> Mapping[str, int]:
        return {item["sku"]: item["quantity"] for item in self.body["items"]}


def draw(rng: random.Random, prefix: str, count: int, skus: Sequence[str], mix: Mix) -> list[Order]:
    """Orders with baskets of one to three SKUs."""
    return [_order(rng, f"{prefix}-{number:05d}", skus, mix) for number in range(count)]


def _order(rng: random.Random, order_id: str, skus: Sequence[str], mix: Mix) -> Order:
    basket = rng.sample(skus, min(len(skus), rng.choice((1, 1, 1, 2, 2, 3))))
    items = [{"sku": sku, "quantity": rng.choice((1, 1, 1, 2))} for sku in basket]
    body = example_order(**{"order_id": order_id, "items": items, **_flaw(rng, items, mix)})
    cancel_after = rng.choice((0.0, rng.expovariate(2))) if rng.random() < mix.cancelled else None
    return Order(order_id, body, cancel_after, rng.random() < mix.repeated)


def _flaw(rng: random.Random, items: list[dict[str, Any]], mix: Mix) -> dict[str, Any]:
    """Why the order cannot be completed, if so: as changes of the example order."""
    example = example_order()
    flaws: list[tuple[float, dict[str, Any]]] = [
        (mix.declined, {"payment_method": rng.choice(DECLINED)}),
        (mix.bouncing, {"customer": {**example["customer"], "email": "ada@bounce.invalid"}}),
        (mix.po_box, {"shipping_address": {**example["shipping_address"], "line1": "PO Box 12"}}),
        (mix.unknown_sku, {"items": [*items, {"sku": "NO-SUCH-THING", "quantity": 1}]}),
    ]
    drawn = rng.random()
    for share, changes in flaws:
        if drawn < share:
            return changes
        drawn -= share
    return {}


def place(urls: Mapping[str, Any], auditor: Auditor, order: Order) -> None:
    """POST it; safe to repeat. Raises OSError while the host is away or says 503."""
    answer = _answered(fetch(f"{urls['host']}/api/orders", "POST", order.body))
    assert answer.status == 202, f"order {order.order_id} was answered with {answer.status}: {answer.body!r}"
    auditor.accepted(order.order_id)


def cancel(urls: Mapping[str, Any], auditor: Auditor, order_id: str) -> bool:
    """Whether it was promised; a 409 is as good an answer as a 202. Raises OSError as `place`."""
    answer = _answered(fetch(f"{urls['host']}/api/orders/{order_id}/cancel", "POST", {}))
    assert answer.status in {202, 409}, f"the cancel of {order_id} was answered with {answer.status}: {answer.body!r}"
    if answer.status == 202:
        auditor.cancel_accepted(order_id)
    return answer.status == 202


def restock(urls: Mapping[str, Any], auditor: Auditor, sku: str, units: int) -> bool:
    """Add units under the ETag that was read. False: somebody sold some in between. Raises OSError as `place`."""
    address = f"{urls['host']}/api/inventory/{sku}"
    entry = _answered(fetch(address))
    shelf, etag = entry.json(), entry.headers["ETag"]
    with auditor.restocking(sku, units) as arrival:
        body = {key: shelf[key] for key in ("price_minor", "currency")} | {"on_hand": shelf["on_hand"] + units}
        answer = _answered(fetch(address, "PUT", body, {"If-Match": etag}))
        arrival.arrived = answer.status == 200
    assert answer.status in {200, 412}, f"a restock of {sku} was answered with {answer.status}: {answer.body!r}"
    return answer.status == 200


def look_after(urls: Mapping[str, Any], rng: random.Random) -> int:
    """What operators do: decide what waits for an approval, and have unconfirmed undos tried again. How much it was."""
    done = 0
    for order_id in _listed(urls, "awaiting_approval"):
        if rng.random() < 0.7:  # the others expire
            decision = {"approved": rng.random() < 0.8, "approver": OPERATOR["by"], "comment": "as agreed"}
            done += _post(f"{urls['host']}/api/orders/{order_id}/approval", decision)
    for order_id in _listed(urls, "needs_attention"):
        view = _answered(fetch(f"{urls['host']}/api/orders/{order_id}")).json()
        for undo in view["compensations"]:
            if undo["status"] == "failed":
                done += _post(f"{urls['host']}/api/orders/{order_id}/compensations/{undo['name']}/retry", OPERATOR)
    return done


def _listed(urls: Mapping[str, Any], status: str) -> list[str]:
    page = _answered(fetch(f"{urls['host']}/api/orders?status={status}&top=100")).json()
    return [order["order_id"] for order in page["orders"]]


def _post(address: str, body: Mapping[str, Any]) -> int:
    answer = _answered(fetch(address, "POST", body))
    assert answer.status in {202, 409}, f"{address} was answered with {answer.status}: {answer.body!r}"
    return int(answer.status == 202)


def _answered(answer: HttpResponse) -> HttpResponse:
    """503 is how the app says that it cannot know now, an empty 500 how the host says that the worker died: no answer.

    A function that raises is an empty 500 too. Its traceback is in the log of the host, which the chaos run reads.
    """
    if answer.status == 503 or (answer.status == 500 and not answer.body):
        raise OSError(str(answer.status))
    return answer
