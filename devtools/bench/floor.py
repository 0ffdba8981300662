"""The floors: the time of one order's storage calls alone, and of the SDK's replays.

One order's calls are one insert of an instance, six history transactions and one merge, with the rows that devhost
leaves of an order of five trivial steps, through the same raw client. No engine with these tables can be faster; the
bench measures how near devhost is.
"""

import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from devhost.history.events import Event, Row, compact_json, to_row, to_sdk
from devhost.storage.account import parse_connection_string
from devhost.storage.history_table import SENTINEL
from devhost.storage.http_client import StorageHttp
from devhost.storage.keys import row_key
from devhost.storage.retry import StorageRetry
from devhost.storage.tables import INSERT, UPSERT_MERGE, UPSERT_REPLACE, Tables, WriteMode
from devtools.bench.app import function_app

STEPS = function_app.STEPS


class TablesFloor:
    """Orders as raw calls, into the tables of a hub: `order` makes one."""

    def __init__(self, connection_string: str, http: StorageHttp, hub: str) -> None:
        self._tables = Tables(parse_connection_string(connection_string), http, StorageRetry())
        self._instances, self._history = f"{hub}Instances", f"{hub}History"

    async def create(self) -> None:
        for table in (self._instances, self._history):
            await self._tables.create_table(table)

    async def order(self) -> None:
        key = uuid.uuid4().hex
        await self._tables.write(self._instances, of(key, PENDING), INSERT)
        for turn in TURNS:
            await self._tables.transact(self._history, [(mode, of(key, row)) for mode, row in turn])
        await self._tables.write(self._instances, of(key, ENDED), UPSERT_MERGE)

    async def finished(self) -> None:
        """Write an instance that ended long ago: the same rows, in as few calls as possible."""
        key = uuid.uuid4().hex
        await self._tables.write(self._instances, of(key, PENDING | ENDED), INSERT)
        rows = {row["RowKey"]: row for turn in TURNS for _, row in turn}
        await self._tables.transact(self._history, [(INSERT, of(key, row)) for row in rows.values()])


def turn(number: int) -> list[tuple[WriteMode, Row]]:
    """The rows that one turn of an order adds to its history, without an order's keys and times."""
    started, ended = Event("OrchestratorStarted", NOW), Event("OrchestratorCompleted", NOW)
    events = [started, cause(number), decision(number), ended]
    ordinals = range(number * len(events), (number + 1) * len(events))
    keys = [{"RowKey": row_key(ordinal)} for ordinal in ordinals]
    rows = [(UPSERT_REPLACE, key | to_row(event)) for key, event in zip(keys, events, strict=True)]
    sentinel = {"RowKey": SENTINEL, "IsCheckpointComplete": True, "CheckpointCompletedTimestamp": NOW}
    return [*rows, (UPSERT_MERGE, sentinel)] if number in (0, len(STEPS)) else rows


def cause(number: int) -> Event:
    if number == 0:
        ids = {"InstanceId": "0" * 32, "ExecutionId": "0" * 32}
        fields = {"Name": "saga", "Version": "", "OrchestrationInstance": ids, "Generation": 0}
        return Event("ExecutionStarted", NOW, played=True, fields=fields)
    result = compact_json(STEPS[number - 1])
    return Event("TaskCompleted", NOW, played=True, fields={"TaskScheduledId": number - 1, "Result": result})


def decision(number: int) -> Event:
    if number == len(STEPS):
        completed = {"OrchestrationStatus": "Completed", "Result": OUTPUT}
        return Event("ExecutionCompleted", NOW, number, fields=completed)
    return Event("TaskScheduled", NOW, number, fields={"Name": "step", "Version": ""})


def of(key: str, row: Row) -> Row:
    """The row of one order, written now."""
    now = datetime.now(UTC)
    cells = {column: now if value is NOW else value for column, value in row.items()}
    return {"PartitionKey": key, "RowKey": "", "ExecutionId": key, **cells}


NOW = datetime.min.replace(tzinfo=UTC)  # stands for the time of each write
OUTPUT = compact_json(STEPS)
TURNS = [turn(number) for number in range(len(STEPS) + 1)]
PENDING = {
    "Name": "saga",
    "Version": "",
    "CreatedTime": NOW,
    "LastUpdatedTime": NOW,
    "RuntimeStatus": "Pending",
    "TaskHubName": "BenchHub",
    "Tags": "null",
    "Generation": 0,
}
ENDED = {
    "RuntimeStatus": "Completed",
    "CustomStatus": "null",
    "Output": OUTPUT,
    "CompletedTime": NOW,
    "LastUpdatedTime": NOW,
}


def replays_ms(orders: int) -> float:
    """CPU of the SDK's six replays of one five-step saga, in milliseconds."""
    handle = next(each for each in function_app.app.get_functions() if each.get_function_name() == "saga")
    replay, contexts = handle.get_user_function(), [context(done) for done in range(len(STEPS) + 1)]
    start = time.process_time()
    for _ in range(orders):
        for each in contexts:
            replay(each)
    return (time.process_time() - start) / orders * 1000


def context(done: int) -> str:
    """The SDK's input once so many steps are done."""
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
    fields: dict[str, Any] = {"input": None, "instanceId": "bench", "isReplaying": done > 0, "parentInstanceId": None}
    limits = {"upperSchemaVersion": 1, "upperSchemaVersionNew": 2}
    text = json.dumps({**fields, **limits})
    return f'{{"history":[{",".join(map(to_sdk, events))}],{text[1:]}'
