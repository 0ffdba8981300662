"""A task hub: its tables and containers, in the Azure Storage provider's names and types. It decides nothing."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from devhost.storage.blobs import Blobs
from devhost.storage.history_table import HistoryTable
from devhost.storage.instances_table import InstancesTable
from devhost.storage.large_payloads import LargePayloads
from devhost.storage.queues import Queues
from devhost.storage.rewind import rewound, without_service_columns
from devhost.storage.tables import Tables

MARKER = "taskhub.json"


class ForeignHub(Exception):
    """The hub belongs to another host; the text is one sentence."""


class TaskHub:
    """The operations on both tables, `instances` and `history`, or on the whole hub."""

    def __init__(self, name: str, tables: Tables, blobs: Blobs, queues: Queues, partitions: int) -> None:
        self.name = name
        self._blobs, self._queues, self._partitions = blobs, queues, partitions
        self._leases = f"{name.lower()}-leases"
        self._payloads = LargePayloads(blobs, f"{name.lower()}-largemessages")
        self.instances = InstancesTable(tables, self._payloads, f"{name}Instances")
        self.history = HistoryTable(tables, self._payloads, f"{name}History")

    async def open(self) -> None:
        """Create missing tables, containers and queues. Raises ForeignHub for a hub that another host has used."""
        await self._blobs.create_container(self._leases)
        await self._claim()
        await self.instances.create()
        await self.history.create()

    async def _claim(self) -> None:
        """Mark the hub as devhost's. The real host keeps work in queues: each would strand the other's instances."""
        content = await self._blobs.get(self._leases, MARKER)
        if content is None:
            await self._create_provider_objects()
            created = {"CreatedAt": datetime.now(UTC).isoformat(), "PartitionCount": self._partitions}
            marker = {"TaskHubName": self.name, **created}
            text = json.dumps({**marker, "host": "devhost"})
            await self._blobs.put(self._leases, MARKER, text.encode(), "application/json")
        elif json.loads(content).get("host") != "devhost":
            raise ForeignHub(
                f"The task hub '{self.name}' has been used by the Azure Functions host; give devhost a hub of its own "
                "(AzureFunctionsJobHost__extensions__durableTask__hubName)."
            )

    async def _create_provider_objects(self) -> None:
        """Create the provider's other containers and queues, which devhost never uses, for readers of the account."""
        hub = self.name.lower()
        control = [f"{hub}-control-{number:02}" for number in range(self._partitions)]
        await self._queues.create([*control, f"{hub}-workitems"])
        await self._blobs.create_container(f"{hub}-applease")

    async def rewind(self, instance_id: str) -> list[str]:
        """Remove the failures from the histories of a failed instance and its failed children; the ids of all rewound
        instances, the deepest first.
        """
        changed, children = rewound(await self.history.rows(instance_id))
        ids = [each for child in children for each in await self.rewind(child)]
        await self.history.replace([without_service_columns(row) for row in changed])
        pending = {"RuntimeStatus": "Pending", "LastUpdatedTime": datetime.now(UTC)}
        await self.instances.merge(instance_id, pending)
        return [*ids, instance_id]

    async def purge(self, instance_id: str) -> None:
        """Delete the history, the large payloads and the row of an instance."""
        await self.history.delete(instance_id)
        await self._payloads.delete(instance_id)
        await self.instances.delete(instance_id)

    async def drop_old_texts(self, instance_id: str, kept: Iterable[str]) -> None:
        """Delete the large payloads of an instance, except for those at the addresses."""
        await self._payloads.delete(instance_id, kept)
