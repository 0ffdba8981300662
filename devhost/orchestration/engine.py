"""The engine: the operations on orchestrations, and the parts that carry them out.

Four rules let an instance survive a crash at any point:

1. **History is the truth.** The History rows of an instance contain everything that it waits for; memory only saves
   reading them. After a restart, and after a fault, an instance is read again and resumes (recovery.py).
2. **Acknowledged, then dispatched.** A turn's events are written in one transaction; then the Instances row, if it
   changed (checkpoint.py); and only then activities, timers and sub-orchestrations start (dispatcher.py). So a crash
   can lose no cause of a running task; at worst a task runs again.
3. **One turn at a time for each instance; instances do not wait for each other.** Messages that arrive while a turn is
   written share the next turn (instance_loop.py).
4. **A request from outside is answered when it is durable.** An event or a termination is taken by a turn like any
   other event, and its caller waits for that turn's write.

Rejected: queues in storage as the real provider has them. They cost two thirds of its transactions, and they would
protect from no other host: storage/hub_lock.py keeps one host for a hub.
"""

import asyncio
import contextlib
from dataclasses import dataclass

from devhost.entities.dispatcher import EntityDispatcher
from devhost.execution.executor import OrchestrationExecutor
from devhost.execution.instance import Instance, Unread
from devhost.execution.messages import Delivery, OutsideEvent, Receipt, RowDue
from devhost.execution.speculative_turns import SpeculativeTurns
from devhost.history import builders
from devhost.history.builders import now
from devhost.history.events import FINISHED, Event, Row
from devhost.orchestration.activity_runner import ActivityRunner
from devhost.orchestration.checkpoint import Checkpoint, InstanceRowWriter
from devhost.orchestration.dispatcher import TaskDispatcher
from devhost.orchestration.entity_outbox import EntityOutbox
from devhost.orchestration.instance_loop import InstanceLoop
from devhost.orchestration.instance_registry import InstanceRegistry
from devhost.orchestration.recovery import Recovery
from devhost.orchestration.turns import TurnRunner
from devhost.storage.history_table import History
from devhost.storage.instances_table import InstanceExists, pending_columns
from devhost.storage.keys import unescape_key
from devhost.storage.task_hub import TaskHub


class WrongState(Exception):
    """The instance is in a state that does not allow the operation; the text is its RuntimeStatus."""


@dataclass(frozen=True)
class Options:
    """host.json's durableTask settings that the engine follows, and how many events may share a turn."""

    store_inputs: bool
    override_any_state: bool
    default_version: str
    joined_events: int


@dataclass(frozen=True)
class Collaborators:
    """The parts that the engine uses: the storage, the SDK's turns, the activities, and the entities."""

    task_hub: TaskHub
    executor: OrchestrationExecutor
    speculative: SpeculativeTurns
    activities: ActivityRunner
    entities: EntityDispatcher


