"""What the world looks like from outside: the ledgers, the stock, the labels, the mail, the tables, and the public API.

An `OutsideView` is made of the addresses in `urls.json` and of nothing else, so that what a test compares is what an
auditor would see.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from devtools.audit.witnesses import ENDED
from devtools.example_order import example_order
from devtools.processes.http import HttpResponse, fetch
from tests.support.stored_tables import StoredTables


class Effects(NamedTuple):
    """All that an order left behind, as its providers tell it. `mails` counts confirmations, `message_ids` theirs."""

    charged: int
    given_back: int
    label: str | None
    mails: int
    message_ids: int
    pushes: int

    @property
    def net(self) -> int:
        return self.charged - self.given_back


NOTHING = Effects(charged=0, given_back=0, label=None, mails=0, message_ids=0, pushes=0)


class OutsideView:
    """`urls`: the content of `urls.json`. `tables`: what the product has stored."""

    def __init__(self, urls: Mapping[str, Any]) -> None:
        self.urls = urls
        self.tables = StoredTables(urls)
        self._labels = BlobServiceClient.from_connection_string(urls["storage_connection_string"]).get_container_client(
            "labels"
        )

    def close(self) -> None:
        self.tables.close()
        self._labels.close()

    # Orders, through the public API.

    def order(self, order_id: str | None = None, /, **changes: Any) -> str:
        """POST the example order with changes; it must be accepted. Returns its id."""
        order_id = order_id or new_id()
        answer = self.post("/api/orders", example_order(order_id=order_id, **changes))
        assert answer.status == 202, answer.body
        return order_id

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> HttpResponse:
        return fetch(self.urls["host"] + path, "POST", body, headers)

    def get(self, path: str) -> HttpResponse:
        return fetch(self.urls["host"] + path)

    def put_stock(self, sku: str, on_hand: int, price_minor: int = 1000, currency: str = "gbp") -> None:
        body = {"on_hand": on_hand, "price_minor": price_minor, "currency": currency}
        answer = fetch(f"{self.urls['host']}/api/inventory/{sku}", "PUT", body)
        assert answer.status in {200, 201}, answer.body

    def new_sku(self, on_hand: int = 10, price_minor: int = 1000, currency: str = "gbp") -> str:
        """A SKU of the test's own."""
        sku = f"SKU-{uuid.uuid4().hex[:10].upper()}"
        self.put_stock(sku, on_hand, price_minor, currency)
        return sku

    def view(self, order_id: str) -> dict[str, Any]:
        answer = self.get(f"/api/orders/{order_id}")
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def ended(self, order_id: str, patience: float = 60, every: float = 0.05) -> dict[str, Any]:
        """The customer's view, once it is final and its orchestration has ended too."""

        def over() -> bool:
            """Both at once: a parked order that is retried looks ended until its new saga has begun."""
            if self.view(order_id)["status"] not in ENDED:
                return False
            return self.tables.instance(order_id)["RuntimeStatus"] not in {"Pending", "Running"}

        wait_for(over, patience, f"end of order {order_id}", every)
        return self.view(order_id)

    def becomes(self, order_id: str, status: str, patience: float = 60) -> dict[str, Any]:
        """The customer's view, once it shows this status, which need not be an end."""
        wait_for(lambda: self.view(order_id)["status"] == status, patience, f"{status} of order {order_id}")
        return self.view(order_id)

    def cancel(self, order_id: str) -> HttpResponse:
        return self.post(f"/api/orders/{order_id}/cancel", None)

    def operate(self, order_id: str, compensation: str, verb: str, **body: str) -> HttpResponse:
        """`verb`: retry or resolve."""
        return self.post(f"/api/orders/{order_id}/compensations/{compensation}/{verb}", body)

    def terminate(self, order_id: str) -> None:
        """Behind the app's back, as an operator of the task hub could."""
        hub = f"{self.urls['host']}/runtime/webhooks/durabletask/instances/{order_id}"
        answer = fetch(f"{hub}/terminate?reason=a%20test", "POST")
        assert answer.status == 202, answer.body
        wait_for(
            lambda: self.tables.instance(order_id)["RuntimeStatus"] == "Terminated", 60, f"termination of {order_id}"
        )

    # What the providers say.

    def stock(self, sku: str) -> tuple[int, int]:
        """(on_hand, reserved)."""
        body = self.get(f"/api/inventory/{sku}").json()
        return body["on_hand"], body["reserved"]

    def ledger(self, order_id: str) -> list[dict[str, Any]]:
        entries = fetch(self.urls["payments"] + "/sandbox/ledger").json()
        return [entry for entry in entries if entry["order_id"] == order_id]

    def net_money(self) -> dict[str, int]:
        """Charged less given back, in minor units, by order id."""
        sign = {"payment_intent.succeeded": 1, "refund.succeeded": -1}
        net: dict[str, int] = {}
        for entry in fetch(self.urls["payments"] + "/sandbox/ledger").json():
            net.setdefault(entry["order_id"], 0)
            net[entry["order_id"]] += sign.get(entry["event"], 0) * entry["amount_minor"]
        return net

    def messages(self, order_id: str) -> list[dict[str, Any]]:
        """Mails and pushes that speak of this order."""
        messages = fetch(self.urls["mail"] + "/sandbox/messages").json()
        return [message for message in messages if order_id in json.dumps(message)]

    def cancellation_notices(self, order_id: str) -> list[str]:
        """The texts of the mails that say what was undone."""
        return [message["text"] for message in self.messages(order_id) if ".farewell@" in (message["message_id"] or "")]

    def label(self, order_id: str) -> str | None:
        """`issued` or `void`; None where there never was one."""
        try:
            return str(self._labels.get_blob_client(f"{order_id}.pdf").get_blob_properties().metadata["status"])
        except ResourceNotFoundError:
            return None

    def label_pdf(self, order_id: str) -> bytes:
        return bytes(self._labels.download_blob(f"{order_id}.pdf").readall())

    def labels_of(self, order_id: str) -> int:
        return sum(1 for blob in self._labels.list_blobs() if order_id in blob.name)

    def effects(self, order_id: str) -> Effects:
        ledger, messages = self.ledger(order_id), self.messages(order_id)
        mails = [message for message in messages if ".confirmation@" in (message["message_id"] or "")]
        return Effects(
            charged=sum(entry["amount_minor"] for entry in ledger if entry["event"] == "payment_intent.succeeded"),
            given_back=sum(entry["amount_minor"] for entry in ledger if entry["event"] == "refund.succeeded"),
            label=self.label(order_id),
            mails=len(mails),
            message_ids=len({mail["message_id"] for mail in mails}),
            pushes=len([message for message in messages if message["kind"] == "push"]),
        )

    # Faults of the providers.

    @contextmanager
    def faults(self, target: str, *rules: Mapping[str, Any]) -> Iterator[None]:
        """For the length of a block: a fault plan of "payments" or "mail"."""
        edge = f"{self.urls[target]}/sandbox/faults"
        answer = fetch(edge, "PUT", {"seed": 7, "rules": list(rules)})
        assert 200 <= answer.status < 300, answer.body
        try:
            yield
        finally:
            fetch(edge, "DELETE")

    def fired(self, target: str) -> int:
        """How often the first rule of the plan has come to pass."""
        return int(fetch(f"{self.urls[target]}/sandbox/faults").json()["fired"][0])


def new_id() -> str:
    return f"order-{uuid.uuid4().hex[:16]}"


def wait_for(done: Callable[[], object], patience: float, name: str, every: float = 0.05) -> None:
    """Poll until it is so; a failed test when it is not in time."""
    deadline = time.monotonic() + patience
    while not done():
        assert time.monotonic() < deadline, f"no {name} within {patience:.0f} s"
        time.sleep(every)


def statuses(view: Mapping[str, Any]) -> dict[str, str]:
    return {step["name"]: step["status"] for step in view["steps"]}


def compensations(view: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(entry["name"], entry["status"]) for entry in view["compensations"]]
