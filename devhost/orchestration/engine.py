"""The engine: carries out what turns decide, in the one order that survives a crash at any point.

1. **History is the truth.** Whatever an instance is waiting for can be found again in its History rows; memory only
   saves reading them. After a restart, and after a fault, an instance is read again and resumes.
2. **Acknowledged, then dispatched.** A turn's events are written in one transaction; then the Instances row, if it
   changed; and only then activities, timers and sub-orchestrations start. So nothing runs whose cause could be lost,
   and at worst something runs again.
3. **One turn at a time for each instance; instances do not wait for each other.** What came while a turn was written
   is taken by the next one together.
4. **What the outside raises is answered when it is durable.** An event or a termination is taken by a turn like any
   other event, and its caller waits for that turn's write.

Rejected: queues in storage as the real provider has them. They cost two thirds of its transactions, and with one host
for a hub, held by storage/hub_lock.py, they would protect from nobody.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from devhost.entities.dispatcher import EntityDispatcher
from devhost.entities.scheduler import Answer
from devhost.history import builders
from devhost.history.builders import Parent, now
from devhost.history.events import FINISHED, Event, Row, compact_json
from devhost.orchestration.activity_runner import ActivityRunner
from devhost.orchestration.checkpoint import SCHEDULED, InstanceRowWriter
from devhost.orchestration.entity_outbox import EntityOutbox, answer_event, message_of
from devhost.orchestration.executor import OrchestrationExecutor, TurnResult
from devhost.orchestration.instance import ActivityRun, Instance, Message, SpeculativeTurn
from devhost.orchestration.message_batch import next_turn
from devhost.orchestration.task_table import (
    ACTIVITY,
    CALL,
    SIGNAL,
    SUB_ORCHESTRATION,
    TIMER,
    OrchestrationFault,
    Task,
    rebuild,
)
from devhost.storage.history_table import History
from devhost.storage.instances_table import InstanceExists, pending_columns
from devhost.storage.keys import unescape_key
from devhost.storage.retry import StorageRefused
from devhost.storage.task_hub import TaskHub

log = logging.getLogger("devhost.engine")

MAX_TIMER_SLEEP_S = 3600.0
REREAD_PAUSE_S, MAX_REREAD_PAUSE_S = 1.0, 60.0
UNPLAYED = ("OrchestratorStarted", "OrchestratorCompleted")


class WrongState(Exception):
    """The instance is in a state in which this cannot be asked of it; the text is its RuntimeStatus."""


@dataclass(frozen=True)
class Options:
    """host.json's durableTask settings that the engine follows; how many events may share a turn."""

    store_inputs: bool
    override_any_state: bool
    default_version: str
    joined_events: int


