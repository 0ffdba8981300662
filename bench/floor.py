"""The floors: what the storage calls of one order take with nothing around them, and what the SDK's replays take.

One order's calls are one insert of an instance, six history transactions of three rows and one merge, through the same
raw client that devhost uses. Faster than that no engine with these tables can be; how near devhost comes is measured.
"""

import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.app import function_app
from devhost.events import Event, to_sdk
from devhost.storage_account import parse_connection_string
from devhost.storage_http import StorageHttp
from devhost.tables import INSERT, MERGE, Outage, Row, Tables

STEPS = 5


class TablesFloor:
    """Orders as raw calls, into the tables of a hub: `order` does one."""

    def __init__(self, connection_string: str, http: StorageHttp, hub: str) -> None:
        self._tables = Tables(parse_connection_string(connection_string), http, Outage())
        self._instances, self._history = f"{hub}Instances", f"{hub}History"

    async def create(self) -> None:
        for table in (self._instances, self._history):
            await self._tables.create_table(table)

    async def order(self) -> None:
        key = uuid.uuid4().hex
        await self._tables.write(self._instances, instance(key), INSERT)
        for first in range(0, 18, 3):
            rows = [(INSERT, event(key, number)) for number in range(first, first + 3)]
            await self._tables.transact(self._history, rows)
        ended = {"RuntimeStatus": "Completed", "Output": "[]", "CompletedTime": datetime.now(UTC)}
        await self._tables.write(self._instances, {"PartitionKey": key, "RowKey": "", **ended}, MERGE)

    async def finished(self) -> None:
        """An instance that ended long ago, with as many rows as five steps leave in the hub."""
        key = uuid.uuid4().hex
        row = {**instance(key), "RuntimeStatus": "Completed", "Output": "[]", "CompletedTime": datetime.now(UTC)}
        await self._tables.write(self._instances, row, INSERT)
        sentinel = {"PartitionKey": key, "RowKey": "sentinel", "ExecutionId": key, "IsCheckpointComplete": True}
        rows = [(INSERT, event(key, number)) for number in range(4 * (STEPS + 1))]
        await self._tables.transact(self._history, [*rows, (INSERT, sentinel)])


def instance(key: str) -> Row:
    now = datetime.now(UTC)
    return {
        "PartitionKey": key,
        "RowKey": "",
        "Name": "saga",
        "RuntimeStatus": "Pending",
        "CreatedTime": now,
        "LastUpdatedTime": now,
        "ExecutionId": key,
    }


def event(key: str, ordinal: int) -> Row:
    return {
        "PartitionKey": key,
        "RowKey": f"{ordinal:016X}",
        "ExecutionId": key,
        "EventId": -1,
        "IsPlayed": False,
        "_Timestamp": datetime.now(UTC),
        "EventType": "OrchestratorStarted",
    }


def replays_ms(orders: int) -> float:
    """CPU of the SDK's six replays of one five-step saga, in milliseconds."""
    handle = next(each for each in function_app.app.get_functions() if each.get_function_name() == "saga")
    replay, contexts = handle.get_user_function(), [context(done) for done in range(STEPS + 1)]
    begun = time.process_time()
    for _ in range(orders):
        for each in contexts:
            replay(each)
    return (time.process_time() - begun) / orders * 1000


def context(done: int) -> str:
    """What the SDK is given once so many steps are done."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    events = [Event("OrchestratorStarted", at), Event("ExecutionStarted", at, fields={"Name": "saga", "Version": ""})]
    for number in range(done):
        at += timedelta(milliseconds=5)
        events += [
            Event("TaskScheduled", at, number, fields={"Name": "step"}),
            Event("OrchestratorCompleted", at),
            Event("OrchestratorStarted", at),
            Event("TaskCompleted", at, fields={"TaskScheduledId": number, "Result": '"one"'}),
        ]
    given: dict[str, Any] = {"input": None, "instanceId": "bench", "isReplaying": done > 0, "parentInstanceId": None}
    limits = {"upperSchemaVersion": 1, "upperSchemaVersionNew": 2}
    text = json.dumps({**given, **limits})
    return f'{{"history":[{",".join(map(to_sdk, events))}],{text[1:]}'
