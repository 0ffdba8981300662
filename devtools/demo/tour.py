"""`python3 dev.py demo`: a tour with two orders, which checks what it shows."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devtools.demo import stored
from devtools.demo.promises import PROMISED_OF_THE_COMPLETED, PROMISED_OF_THE_DECLINED, Promises, broken_promises
from devtools.demo.retelling import pretty, retell
from devtools.demo.story import QUANTITY, Story
from devtools.example_order import SKU, example_order
from devtools.printing import say
from devtools.processes import signals
from devtools.processes.http import fetch
from devtools.processes.signals import pause
from devtools.product.own import product_of_its_own
from devtools.trouble import Trouble


def main() -> int:
    signals.listen()
    try:
        return _tour()
    except signals.Interrupted:
        return 130


def _tour() -> int:
    """The folder is kept for its logs if the tour failed, and then the last sentence names it."""
    folder = Path(tempfile.mkdtemp(prefix="order-saga-demo-"))
    say(f"Starting a product of its own for the tour, with its data in {folder}")
    failure, logs = "", f"The logs are in {folder / 'logs'}."
    try:
        broken = _promises_broken_on(folder)
        failure = f"\nNot as promised: {'; '.join(broken)}. {logs}" if broken else ""
    except Trouble as trouble:
        failure = str(trouble) if str(folder) in str(trouble) else f"{trouble} {logs}"
        raise Trouble(failure) from None
    finally:
        if not failure:
            shutil.rmtree(folder, ignore_errors=True)
    say(failure or "\nEverything is as promised. `python3 dev.py start` runs the product for orders of your own.")
    return 1 if failure else 0


def _promises_broken_on(folder: Path) -> list[str]:
    with product_of_its_own(folder) as urls:
        return [
            *_show("An order that goes through", "pm_card_visa", PROMISED_OF_THE_COMPLETED, urls),
            *_show("A card that is declined", "pm_card_visa_chargeDeclined", PROMISED_OF_THE_DECLINED, urls),
        ]


def _show(title: str, payment_method: str, promises: Promises, urls: Mapping[str, Any]) -> list[str]:
    """Place one order, wait for its end, print its story; returns the broken promises."""
    say(f"\n{title}\n{'=' * len(title)}")
    story = live_through(payment_method, urls)
    say(retell(story))
    broken = broken_promises(story, promises)
    for promise, _ in promises:
        say(f"  {'BROKEN' if promise in broken else 'kept  '}  {promise}")
    return [f"{title.lower()}: {promise}" for promise in broken]


def live_through(payment_method: str, urls: Mapping[str, Any]) -> Story:
    name = f"demo-{os.urandom(4).hex()}"
    customer = {"id": name, "name": "Ada", "email": f"{name}@example.com"}
    items = [{"sku": SKU, "quantity": QUANTITY}]
    order = example_order(order_id=name, customer=customer, items=items, payment_method=payment_method)
    say(f"POST {urls['host']}/api/orders\n{pretty(order)}\n")

    stock = f"{urls['host']}/api/inventory/{SKU}"
    before = fetch(stock).json()
    accepted = fetch(f"{urls['host']}/api/orders", "POST", order)
    if accepted.status != 202:
        raise Trouble(f"The order was answered with {accepted.status}: {accepted.text[:500]}")
    ended = _wait_for_the_end(accepted.json()["statusQueryGetUri"])
    return Story(
        answered=accepted.status,
        runtime_status=ended["runtimeStatus"],
        view=fetch(f"{urls['host']}/api/orders/{name}").json(),
        stock_before=before,
        stock_after=fetch(stock).json(),
        ledger=[e for e in fetch(f"{urls['payments']}/sandbox/ledger").json() if e["order_id"] == name],
        messages=[m for m in fetch(f"{urls['mail']}/sandbox/messages").json() if name in m["to"]],
        labels=stored.labels_of(urls["storage_connection_string"], name),
        history=stored.history_of(urls["storage_connection_string"], urls["task_hub"], name),
    )


def _wait_for_the_end(url: str, patience: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + patience
    while (answer := fetch(url)).status == 202:
        if time.monotonic() > deadline:
            raise Trouble(f"The order had no end after {patience:.0f} s: {answer.text}")
        pause(min(1.0, float(answer.headers.get("Retry-After") or 1)) / 4)
    ended: dict[str, Any] = answer.json()
    return ended


if __name__ == "__main__":
    sys.exit(main())
