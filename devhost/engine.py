"""The engine: carries out what turns decide, in the one order that survives a crash at any point.

1. **History is the truth.** Whatever an instance is waiting for can be found again in its History rows; memory only
   saves reading them. After a restart every unfinished instance is replayed once and goes on.
2. **Acknowledged, then dispatched.** A turn's events are written in one transaction; then the Instances row, if it
   changed; and only then activities, timers and sub-orchestrations start. So nothing runs whose cause could be lost, and
   at worst something runs again.
3. **One event a turn, one turn at a time for each instance; instances do not wait for each other.**
4. **What the outside raises is answered when it is durable.** An event or a termination is taken by a turn like any
   other event, and its caller waits for that turn's write.

Rejected: queues in storage as the real provider has them. They cost two thirds of its transactions, and with one host
for a hub, held by hub_lock.py, they would protect from nobody.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from devhost.events import Event, compact_json
from devhost.failures import activity_failure, orchestrator_failure, worker_message
from devhost.functions import Functions
from devhost.instance import Instance, Message, Parent
from devhost.keys import unescape_key
from devhost.store import FINISHED, History, Store
from devhost.tables import Row
from devhost.turn import (
    ACTIVITY,
    MAX_CUSTOM_STATUS_BYTES,
    SUB_ORCHESTRATION,
    TIMER,
    OrchestrationFault,
    Task,
    flatten,
    rebuild,
)
from devhost.worker_link import Reply, WorkerDied, WorkerLink

log = logging.getLogger("devhost.engine")

MAX_WORKER_DEATHS = 3
MAX_TIMER_SLEEP_S = 3600.0


@dataclass
class Verdict:
    """What a turn decided: the tasks to schedule, and how the execution ended, if it did."""

    tasks: list[Task] = field(default_factory=list)
    status: str = "Running"
    result: str | None = None
    next_input: str | None = None
    custom_status: str = "null"


@dataclass(frozen=True)
class Limits:
    activities: int
    orchestrators: int
    store_inputs: bool
    override_any_state: bool


class Engine:
    def __init__(self, store: Store, worker: WorkerLink, functions: Functions, limits: Limits) -> None:
        self._store, self._worker, self._functions, self._limits = store, worker, functions, limits
        self._instances: dict[str, Instance] = {}
        self._activity_slots = asyncio.Semaphore(limits.activities)
        self._orchestrator_slots = asyncio.Semaphore(limits.orchestrators)
        self._suspects = asyncio.Lock()
        self._work: set[asyncio.Task[None]] = set()
        self._stopping = False

    # --- what the outside asks for ---

    async def start(self, name: str, instance_id: str, given: str | None, version: str) -> None:
        """Start an instance; returns when its row is durable. Raises InstanceExists. `given` is JSON text."""
        started = execution_started(instance_id, name, given, version)
        columns = pending_columns(started, self._store.hub)
        any_state = self._limits.override_any_state
        generation = await self._store.insert_instance(instance_id, columns, any_state)
        started.fields["Generation"] = generation
        replaced = self._instances.pop(instance_id, None)
        if replaced:
            self._abandon(replaced)
        instance = Instance(instance_id, name, row={**columns, "Generation": generation})
        self._instances[instance_id] = instance
        self._post(instance, started)

    async def raise_event(self, instance_id: str, name: str, payload: str) -> bool | None:
        """True when the event is durable, False when the instance has finished, None when there is none."""
        return await self._tell(instance_id, Event("EventRaised", _now(), fields={"Name": name, "Input": payload}))

    async def terminate(self, instance_id: str, reason: str) -> bool | None:
        """As raise_event."""
        return await self._tell(instance_id, Event("ExecutionTerminated", _now(), fields={"Input": reason}))

    async def status(self, instance_id: str) -> Row | None:
        """The Instances row with its texts, or None. An active instance answers from memory."""
        instance = self._instances.get(instance_id)
        if instance and instance.row.get("Input") is not None and not instance.finished and instance.row.get("Name"):
            return instance.row
        return await self._store.instance(instance_id)

    async def history(self, instance_id: str) -> History:
        return await self._store.history(instance_id)

    async def purge(self, instance_id: str) -> None:
        instance = self._instances.pop(instance_id, None)
        if instance:
            self._abandon(instance)
            while instance.busy:
                await asyncio.sleep(0.01)
        await self._store.purge(instance_id)

    async def resume(self) -> int:
        """Continue every unfinished instance of the hub; how many there are. Returns before they have been read."""
        count = 0
        async for row in self._store.unfinished():
            instance = Instance(unescape_key(row["PartitionKey"]), row["Name"], busy=True)
            self._instances[instance.id] = instance
            self._spawn(self._load(instance, row))
            count += 1
        return count

    async def stop(self, patience_s: float) -> None:
        """Let the writes that are under way end; start nothing new."""
        self._stopping = True
        deadline = asyncio.get_running_loop().time() + patience_s
        while any(each.busy for each in self._instances.values()) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for task in self._work:
            task.cancel()

    async def _tell(self, instance_id: str, event: Event) -> bool | None:
        instance = self._instances.get(instance_id)
        if instance is None or instance.finished:
            return None if await self._store.instance(instance_id) is None else False
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._post(instance, event, taken)
        return await taken

    # --- turns ---

    def _post(self, instance: Instance, event: Event | None, taken: "asyncio.Future[bool] | None" = None) -> None:
        instance.inbox.append(Message(event, taken))
        if not instance.busy:
            instance.busy = True
            self._spawn(self._drain(instance))

    async def _drain(self, instance: Instance) -> None:
        """Take the waiting events of an instance, one turn for each."""
        try:
            while instance.inbox and not instance.finished and not self._stopping:
                message = instance.inbox.popleft()
                await self._turn(instance, message.event)
                if message.taken and not message.taken.done():
                    message.taken.set_result(True)
        finally:
            instance.busy = False
        if instance.finished:
            self._dismiss(instance)

    async def _turn(self, instance: Instance, event: Event | None) -> None:
        now = _now()
        fresh = [Event("OrchestratorStarted", now)] + ([event] if event else [])
        if event and event.type == "ExecutionStarted":
            instance.begin(event)
        verdict = await self._decide(instance, fresh, event, now)
        if verdict.status == "ContinuedAsNew":
            fresh, verdict = await self._next_generation(instance, verdict)
        restarts = verdict.status == "ContinuedAsNew"
        await self._commit(instance, fresh, Verdict(custom_status=verdict.custom_status) if restarts else verdict)
        if restarts:
            # A generation that ends at once is still written, so that an endless loop of them can be terminated.
            instance.inbox.append(Message(None))

    async def _next_generation(self, instance: Instance, verdict: Verdict) -> tuple[list[Event], Verdict]:
        assert instance.started is not None
        now = _now()
        given = None if verdict.next_input is None else compact_json(verdict.next_input)
        old = instance.started.fields
        started = execution_started(instance.id, instance.name, given, old["Version"], instance.parent)
        started.fields["Generation"] = old["Generation"]
        instance.begin(started)
        fresh = [Event("OrchestratorStarted", now), started, Event("OrchestratorCompleted", now)]
        return fresh, await self._decide(instance, fresh, started, now)

    async def _decide(self, instance: Instance, fresh: list[Event], event: Event | None, now: datetime) -> Verdict:
        if event and event.type == "ExecutionTerminated":
            return Verdict(
                status="Terminated",
                result=event.fields["Input"],
                custom_status=instance.row.get("CustomStatus", "null"),
            )
        try:
            return await self._ask_orchestrator(instance, fresh, event, now)
        except OrchestrationFault as fault:
            return Verdict(status="Failed", result=orchestrator_failure(instance.name, str(fault)))

    async def _ask_orchestrator(
        self, instance: Instance, fresh: list[Event], event: Event | None, now: datetime
    ) -> Verdict:
        reply = await self._replay(instance, fresh)
        if not reply.ok:
            return Verdict(status="Failed", result=orchestrator_failure(instance.name, worker_message(reply)))
        state = json.loads(reply.body)
        actions = state["actions"][0] if state["actions"] else []
        tasks = instance.ledger.observe(event, now) if event else []
        tasks += instance.ledger.accept(actions)
        for task in tasks:
            self._refuse_impossible(instance, task)
        verdict = Verdict(tasks, custom_status=custom_status(state))
        if not instance.ledger.blocking:
            _conclude(verdict, instance.name, state, actions)
        if verdict.status == "Failed":
            log.error("Orchestrator '%s' (instance %s) raised:\n%s", instance.name, instance.id, reply.stack)
        return verdict

    async def _replay(self, instance: Instance, fresh: list[Event]) -> Reply:
        function = self._functions.orchestrator(instance.name)
        if function is None:
            raise OrchestrationFault(self._functions.no_orchestrator(instance.name))
        context = instance.replay_context(fresh)
        for _ in range(MAX_WORKER_DEATHS):
            async with self._orchestrator_slots:
                try:
                    return await self._worker.call("orchestrator", function, context)
                except WorkerDied:
                    continue
        raise OrchestrationFault(f"The worker process died {MAX_WORKER_DEATHS} times while it ran this orchestrator.")

    def _refuse_impossible(self, instance: Instance, task: Task) -> None:
        """Fail at once where the real host would wait for ever."""
        if task.kind == ACTIVITY and self._functions.activity(task.name) is None:
            raise OrchestrationFault(self._functions.no_activity(task.name))
        if task.kind == SUB_ORCHESTRATION:
            if self._functions.orchestrator(task.name) is None:
                raise OrchestrationFault(self._functions.no_orchestrator(task.name))
            if task.instance_id in (instance.id, instance.parent and instance.parent.instance_id):
                raise OrchestrationFault(f"A sub-orchestration cannot have the id of its caller: '{task.instance_id}'.")

    # --- carrying out ---

    async def _commit(self, instance: Instance, fresh: list[Event], verdict: Verdict) -> None:
        """Write the turn, then the Instances row if it changed; then dispatch."""
        now = _now()
        events = [
            event.as_played() if event.event_id == -1 and event.type not in UNPLAYED else event for event in fresh
        ]
        if not (verdict.status in FINISHED and verdict.status != "Completed"):
            events += [self._scheduled(instance, task, now) for task in verdict.tasks]
        if verdict.status in FINISHED:
            events.append(execution_completed(verdict, instance.ledger.next_id, now))
        events.append(Event("OrchestratorCompleted", now))
        addresses = await self._store.append(instance.id, instance.execution_id, instance.event_count, events)
        instance.remember(events)
        await self._write_row(instance, events, verdict, addresses)
        if verdict.status in FINISHED:
            self._finish(instance, verdict)
        else:
            for task in verdict.tasks:
                self._dispatch(instance, task)

    def _scheduled(self, instance: Instance, task: Task, now: datetime) -> Event:
        if task.kind == SUB_ORCHESTRATION and task.instance_id is None:
            task.instance_id = f"{instance.execution_id}:{task.id}"
        return SCHEDULED[task.kind](task, now, self._limits.store_inputs)

    async def _write_row(
        self, instance: Instance, events: list[Event], verdict: Verdict, addresses: dict[str, str]
    ) -> None:
        wanted = row_columns(instance, events, verdict, self._store.hub)
        changed = {name: value for name, value in wanted.items() if instance.row.get(name) != value}
        if not changed:
            return
        changed |= {"LastUpdatedTime": events[-1].at, "ExecutionId": instance.execution_id}
        instance.row = {**instance.row, **changed}
        stored = {**changed, **_by_address(changed, addresses)}
        await self._store.merge_instance(instance.id, stored)

    def _finish(self, instance: Instance, verdict: Verdict) -> None:
        instance.finished = True
        if verdict.status == "Failed":
            log.error("Instance %s of '%s' failed.", instance.id, instance.name)
        self._tell_parent(instance, verdict.status, verdict.result)

    def _tell_parent(self, instance: Instance, status: str, result: str | None) -> None:
        parent = instance.parent
        caller = self._instances.get(parent.instance_id) if parent else None
        if parent and caller and caller.execution_id == parent.execution_id:
            self._post(caller, sub_orchestration_ended(parent.task_id, status, result))

    def _dismiss(self, instance: Instance) -> None:
        """Let go of a finished instance; what still waits for it is told that it came too late."""
        if self._instances.get(instance.id) is instance:
            del self._instances[instance.id]
        self._abandon(instance)

    def _abandon(self, instance: Instance) -> None:
        instance.finished = True
        for handle in instance.timers.values():
            handle.cancel()
        while instance.inbox:
            message = instance.inbox.popleft()
            if message.taken and not message.taken.done():
                message.taken.set_result(False)

    # --- dispatch ---

    def _dispatch(self, instance: Instance, task: Task) -> None:
        handlers: dict[str, Callable[[Instance, Task], None]] = {
            ACTIVITY: lambda instance, task: self._spawn(self._run_activity(instance, task)),
            SUB_ORCHESTRATION: self._start_child,
            TIMER: self._arm,
        }
        handlers[task.kind](instance, task)

    def _arm(self, instance: Instance, task: Task) -> None:
        assert task.fire_at is not None
        remaining = (task.fire_at - _now()).total_seconds()
        if remaining <= 0:
            instance.timers.pop(task.id, None)
            self._post(instance, Event("TimerFired", _now(), fields={"TimerId": task.id, "FireAt": task.fire_at}))
            return
        # The loop's clock and the calendar may drift apart: ask the calendar again, and never fire early.
        loop = asyncio.get_running_loop()
        instance.timers[task.id] = loop.call_later(min(remaining, MAX_TIMER_SLEEP_S), self._arm, instance, task)

    async def _run_activity(self, instance: Instance, task: Task) -> None:
        event = await self._activity_event(instance, task)
        if not instance.finished:
            self._post(instance, event)

    async def _activity_event(self, instance: Instance, task: Task) -> Event:
        function = self._functions.activity(task.name)
        assert function is not None
        body = (task.input or "null").encode()
        try:
            reply = await self._call_activity(function, body)
        except WorkerDied:
            reason = f"The worker process died {MAX_WORKER_DEATHS} times while it ran this activity."
            return task_failed(task, reason, "")
        if not reply.ok:
            log.warning("Activity '%s' (instance %s) raised:\n%s", task.name, instance.id, reply.stack)
            return task_failed(task, reply.error, reply.stack)
        result = reply.body.decode()
        return Event(
            "TaskCompleted", _now(), fields={"TaskScheduledId": task.id, "Result": None if result == "null" else result}
        )

    async def _call_activity(self, function: str, body: bytes) -> Reply:
        """Call an activity, again when its worker died. After one death it runs alone among those that saw one, so that
        the one which kills workers is found and its neighbours are not blamed."""
        try:
            async with self._activity_slots:
                return await self._worker.call("activity", function, body)
        except WorkerDied:
            log.warning("Activity '%s' runs again, because its worker died.", function)
        async with self._suspects, self._activity_slots:
            for _ in range(MAX_WORKER_DEATHS - 2):
                try:
                    return await self._worker.call("activity", function, body)
                except WorkerDied:
                    log.warning("Activity '%s' runs again, because its worker died.", function)
            return await self._worker.call("activity", function, body)

    def _start_child(self, instance: Instance, task: Task) -> None:
        assert task.instance_id is not None
        if task.instance_id in self._instances:
            reason = "An Orchestration instance with the status Running already exists."
            self._post(instance, sub_orchestration_ended(task.id, "Failed", reason))
            return
        parent = Parent(instance.id, instance.execution_id, instance.name, task.id)
        given = None if task.input is None else compact_json(task.input)
        started = execution_started(task.instance_id, task.name, given, task.version or "", parent)
        child = Instance(task.instance_id, task.name)
        self._instances[child.id] = child
        self._post(child, started)

    # --- after a restart ---

    async def _load(self, instance: Instance, row: Row) -> None:
        """Read an unfinished instance and go on where its history ends."""
        row = await self._store.with_texts(row)
        instance.row = row
        history = await self._store.history(instance.id)
        if not history.events or (row["RuntimeStatus"] == "Pending" and history.execution_id != row["ExecutionId"]):
            started = execution_started(instance.id, row["Name"], row.get("Input"), row.get("Version") or "")
            started.fields["OrchestrationInstance"]["ExecutionId"] = row["ExecutionId"]
            started.fields["Generation"] = row.get("Generation") or 0
            instance.inbox.appendleft(Message(started))
        else:
            await self._adopt(instance, history)
        await self._drain(instance)

    async def _adopt(self, instance: Instance, history: History) -> None:
        """Rebuild an instance from its history, and start again what was under way."""
        started = next(event for event in history.events if event.type == "ExecutionStarted")
        instance.begin(started)
        ended = next((event for event in history.events if event.type == "ExecutionCompleted"), None)
        if ended:
            instance.remember(history.events)
            await self._repair_finished(instance, ended, history.events)
            return
        try:
            await self._catch_up(instance, history.events)
        except OrchestrationFault as fault:
            failed = Verdict(status="Failed", result=orchestrator_failure(instance.name, str(fault)))
            await self._commit(instance, [Event("OrchestratorStarted", _now())], failed)

    async def _catch_up(self, instance: Instance, events: list[Event]) -> None:
        reply = await self._replay(instance, events)
        instance.remember(events)
        if not reply.ok:
            instance.inbox.append(Message(None))
            return
        state = json.loads(reply.body)
        actions = state["actions"][0] if state["actions"] else []
        instance.ledger = rebuild(events, actions)
        done = state["isDone"] or state.get("error")
        await self._write_row(instance, events, Verdict(custom_status=custom_status(state)), {})
        if instance.ledger.undecided(actions) or (done and not instance.ledger.blocking):
            instance.inbox.append(Message(None))
        for task in list(instance.ledger.open.values()):
            await self._continue_task(instance, task, events)

    async def _continue_task(self, instance: Instance, task: Task, events: list[Event]) -> None:
        if task.kind != SUB_ORCHESTRATION:
            self._dispatch(instance, task)
            return
        created = next(e for e in events if e.type == "SubOrchestrationInstanceCreated" and e.event_id == task.id)
        task.instance_id = str(created.fields["InstanceId"])
        await self._continue_child(instance, task, task.instance_id)

    async def _continue_child(self, instance: Instance, task: Task, child_id: str) -> None:
        """A child that is under way goes on by itself; one that never began starts; one that ended reports again."""
        if child_id in self._instances:
            return
        child = Instance(child_id, task.name, busy=True)
        self._instances[child_id] = child
        history = await self._store.history(child_id)
        if history.events and _calls(history, instance, task):
            await self._adopt(child, history)
            await self._drain(child)
            return
        del self._instances[child_id]
        self._start_child(instance, task)

    async def _repair_finished(self, instance: Instance, ended: Event, events: list[Event]) -> None:
        status, result = ended.fields["OrchestrationStatus"], ended.fields["Result"]
        verdict = Verdict(status=status, result=result, custom_status=instance.row.get("CustomStatus") or "null")
        await self._write_row(instance, events, verdict, {})
        self._finish(instance, verdict)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work_ended)

    def _work_ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and task.exception():
            log.error("The engine failed on an instance; restart devhost to go on with it.", exc_info=task.exception())


# --- rows and events ---

UNPLAYED = ("OrchestratorStarted", "OrchestratorCompleted")


def _now() -> datetime:
    return datetime.now(UTC)


def execution_started(
    instance_id: str, name: str, given: str | None, version: str, parent: Parent | None = None
) -> Event:
    """The first event of a new execution. `given` is the input as JSON text."""
    return Event(
        "ExecutionStarted",
        _now(),
        fields={
            "OrchestrationInstance": {"InstanceId": instance_id, "ExecutionId": uuid.uuid4().hex},
            "ParentInstance": parent.to_json() if parent else None,
            "Name": name,
            "Version": version,
            "Input": given,
            "Generation": 0,
        },
    )


def pending_columns(started: Event, hub: str) -> Row:
    """The columns of the Instances row that a start inserts."""
    fields = started.fields
    return {
        "Name": fields["Name"],
        "Version": fields["Version"],
        "Input": fields["Input"],
        "CreatedTime": started.at,
        "LastUpdatedTime": started.at,
        "RuntimeStatus": "Pending",
        "ExecutionId": fields["OrchestrationInstance"]["ExecutionId"],
        "TaskHubName": hub,
        "Tags": "null",
    }


def row_columns(instance: Instance, events: list[Event], verdict: Verdict, hub: str) -> Row:
    """The columns of the Instances row as this turn leaves them, the times apart."""
    assert instance.started is not None
    fields = instance.started.fields
    columns = {
        "Name": instance.name,
        "Version": fields["Version"],
        "Input": fields["Input"],
        "CreatedTime": instance.started.at,
        "RuntimeStatus": verdict.status,
        "CustomStatus": verdict.custom_status,
        "ExecutionId": instance.execution_id,
        "TaskHubName": hub,
        "Generation": fields.get("Generation") or 0,
        "Tags": "null",
    }
    if verdict.status in FINISHED:
        columns |= {"Output": verdict.result, "CompletedTime": events[-1].at}
    return columns


def _by_address(columns: Row, addresses: dict[str, str]) -> Row:
    """The cells of an Instances row whose text the History keeps in a blob: the blob's address stands there."""
    origins = {"Input": "ExecutionStarted.Input", "Output": "ExecutionCompleted.Result"}
    return {name: addresses[origin] for name, origin in origins.items() if name in columns and origin in addresses}


