"""Reads a product from outside for the auditor: its API, the sandbox's ledgers, its stock table and its labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from devtools.audit.witnesses import ApiOrder, Facts, Row, by_order, order_of
from devtools.processes.http import fetch


class AuditReader:
    """`urls`: the content of `urls.json`. Each method reads anew. Raises OSError or AzureError while one is down."""

    def __init__(self, urls: Mapping[str, Any]) -> None:
        self._urls = urls
        storage = urls["storage_connection_string"]
        # A reading of a product that is down is useless later: fail at once, and read again.
        self._tables = TableServiceClient.from_connection_string(storage, retry_total=0)
        self._stock = self._tables.get_table_client("stock")
        self._blobs = BlobServiceClient.from_connection_string(storage, retry_total=0)
        self._labels = self._blobs.get_container_client("labels")

    def close(self) -> None:
        self._tables.close()
        self._blobs.close()

    def listed(self) -> Iterator[str]:
        token = ""
        while True:
            page = fetch(f"{self._urls['host']}/api/orders?top=100&continuation={token}").json()
            yield from (order["order_id"] for order in page["orders"])
            token = page["continuation"]
            if not token:
                return

    def order(self, order_id: str) -> ApiOrder | None:
        answer = fetch(f"{self._urls['host']}/api/orders/{order_id}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise OSError(f"GET of order {order_id} was answered with {answer.status}")
        view = answer.json()
        return ApiOrder(
            order_id=order_id,
            status=view["status"],
            total=view["total"] and view["total"]["amount_minor"],
            steps={step["name"]: step["status"] for step in view["steps"]},
            undos={undo["name"]: undo["status"] for undo in view["compensations"]},
        )

    def _ledger(self) -> list[Row]:
        return list(fetch(self._urls["payments"] + "/sandbox/ledger").json())

    def _messages(self) -> list[Row]:
        return list(fetch(self._urls["mail"] + "/sandbox/messages").json())

    def facts_of(self, order_id: str) -> Facts:
        """The facts of one order. Messages are read first, so that the other readings contain their causes."""
        messages = tuple(row for row in self._messages() if order_of(row) == order_id)
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

    def all_facts(self, labels: Mapping[str, Row]) -> dict[str, Facts]:
        """By order id: the facts of all providers, each read once."""
        ledger = by_order(self._ledger(), lambda row: row["order_id"])
        messages = by_order(self._messages(), order_of)
        goods = {key: row for key, row in self.stock_rows().items() if key.startswith("order:")}
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

    def labels(self) -> list[tuple[str, Row]]:
        """The order's id and the metadata of each label."""
        if not self._labels.exists():
            return []
        blobs = self._labels.list_blobs(include=["metadata"])
        rows = [(blob.name, dict(blob.metadata or {})) for blob in blobs]
        return [(row.get("order_id") or name.removesuffix(".pdf"), row) for name, row in rows]

    def stock_rows(self) -> dict[str, Row]:
        return {row["RowKey"]: dict(row) for row in self._stock.query_entities("PartitionKey eq 'stock'")}