class Engine:
    def __init__(
        self,
        task_hub: TaskHub,
        executor: OrchestrationExecutor,
        activities: ActivityRunner,
        entities: EntityDispatcher,
        options: Options,
    ) -> None:
        self._task_hub, self._executor, self._activities, self._options = task_hub, executor, activities, options
        self._entities, self._requests = entities, EntityOutbox(entities)
        entities.deliver = self._answer
        self._rows = InstanceRowWriter(task_hub, self._post)
        self._instances: dict[str, Instance] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._stopping = False

    # --- what the outside asks for ---

    async def start(self, name: str, instance_id: str, given: str | None, version: str) -> None:
        """Start an instance; returns when its row is durable. Raises InstanceExists. `given` is JSON text."""
        any_state = self._options.override_any_state
        active = self._instances.get(instance_id)
        if active and not any_state:
            raise InstanceExists(active.row.get("RuntimeStatus", "Pending"))
        started = builders.execution_started(instance_id, name, given, version)
        columns = pending_columns(started, self._task_hub.name)
        instance = Instance(instance_id, name, stored=True)
        instance.begin(started)
        ahead = self._executor.begin_ahead(instance, first_turn(started))
        generation = await self._task_hub.instances.insert(instance_id, columns, any_state)
        started.fields["Generation"] = generation
        if active:
            await self._abandon(active)
        instance.row = {**columns, "Generation": generation}
        self._instances[instance_id] = instance
        self._post(instance, Message(started, ahead=ahead))

    async def raise_event(self, instance_id: str, name: str, payload: str) -> bool | None:
        """True when the event is durable, False when the instance has finished, None when there is none."""
        return await self._tell(instance_id, Event("EventRaised", now(), fields={"Name": name, "Input": payload}))

    async def terminate(self, instance_id: str, reason: str) -> bool | None:
        """As raise_event."""
        return await self._tell(instance_id, Event("ExecutionTerminated", now(), fields={"Input": reason}))

    async def suspend(self, instance_id: str, reason: str) -> bool | None:
        """As raise_event. Raises WrongState when it is suspended already."""
        return await self._switch(instance_id, "ExecutionSuspended", reason, suspended=False)

    async def go_on(self, instance_id: str, reason: str) -> bool | None:
        """Resume a suspended instance. As raise_event; raises WrongState when it is not suspended."""
        return await self._switch(instance_id, "ExecutionResumed", reason, suspended=True)

    async def _switch(self, instance_id: str, event_type: str, reason: str, suspended: bool) -> bool | None:
        instance = self._instances.get(instance_id)
        if instance and not instance.finished and instance.suspended != suspended:
            raise WrongState(instance.row.get("RuntimeStatus", "Running"))
        return await self._tell(instance_id, Event(event_type, now(), fields={"Reason": reason}))

    async def rewind(self, instance_id: str, reason: str) -> bool | None:
        """Let a failed instance go on from before its failure. As raise_event; raises WrongState while it is active."""
        row = await self.status(instance_id)
        if row is None:
            return None
        if row["RuntimeStatus"] not in FINISHED:
            raise WrongState(row["RuntimeStatus"])
        if row["RuntimeStatus"] != "Failed":
            return False
        for number, rewound in enumerate(await self._task_hub.rewind(instance_id)):
            await self._wake(rewound, reason if number == 0 else None)
        return True

    async def _wake(self, instance_id: str, reason: str | None) -> None:
        """Read a rewound instance; the deepest one is told why."""
        row = await self._task_hub.instances.get(instance_id)
        assert row is not None
        instance = Instance(instance_id, row["Name"])
        if reason is not None:
            instance.inbox.append(Message(Event("GenericEvent", now(), fields={"Data": reason})))
        self._instances[instance_id] = instance
        self._run(instance, self._load(instance, row))

    async def end_of(self, instance_id: str, within_s: float) -> Row | None:
        """The row of an active instance when it ends within so many seconds."""
        instance = self._instances.get(instance_id)
        if instance is None:
            await asyncio.sleep(within_s)
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await instance.ended.wait()
        return instance.row if instance.ended.is_set() else None

    async def status(self, instance_id: str) -> Row | None:
        """The Instances row with its texts, or None. An active instance answers from memory."""
        instance = self._instances.get(instance_id)
        if instance and not instance.finished and "CreatedTime" in instance.row:
            return instance.row
        return await self._entities.row(instance_id) or await self._task_hub.instances.get(instance_id)

    async def history(self, instance_id: str) -> History:
        return await self._task_hub.history.read(instance_id)

    async def purge(self, instance_id: str) -> None:
        if await self._entities.purge(instance_id):
            return
        instance = self._instances.pop(instance_id, None)
        if instance:
            await self._abandon(instance)
        await self._task_hub.purge(instance_id)
        if instance:
            self._requests.end(instance)

    async def resume(self) -> int:
        """Continue every unfinished instance of the hub; how many there are. Returns before they have been read."""
        count = 0
        async for row in self._task_hub.instances.unfinished():
            if row["Name"].startswith("@"):
                self._entities.resume(unescape_key(row["PartitionKey"]), row)
                continue
            instance = Instance(unescape_key(row["PartitionKey"]), row["Name"])
            self._instances[instance.id] = instance
            self._run(instance, self._load(instance, row))
            count += 1
        return count

    async def stop(self, patience_s: float) -> None:
        """Let the writes that are under way end; start nothing new."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.write_rows(), patience_s / 3)
        self._stopping = True
        busy = [asyncio.ensure_future(instance.idle.wait()) for instance in self._instances.values()]
        if busy:
            await asyncio.wait(busy, timeout=patience_s / 2)
        await self._entities.stop(patience_s / 6)
        for task in [*busy, *self._work]:
            task.cancel()

    async def _tell(self, instance_id: str, event: Event) -> bool | None:
        instance = self._instances.get(instance_id)
        if instance is None or instance.finished:
            return None if await self._task_hub.instances.get(instance_id) is None else False
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._post(instance, Message(event, taken))
        return await taken

    # --- the life of an instance ---

    def _post(self, instance: Instance, message: Message) -> None:
        instance.inbox.append(message)
        if instance.idle.is_set():
            self._run(instance, self._drain(instance))

    def _run(self, instance: Instance, work: Coroutine[Any, Any, None]) -> None:
        instance.idle.clear()
        self._spawn(self._work_on(instance, work))

    async def _work_on(self, instance: Instance, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of an instance, run the activity that it has come to, do the work that this causes, and so on:
        steps that follow one another share a task.
        """
        await self._guarded(instance, work)
        while run := instance.take_next_run():
            if not await self._run_activity(instance, run):
                return
            await self._guarded(instance, self._drain(instance))

    async def _guarded(self, instance: Instance, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of an instance. After a fault that nobody foresaw its memory is thrown away and read again."""
        pause = REREAD_PAUSE_S
        while True:
            try:
                await work
                break
            except Exception:
                log.exception("Instance %s stumbled; it is read again from storage in %.0f s.", instance.id, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_REREAD_PAUSE_S)
            work = self._reread(instance)
        instance.idle.set()
        if instance.finished:
            self._dismiss(instance)

    async def _reread(self, instance: Instance) -> None:
        row = await self._task_hub.instances.get(instance.id)
        if row is None:
            instance.finished = True
            return
        await self._load(instance, row)

    async def _drain(self, instance: Instance) -> None:
        """Take the waiting events of an instance, a turn at a time."""
        while instance.inbox and not instance.finished and not self._stopping:
            self._start_next_run(instance)
            batch = next_turn(instance, self._options.joined_events)
            try:
                if batch:
                    await self._turn(instance, batch)
            except Exception as fault:
                for message in batch:
                    message.fail(fault)
                if not is_about_content(fault):
                    raise
                await self._fail(instance, OrchestrationFault(f"Storage cannot keep what it did: {fault}"))
            for message in batch:
                message.answer(True)

    def _dismiss(self, instance: Instance) -> None:
        """Forget a finished instance. Messages that still wait for it are answered that they came too late."""
        if self._instances.get(instance.id) is instance:
            del self._instances[instance.id]
        instance.cancel_timers()
        instance.cancel_late_row()
        while instance.inbox:
            instance.inbox.popleft().answer(False)

    async def _abandon(self, instance: Instance) -> None:
        instance.finished = True
        await instance.idle.wait()
        self._dismiss(instance)

    # --- turns ---

    async def _turn(self, instance: Instance, batch: list[Message]) -> None:
        if batch[0].row_only:
            await self._rows.write(instance)
            return
        causes = [message.event for message in batch if message.event]
        if len(batch) == 1 and batch[0].ahead:
            await self._follow(instance, causes, batch[0].ahead)
            return
        kind = causes[0].type if causes else ""
        turns: dict[str, Callable[[Instance, list[Event]], Awaitable[None]]] = {
            "ExecutionStarted": self._begin,
            "ExecutionTerminated": self._decide,
            "ExecutionSuspended": self._suspend,
            "ExecutionResumed": self._resume,
        }
        usual = self._hold if instance.suspended else self._decide
        await turns.get(kind, usual)(instance, causes)

    async def _follow(self, instance: Instance, causes: list[Event], ahead: SpeculativeTurn) -> None:
        """A turn that the worker may have taken already, at the very moment of its cause."""
        if instance.suspended:
            await self._hold(instance, causes)
            return
        fresh = [Event("OrchestratorStarted", causes[0].at), *causes]
        result = await self._executor.decide(instance, fresh, causes, causes[0].at, ahead)
        await self._carry_out(instance, fresh, result)

    async def _begin(self, instance: Instance, causes: list[Event]) -> None:
        instance.begin(causes[0])
        await self._decide(instance, causes)

    async def _decide(self, instance: Instance, causes: list[Event]) -> None:
        at = now()
        fresh = [Event("OrchestratorStarted", at), *causes]
        result = await self._executor.decide(instance, fresh, causes, at)
        await self._carry_out(instance, fresh, result)

    async def _carry_out(self, instance: Instance, fresh: list[Event], result: TurnResult) -> None:
        if result.status == "ContinuedAsNew":
            first_left = max(len(fresh) - result.left, 0)
            left = fresh[first_left:]
            await self._send_last(instance, fresh[:first_left], result)
            await self._next_generation(instance, result, [event for event in left if event.type == "EventRaised"])
        else:
            await self._commit(instance, fresh, result)

    async def _send_last(self, instance: Instance, fresh: list[Event], result: TurnResult) -> None:
        """Hand over what a generation has sent. What it sends in the turn that ends it is put on record for that; the
        turn would otherwise leave no trace, because the next generation is written over it.
        """
        if any(task.kind in (CALL, SIGNAL) for task in result.tasks):
            at = now()
            events = [event if event.type in UNPLAYED else event.as_played() for event in fresh]
            events += [
                *(self._scheduled(instance, task, at) for task in result.tasks),
                Event("OrchestratorCompleted", at),
            ]
            await self._task_hub.history.append(
                instance.id, instance.execution_id, instance.event_count, events, last=False
            )
            instance.remember(events)
            self._requests.send(instance, events)
        await self._requests.flush(instance)

    async def _suspend(self, instance: Instance, causes: list[Event]) -> None:
        instance.suspended = True
        await self._hold(instance, causes, causes[0].fields["Reason"])

    async def _hold(self, instance: Instance, causes: list[Event], reason: str | None = None) -> None:
        """Put events on record, and decide nothing: the SDK knows of no suspension, so it is not asked."""
        if not causes:
            return
        fresh = [Event("OrchestratorStarted", now()), *causes]
        result = TurnResult(status="Suspended", result=reason, custom_status=instance.custom_status)
        await self._commit(instance, fresh, result, unseen=fresh)
        instance.held += causes

    async def _resume(self, instance: Instance, causes: list[Event]) -> None:
        """Decide about everything that came meanwhile. What numbers a task by itself comes after it, one at a time."""
        at = now()
        fresh = [Event("OrchestratorStarted", at), *causes]
        held, instance.held, instance.suspended = instance.held, [], False
        result = await self._executor.decide(instance, fresh, [*held, *causes], at)
        if result.status == "Running":
            result.result = causes[0].fields["Reason"]
        instance.inbox.extendleft(reversed(instance.later))
        instance.later = []
        await self._carry_out(instance, fresh, result)

    async def _next_generation(self, instance: Instance, ended: TurnResult, carried: list[Event]) -> None:
        """Begin anew, with the events that came in the very turn that ended the generation before.

        The row may not say Pending any more when the history is another execution's: after a crash that would be read
        as a start that never ran.
        """
        assert instance.started is not None
        if instance.row.get("RuntimeStatus") == "Pending":
            instance.row = {**instance.row, "RuntimeStatus": "Running"}
            instance.unwritten["RuntimeStatus"] = "Running"
        await self._rows.write(instance)
        at, old = now(), instance.started.fields
        given = None if ended.next_input is None else compact_json(ended.next_input)
        started = builders.execution_started(instance.id, instance.name, given, old["Version"], instance.parent)
        started.fields["Generation"] = old["Generation"]
        execution_id, entities = instance.execution_id, instance.entities
        instance.begin(started)
        causes = [started, *carried]
        fresh = [Event("OrchestratorStarted", at), *causes, Event("OrchestratorCompleted", at)]
        result = await self._executor.decide(instance, fresh, causes, at)
        if result.status == "ContinuedAsNew":
            # It is written although it ended at once: between an endless row of generations others get their turn.
            result = TurnResult(result.tasks, custom_status=result.custom_status)
            instance.inbox.append(Message(None))
        await self._commit(instance, fresh, result)
        self._entities.forget(execution_id, entities)

    async def _commit(
        self, instance: Instance, fresh: list[Event], result: TurnResult, unseen: Sequence[Event] = ()
    ) -> None:
        """Write the turn, then the Instances row where it cannot wait; then dispatch."""
        at = now()
        events = [event if event.type in UNPLAYED else event.as_played() for event in fresh]
        events += [self._scheduled(instance, task, at) for task in result.tasks]
        if result.status in FINISHED:
            next_id = instance.ids_on_record + len(result.tasks)
            events.append(builders.execution_completed(result.status, result.result, next_id, at))
        events.append(Event("OrchestratorCompleted", at))
        addresses = await self._task_hub.history.append(
            instance.id, instance.execution_id, instance.event_count, events, last=result.status in FINISHED
        )
        sent = [event for event in events if event.type == "EventSent"]
        instance.remember(events, [*unseen, *sent])
        self._requests.send(instance, sent)
        if result.status in FINISHED:
            await self._requests.flush(instance)
        await self._rows.update(instance, result, at, addresses)
        if result.status in FINISHED:
            self._finish(instance, result)
        else:
            for task in result.tasks:
                self._dispatch(instance, task)
            if len(result.tasks) > 1:  # they begin in their order
                self._start_next_run(instance)

    def _scheduled(self, instance: Instance, task: Task, at: datetime) -> Event:
        if task.kind == SUB_ORCHESTRATION:
            task.instance_id = task.instance_id or f"{instance.execution_id}:{task.id}"
            task.version = self._options.default_version if task.version is None else task.version
        if task.kind in (CALL, SIGNAL):
            task.request = message_of(instance, task)
        event = SCHEDULED[task.kind](task, at, self._options.store_inputs)
        if task.kind in (CALL, SIGNAL):
            instance.tasks.sent(event)
        return event

    async def write_rows(self) -> None:
        """Bring the Instances table up to date, for who is about to read it as a whole."""
        await self._entities.write_rows()
        waiting = [each for each in self._instances.values() if each.unwritten and not each.finished]
        written: list[asyncio.Future[bool]] = []
        for instance in waiting:
            written.append(asyncio.get_running_loop().create_future())
            self._post(instance, Message(None, written[-1], row_only=True))
        if written:
            await asyncio.wait(written)

    def _answer(self, answer: Answer) -> "asyncio.Future[bool] | None":
        """Tell a caller what its entity answered; done when it is on record. None when the caller is not there."""
        instance = self._instances.get(answer.sender.instance_id)
        if instance is None or instance.execution_id != answer.sender.execution_id:
            return None
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        event = answer_event(answer.request_id, answer.response)
        self._post(instance, Message(event, taken, execution_id=instance.execution_id))
        return taken

    def _finish(self, instance: Instance, result: TurnResult) -> None:
        instance.finished = True
        instance.ended.set()
        if has_receipt(instance):
            self._requests.end(instance)
        parent = instance.parent
        caller = self._instances.get(parent.instance_id) if parent else None
        if parent and caller:
            ended = builders.sub_orchestration_ended(parent.task_id, result.status, result.result)
            self._post(caller, Message(ended, execution_id=parent.execution_id))

    # --- dispatch ---

    def _dispatch(self, instance: Instance, task: Task) -> None:
        handlers: dict[str, Callable[[Instance, Task], None]] = {
            ACTIVITY: self._start_activity,
            SUB_ORCHESTRATION: self._start_child,
            TIMER: self._arm,
        }
        if task.kind in handlers:  # requests to entities are sent when their rows are written
            handlers[task.kind](instance, task)

    def _start_activity(self, instance: Instance, task: Task) -> None:
        """Leave it to the task that processes the instance. One that was left there before gets a task of its own."""
        self._start_next_run(instance)
        instance.next_run = ActivityRun(instance.execution_id, task, self._executor.go_on_ahead(instance, task))

    def _start_next_run(self, instance: Instance) -> None:
        """Give the activity that is due a task of its own: the task that processes the instance is busy."""
        if run := instance.take_next_run():
            self._spawn(self._run_beside(instance, run))

    async def _run_beside(self, instance: Instance, run: ActivityRun) -> None:
        if await self._run_activity(instance, run):
            await self._work_on(instance, self._drain(instance))

    async def _run_activity(self, instance: Instance, run: ActivityRun) -> bool:
        """Run the activity. True if the caller must also run the turn it causes: no task processes the instance."""
        event = await self._activities.run(instance.id, run.task, run.ahead)
        if instance.finished:
            return False
        instance.inbox.append(Message(event, execution_id=run.execution_id, ahead=run.ahead))
        if not instance.idle.is_set():
            return False
        instance.idle.clear()
        return True

    def _arm(self, instance: Instance, task: Task) -> None:
        assert task.fire_at is not None
        remaining = (task.fire_at - now()).total_seconds()
        if remaining <= 0:
            instance.timers.pop(task.id, None)
            fired = builders.timer_fired(task.id, task.fire_at)
            self._post(instance, Message(fired, execution_id=instance.execution_id))
            return
        # The loop's clock and the calendar may drift apart: ask the calendar again, and never fire early.
        loop = asyncio.get_running_loop()
        instance.timers[task.id] = loop.call_later(min(remaining, MAX_TIMER_SLEEP_S), self._arm, instance, task)

    def _start_child(self, instance: Instance, task: Task) -> None:
        assert task.instance_id is not None
        if task.instance_id in self._instances:
            reason = "An Orchestration instance with the status Running already exists."
            refused = builders.sub_orchestration_ended(task.id, "Failed", reason)
            self._post(instance, Message(refused, execution_id=instance.execution_id))
            return
        assert instance.started is not None
        version = instance.started.fields["Version"]
        parent = Parent(instance.id, instance.execution_id, instance.name, task.id, version)
        given = None if task.input is None else compact_json(task.input)
        started = builders.execution_started(task.instance_id, task.name, given, task.version or "", parent)
        child = Instance(task.instance_id, task.name)
        self._instances[child.id] = child
        self._post(child, Message(started))

    # --- after a restart ---

    async def _load(self, instance: Instance, row: Row) -> None:
        """Read an unfinished instance and go on where its history ends."""
        row = await self._task_hub.instances.with_texts(row)
        instance.row, instance.stored, instance.unwritten = row, True, {}
        history = await self._task_hub.history.read(instance.id)
        if not history.events or (row["RuntimeStatus"] == "Pending" and history.execution_id != row["ExecutionId"]):
            instance.inbox.appendleft(Message(builders.started_again(instance.id, row)))
        else:
            await self._adopt(instance, history)
        await self._drain(instance)

    async def _adopt(self, instance: Instance, history: History) -> None:
        """Rebuild an instance from its history, and start again what was under way."""
        instance.begin(history.started)
        if not has_receipt(instance):
            for lost in self._requests.send_again(instance, history.events):
                instance.inbox.append(Message(lost, execution_id=instance.execution_id))
        ended = next((event for event in history.events if event.type == "ExecutionCompleted"), None)
        try:
            if ended:
                await self._repair_finished(instance, history, ended)
            else:
                await self._catch_up(instance, history)
        except OrchestrationFault as fault:
            await self._fail(instance, fault)

    async def _fail(self, instance: Instance, fault: OrchestrationFault) -> None:
        result = self._executor.failed(instance, fault)
        try:
            await self._commit(instance, [Event("OrchestratorStarted", now())], result)
        except StorageRefused:
            log.exception("Not even the failure of instance %s can be stored.", instance.id)
            self._finish(instance, result)

    async def _repair_finished(self, instance: Instance, history: History, ended: Event) -> None:
        """The history ended, but a crash came before the Instances row or the parent knew. The last custom status is
        then in neither: only the orchestrator can tell it.
        """
        status, output = ended.fields["OrchestrationStatus"], ended.fields["Result"]
        result = TurnResult(status=status, result=output, custom_status=instance.custom_status)
        with contextlib.suppress(OrchestrationFault):
            result.custom_status = (await self._executor.replay(instance, history.events)).custom_status
        instance.remember([ended])
        await self._requests.flush(instance)
        await self._rows.update(instance, result, ended.at, history.addresses)
        await self._rows.write(instance)
        self._finish(instance, result)

    async def _catch_up(self, instance: Instance, history: History) -> None:
        events = history.events
        try:
            state = await self._executor.replay(instance, events)
        finally:
            instance.remember(events)
        instance.tasks = rebuild(events, state.actions)
        instance.suspended = is_suspended(events)
        result = TurnResult(status="Suspended" if instance.suspended else "Running", custom_status=state.custom_status)
        await self._rows.update(instance, result, events[-1].at, history.addresses)
        undecided = instance.tasks.undecided(state.actions) or (state.ended and not instance.tasks.blocking)
        if undecided and not instance.suspended and not instance.inbox:
            instance.inbox.append(Message(None))
        for task in list(instance.tasks.open.values()):
            if task.kind == SUB_ORCHESTRATION:
                await self._continue_child(instance, task, events)
            else:
                self._dispatch(instance, task)
        self._start_next_run(instance)

    async def _continue_child(self, instance: Instance, task: Task, events: list[Event]) -> None:
        """A running child continues by itself; one that never ran starts; one that ended reports again."""
        created = next(e for e in events if e.type == "SubOrchestrationInstanceCreated" and e.event_id == task.id)
        task.instance_id = child_id = str(created.fields["InstanceId"])
        task.version = created.fields["Version"]
        if child_id in self._instances:
            return
        child = Instance(child_id, task.name)
        self._instances[child_id] = child
        history = await self._task_hub.history.read(child_id)
        if history.events and is_called_by(history, instance, task):
            child.row = await self._task_hub.instances.get(child_id) or {}
            child.stored = bool(child.row)
            self._run(child, self._go_on(child, history))
        else:
            del self._instances[child_id]
            self._start_child(instance, task)

    async def _go_on(self, instance: Instance, history: History) -> None:
        await self._adopt(instance, history)
        await self._drain(instance)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def first_turn(started: Event) -> list[Event]:
    """The events of an execution's first turn, which is dated like its start."""
    return [Event("OrchestratorStarted", started.at), started]


def is_about_content(fault: Exception) -> bool:
    """Whether storage refused what was to be written, so that to write it again would be refused again."""
    return isinstance(fault, StorageRefused) and fault.status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )


def is_suspended(events: list[Event]) -> bool:
    switches = [event.type for event in events if event.type in ("ExecutionSuspended", "ExecutionResumed")]
    return switches[-1:] == ["ExecutionSuspended"]


def has_receipt(instance: Instance) -> bool:
    """Whether the row says that this execution has ended: then entities have all that it sent, and may have forgotten
    it. A child that has ended is read again when its parent has yet to hear of that.
    """
    row = instance.row
    return row.get("RuntimeStatus") in FINISHED and row.get("ExecutionId") == instance.execution_id


def is_called_by(history: History, parent: Instance, task: Task) -> bool:
    """Whether a history is of the execution that exactly this task of the parent called for."""
    caller = Parent.from_json(history.started.fields["ParentInstance"])
    return caller is not None and (caller.execution_id, caller.task_id) == (parent.execution_id, task.id)