def execution_completed(verdict: Verdict, event_id: int, now: datetime) -> Event:
    fields = {"OrchestrationStatus": verdict.status, "Result": verdict.result}
    return Event("ExecutionCompleted", now, event_id, fields=fields)


def _task_scheduled(task: Task, now: datetime, store_inputs: bool) -> Event:
    fields = {"Name": task.name, "Version": "", "Input": compact_json([task.input]) if store_inputs else None}
    return Event("TaskScheduled", now, task.id, fields=fields)


def _child_created(task: Task, now: datetime, store_inputs: bool) -> Event:
    given = compact_json(task.input) if store_inputs and task.input is not None else None
    fields = {"Name": task.name, "Version": task.version or "", "InstanceId": task.instance_id, "Input": given}
    return Event("SubOrchestrationInstanceCreated", now, task.id, fields=fields)


def _timer_created(task: Task, now: datetime, store_inputs: bool) -> Event:
    return Event("TimerCreated", now, task.id, fields={"FireAt": task.fire_at})


SCHEDULED: dict[str, Callable[[Task, datetime, bool], Event]] = {
    ACTIVITY: _task_scheduled,
    SUB_ORCHESTRATION: _child_created,
    TIMER: _timer_created,
}


def task_failed(task: Task, error: str, stack: str) -> Event:
    reason, details = activity_failure(task.name, error, stack)
    return Event("TaskFailed", _now(), fields={"TaskScheduledId": task.id, "Reason": reason, "Details": details})


