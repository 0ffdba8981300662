"""What the product has stored: its tables, read by a plain table client.

One order's rows are its record, its audit trail, the webhooks kept beside it, and its instance in the task hub.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from azure.data.tables import TableServiceClient


class StoredTables:
    """`urls`: the content of `urls.json`."""

    def __init__(self, urls: Mapping[str, Any]) -> None:
        self._urls = urls
        self._tables = TableServiceClient.from_connection_string(urls["storage_connection_string"])

    def close(self) -> None:
        self._tables.close()

    def names(self) -> list[str]:
        return [table.name for table in self._tables.list_tables()]

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        return (dict(row) for row in self._tables.get_table_client(name).list_entities())

    # The task hub.

    def instance(self, order_id: str) -> dict[str, Any]:
        return dict(self._tables.get_table_client(f"{self._urls['task_hub']}Instances").get_entity(order_id, ""))

    def history(self, order_id: str) -> list[dict[str, Any]]:
        """The rows of the current execution; an earlier, longer one may have left rows behind them."""
        table = self._tables.get_table_client(f"{self._urls['task_hub']}History")
        rows = sorted(table.query_entities(f"PartitionKey eq '{order_id}'"), key=lambda row: str(row["RowKey"]))
        current = [row["ExecutionId"] for row in rows if row["RowKey"] == "sentinel"]
        return [dict(row) for row in rows if row["RowKey"] != "sentinel" and row["ExecutionId"] in current]

    def scheduled(self, order_id: str) -> list[str]:
        """The activities in the order in which they were scheduled, repeated attempts included."""
        return [row["Name"] for row in self.history(order_id) if row["EventType"] == "TaskScheduled"]

    # The order.

    def record(self, order_id: str) -> dict[str, Any]:
        """The order's own row."""
        return dict(self._tables.get_table_client("orders").get_entity(order_id, "order"))

    def audits(self, order_id: str) -> list[dict[str, Any]]:
        """The order's audit trail, oldest first."""
        return self._beside(order_id, "audit:")

    def webhooks(self, order_id: str) -> list[dict[str, Any]]:
        """What is kept beside the order of the provider's events."""
        return self._beside(order_id, "webhook:")

    def _beside(self, order_id: str, kind: str) -> list[dict[str, Any]]:
        rows = self._tables.get_table_client("orders").query_entities(f"PartitionKey eq '{order_id}'")
        return [dict(row) for row in rows if row["RowKey"].startswith(kind)]
