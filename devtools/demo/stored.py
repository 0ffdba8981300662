"""An order's stored data, read by Microsoft's own clients and not through the host."""

from __future__ import annotations

from typing import Any

from azure.data.tables import TableClient
from azure.storage.blob import ContainerClient


def history_of(connection: str, hub: str, order_id: str) -> list[dict[str, Any]]:
    """The rows of its history, in order."""
    with TableClient.from_connection_string(connection, hub + "History") as table:
        rows = table.query_entities("PartitionKey eq @order and RowKey ne 'sentinel'", parameters={"order": order_id})
        return sorted(map(dict, rows), key=lambda row: str(row["RowKey"]))


def labels_of(connection: str, order_id: str) -> list[str]:
    with ContainerClient.from_connection_string(connection, "labels") as container:
        blobs = container.list_blobs(include=["metadata"]) if container.exists() else []
        return [f"{blob.name} {blob.metadata or ''}" for blob in blobs if blob.name == f"{order_id}.pdf"]