def sub_orchestration_ended(task_id: int, status: str, result: str | None) -> Event:
    """What the parent of a finished sub-orchestration is told."""
    if status == "Completed":
        fields: dict[str, Any] = {"TaskScheduledId": task_id, "Result": result}
        return Event("SubOrchestrationInstanceCompleted", _now(), fields=fields)
    details = f"Message: {result}, StackTrace: "
    fields = {"TaskScheduledId": task_id, "Reason": result, "Details": details}
    return Event("SubOrchestrationInstanceFailed", _now(), fields=fields)


def custom_status(state: dict[str, Any]) -> str:
    text = compact_json(state.get("customStatus"))
    if len(text.encode("utf-16-le")) > MAX_CUSTOM_STATUS_BYTES:
        raise OrchestrationFault("The size of the JSON-serialized payload of the custom status must not exceed 16 KB.")
    return text


def _conclude(verdict: Verdict, name: str, state: dict[str, Any], actions: list[dict[str, Any]]) -> None:
    """Set the end of the execution, if the orchestrator has ended and no task is open."""
    restart = next((action for action in flatten(actions) if action["actionType"] == CONTINUE_AS_NEW), None)
    if state.get("error"):
        verdict.status, verdict.result = "Failed", orchestrator_failure(name, state["error"])
    elif restart and state["isDone"]:
        verdict.status, verdict.next_input = "ContinuedAsNew", restart.get("input")
    elif state["isDone"]:
        output = state.get("output")
        verdict.status, verdict.result = "Completed", None if output is None else compact_json(output)


CONTINUE_AS_NEW = 4


def _calls(history: History, parent: Instance, task: Task) -> bool:
    """Whether a history is of the execution that exactly this task of the parent called for."""
    started = next(event for event in history.events if event.type == "ExecutionStarted")
    caller = Parent.from_json(started.fields["ParentInstance"])
    return caller is not None and (caller.execution_id, caller.task_id) == (parent.execution_id, task.id)