class Engine:
    def __init__(self, registry: InstanceRegistry, parts: Collaborators, options: Options) -> None:
        self._registry, self._any_state = registry, options.override_any_state
        self._rewinding = asyncio.Lock()  # one at a time: a second one must see what the first has changed
        self._task_hub, self._entities, self._speculative = parts.task_hub, parts.entities, parts.speculative
        self._outbox = outbox = EntityOutbox(parts.entities)
        rows = InstanceRowWriter(parts.task_hub, registry.post)
        store_inputs, version = options.store_inputs, options.default_version
        checkpoint = Checkpoint(parts.task_hub, rows, outbox, store_inputs=store_inputs, version=version)
        dispatcher = TaskDispatcher(registry, parts.activities, outbox, parts.speculative)
        turns = TurnRunner(parts.executor, checkpoint, rows, dispatcher, outbox)
        recovery = Recovery(
            parts.task_hub,
            registry,
            executor=parts.executor,
            turns=turns,
            rows=rows,
            dispatcher=dispatcher,
            outbox=outbox,
        )
        self._loop = InstanceLoop(registry, turns, recovery, options.joined_events)

    async def open(self) -> int:
        """Resume every unfinished instance of the hub; returns their number, before they have been read."""
        self._loop.start()
        count = 0
        async for row in self._task_hub.instances.unfinished():
            instance_id = unescape_key(row["PartitionKey"])
            if row["Name"].startswith("@"):
                self._entities.resume(instance_id, row)
                continue
            self._read(Instance(instance_id), row)
            count += 1
        return count

    async def stop(self, patience_s: float) -> None:
        """Bring the Instances table up to date, let the turns that are under way end, and start nothing new. What is
        cut off is resumed after the next start, as after a kill.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.write_rows(), patience_s / 2)
        await self._loop.stop(patience_s / 2)
        self._registry.cancel_work()

    async def start(self, name: str, instance_id: str, body: str | None, version: str) -> None:
        """Start an instance; returns when its row is durable. Raises InstanceExists. `body`: the input as JSON text."""
        active = self._registry.get(instance_id)
        if active and not self._any_state:
            raise InstanceExists(active.row.status or "Pending")
        started = builders.execution_started(instance_id, name, body, version)
        columns = pending_columns(started, self._task_hub.name)
        instance = Instance(instance_id)
        instance.begin(started)
        self._speculative.before_start(instance)
        generation = await self._task_hub.instances.insert(instance_id, columns, self._any_state)
        started.fields["Generation"] = generation
        while earlier := self._registry.get(instance_id):  # another start may have come since
            await self._loop.abandon(earlier)
        instance.row.columns = {**columns, "Generation": generation}
        self._registry.add(instance)
        self._registry.post(instance, OutsideEvent(started))

    async def raise_event(self, instance_id: str, name: str, payload: str) -> Delivery:
        """Raise an event; returns when it is durable. `payload` is JSON text."""
        return await self._deliver(instance_id, Event("EventRaised", now(), fields={"Name": name, "Input": payload}))

    async def terminate(self, instance_id: str, reason: str) -> Delivery:
        """As raise_event."""
        return await self._deliver(instance_id, Event("ExecutionTerminated", now(), fields={"Input": reason}))

    async def suspend(self, instance_id: str, reason: str) -> Delivery:
        """As raise_event. Raises WrongState when the instance is suspended already."""
        return await self._switch(instance_id, "ExecutionSuspended", reason, suspended=False)

    async def resume(self, instance_id: str, reason: str) -> Delivery:
        """As raise_event. Raises WrongState when the instance is not suspended."""
        return await self._switch(instance_id, "ExecutionResumed", reason, suspended=True)

    async def _switch(self, instance_id: str, event_type: str, reason: str, suspended: bool) -> Delivery:
        instance = self._registry.get(instance_id)
        if instance and not instance.finished and instance.execution.suspended != suspended:
            raise WrongState(instance.row.status or "Running")
        return await self._deliver(instance_id, Event(event_type, now(), fields={"Reason": reason}))

    async def _deliver(self, instance_id: str, event: Event) -> Delivery:
        instance = self._registry.get(instance_id)
        if instance is None or instance.finished:
            row = await self._task_hub.instances.get(instance_id)
            return Delivery.NO_INSTANCE if row is None else Delivery.TOO_LATE
        receipt: Receipt = asyncio.get_running_loop().create_future()
        self._registry.post(instance, OutsideEvent(event, receipt))
        return await receipt

    async def rewind(self, instance_id: str, reason: str) -> Delivery:
        """Resume a failed instance from before its failure. As raise_event; raises WrongState while it is active."""
        async with self._rewinding:
            return await self._rewind(instance_id, reason)

    async def _rewind(self, instance_id: str, reason: str) -> Delivery:
        row = await self.status(instance_id)
        if row is None:
            return Delivery.NO_INSTANCE
        if row["RuntimeStatus"] not in FINISHED:
            raise WrongState(row["RuntimeStatus"])
        if row["RuntimeStatus"] != "Failed":
            return Delivery.TOO_LATE
        for number, rewound in enumerate(await self._task_hub.rewind(instance_id)):
            instance, row = Instance(rewound), await self._task_hub.instances.get(rewound)
            assert row is not None
            if number == 0:  # the deepest one
                instance.inbox.append(OutsideEvent(Event("GenericEvent", now(), fields={"Data": reason})))
            self._read(instance, row)
        return Delivery.STORED

    def _read(self, instance: Instance, row: Row) -> None:
        """Have an unfinished instance read from storage and resumed."""
        instance.unread = Unread(row)
        self._registry.add(instance)
        self._registry.wake(instance)

    async def end_of(self, instance_id: str, within_s: float) -> Row | None:
        """The row of an active instance, if it ends within so many seconds."""
        instance = self._registry.get(instance_id)
        if instance is None:
            await asyncio.sleep(within_s)
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await instance.ended.wait()
        return instance.row.columns if instance.ended.is_set() else None

    async def status(self, instance_id: str) -> Row | None:
        """The Instances row with its texts, or None. An active instance answers from memory."""
        instance = self._registry.get(instance_id)
        if instance and not instance.finished and "CreatedTime" in instance.row.columns:
            return instance.row.columns
        return await self._entities.row(instance_id) or await self._task_hub.instances.get(instance_id)

    def is_active(self, instance_id: str) -> bool:
        """Whether an instance is in memory and has not ended."""
        instance = self._registry.get(instance_id)
        return instance is not None and not instance.finished

    async def history(self, instance_id: str) -> History:
        return await self._task_hub.history.read(instance_id)

    async def purge(self, instance_id: str) -> None:
        if await self._entities.purge(instance_id):
            return
        instance = self._registry.get(instance_id)
        if instance:
            self._registry.remove(instance)
            await self._loop.abandon(instance)
        await self._task_hub.purge(instance_id)
        if instance:
            self._outbox.end(instance.execution)

    async def write_rows(self) -> None:
        """Bring the Instances table up to date, for a reader of the whole table."""
        await self._entities.write_rows()
        written: list[Receipt] = []
        for instance in self._registry:
            if instance.row.unwritten and not instance.finished:
                written.append(asyncio.get_running_loop().create_future())
                self._registry.post(instance, RowDue(written[-1]))
        if written:
            await asyncio.wait(written)
