"""Whether what devhost left in a hub is what the real host would have left: three opinions on each instance of it.

1. The SDK: replayed over the stored history, the app's orchestrator comes to the result that is stored.
2. The oracle of tests/replay: the real host's own numbering would have decided the same in every execution.
3. The layout of the tables, column by column: stored_layout.py.

None of them is devhost's own, and all read the tables as any client does. Where an opinion is not asked for, a reason
stands beside it.
"""

import importlib.util
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from tests.devhost.support.hosts import Devhost
from tests.devhost.support.stored_layout import Row, faults_of_instance, of_type
from tests.replay.oracle.history import Event, Kind, request, response
from tests.replay.oracle.walk import walk
from tests.replay.task_hub import history

Orchestrator = Callable[[str], str]

# Ends that the host makes by itself: the SDK's replay does not know of them. The last one quotes a stack of the worker.
HOST_ENDS = re.compile(
    "doesn't exist, is disabled, or is not an|Non-Deterministic workflow detected|custom status must not exceed"
    "|Storage cannot keep what it did|An id must not|The worker process died|cannot have the id of its caller"
    "|^Orchestrator function '[^']+' failed: Result: Failure\nException: "
)

# Orchestrators that cannot be replayed here.
UNREPLAYABLE = {
    "leaving_orchestrator": "it ends the process that runs it",
    "changing": "it decides by a file",
    "fails_while_it_calls": "it decides by a file",
    "not_deterministic": "it decides by a file",
    "loops": "it never comes to its next yield",
    "blocks": "it never comes to its next yield",
}

# Types of events over which the oracle cannot walk: what a rewind overwrote.
UNWALKABLE = (Kind.GenericEvent,)

# Orchestrators over whose histories SDK and extension differ, so that the walk has to disagree.
DIFFERS = {
    "first_failure": "task_all raises at its first failure in the SDK, and waits for all its tasks in the extension",
    "retry_against_a_deadline": "the cancelled timer ends the wait for both at once in the extension",
    "for_ever": "between two of its endless generations devhost lets others run, and stores the one that ended at once",
}


class Hub:
    """The tables of one task hub, and the app that filled them."""

    def __init__(self, host: Devhost) -> None:
        self._host, self._orchestrators = host, orchestrators(host.app)
        self._tables = TableServiceClient.from_connection_string(host.storage)
        self._blobs = BlobServiceClient.from_connection_string(host.storage, api_version="2021-12-02")

    def close(self) -> None:
        self._tables.close()
        self._blobs.close()

    def rows(self, table: str, condition: str = "") -> list[Row]:
        client = self._tables.get_table_client(f"{self._host.hub}{table}")
        rows = client.query_entities(condition) if condition else client.list_entities()
        return [dict(row) for row in rows]

    def family(self, instance: str) -> list[str]:
        """An instance and all that it called, by partition key."""
        created = [row["InstanceId"] for row in of_type(self.history(instance), "SubOrchestrationInstanceCreated")]
        return [instance, *(each for child in created for each in self.family(child))]

    def instance(self, partition: str) -> Row:
        (row,) = self.rows("Instances", f"PartitionKey eq '{partition}'")
        return row

    def history(self, partition: str) -> list[Row]:
        return self.rows("History", f"PartitionKey eq '{partition}'")

    def events(self, rows: list[Row]) -> list[Event]:
        """The current execution in the SDK's shape."""
        return history(rows, self._blobs, self._host.hub)

    def faults(self, instance: str) -> list[str]:
        """What one instance and its children have left that the real host would not have."""
        return [
            fault
            for each in dict.fromkeys(self.family(instance))
            for fault in self._opinions(self.instance(each), self.history(each))
        ]

    def all_faults(self) -> list[str]:
        """The same of every instance of the hub that has begun."""
        partitions: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows("History"):
            partitions[row["PartitionKey"]].append(row)
        instances = {row["PartitionKey"]: row for row in self.rows("Instances")}
        return [
            fault
            for partition, row in instances.items()
            if partition in partitions and not partition.startswith("@")  # entities have a shape of their own
            for fault in self._opinions(row, partitions[partition])
        ]

    def _opinions(self, row: Row, rows: list[Row]) -> Iterator[str]:
        yield from faults_of_instance(row, rows)
        name = row["Name"].lower()
        if name in UNREPLAYABLE or name.startswith("@"):  # entities are not replayed: their state is their input
            return
        events, orchestrator = self.events(rows), self._orchestrators[name]
        for fault in [*result_faults(events, orchestrator, row), *walk_faults(name, events, orchestrator)]:
            yield f"{row['PartitionKey']} of {row['Name']}: {fault}"


@contextmanager
def judged(host: Devhost) -> Iterator[Devhost]:
    """A devhost that serves, and whose whole hub is judged in the end."""
    try:
        yield host.start()
        faults = faults_after(host)
        assert not faults, "\n".join(faults)
    finally:
        host.kill()


def faults_after(host: Devhost) -> list[str]:
    """What is wrong in the hub of a devhost that is stopped now, so that its rows are all written."""
    assert host.stop() == 0, host.log
    with closing(Hub(host)) as hub:
        return hub.all_faults()


def result_faults(events: list[Event], orchestrator: Orchestrator, row: Row) -> Iterator[str]:
    """The SDK's replay of the whole history comes to what is stored."""
    state = response(orchestrator, request(events))
    end = next((event for event in events if event["EventType"] == Kind.ExecutionCompleted), None)
    result = None if end is None else end["Result"]
    if HOST_ENDS.search(result or "") or row["RuntimeStatus"] in ("Terminated", "Suspended"):
        return
    if end is not None:
        yield from _differences("the result", _result(row["Name"], state), result)
    status = json.dumps(state.get("customStatus"), ensure_ascii=False, separators=(",", ":"))
    yield from _differences("the custom status", status, row["CustomStatus"])


def _differences(subject: str, replayed: Any, stored: Any) -> Iterator[str]:
    if replayed != stored:
        yield f"a replay comes to {replayed!r} as {subject}, stored is {stored!r}"


def _result(name: str, state: dict[str, Any]) -> str | None:
    if state.get("error") is not None:
        return f"Orchestrator function '{name}' failed: {state['error']}"
    assert state["isDone"], "a replay of the whole history is not done"
    output = state.get("output")
    return None if output is None else json.dumps(output, ensure_ascii=False, separators=(",", ":"))


def walk_faults(name: str, events: list[Event], orchestrator: Orchestrator) -> Iterator[str]:
    """The real host would have decided the same, or is known not to."""
    if any(
        HOST_ENDS.search(event["Result"] or "") for event in events if event["EventType"] == Kind.ExecutionCompleted
    ):
        return
    if any(event["EventType"] in UNWALKABLE for event in events):
        return
    differences = walk(events, orchestrator)
    if name not in DIFFERS:
        yield from map(str, differences)
    elif not differences:
        yield f"the walk agrees, although SDK and extension are said to differ: {DIFFERS[name]}"


@cache
def orchestrators(app: Path) -> dict[str, Orchestrator]:
    """The decorated orchestrators of an app, by lower-case name. Once, because the SDK indexes an app only once."""
    spec = importlib.util.spec_from_file_location(f"{app.name}_function_app", app / "function_app.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(app))  # as the worker finds an app's own modules
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(app))
    functions = [each for each in module.app.get_functions() if each.get_trigger().type == "orchestrationTrigger"]
    return {each.get_function_name().lower(): each.get_user_function() for each in functions}
