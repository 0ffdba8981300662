"""When the engine begins what a turn has decided: in its order, and without waiting for what comes after it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from devhost.execution.actions import ACTIVITY, Task
from devhost.execution.executor import TurnResult
from devhost.execution.instance import Execution, Instance
from devhost.history.events import Row
from devhost.orchestration.engine import Collaborators, Engine, Options
from devhost.orchestration.instance_registry import InstanceRegistry

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class FakeCollaborators:
    """The engine's collaborators: writes that wait for the test, turns with ready results, activities that never end.

    `results` are those of the turns to come; `begun` are the activities that have begun.
    """

    results: list[TurnResult]
    writes: list[asyncio.Event] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)

    async def engine(self) -> Engine:
        instances = SimpleNamespace(insert=self._inserted, merge=self._merged, unfinished=self._unfinished)
        task_hub = SimpleNamespace(name="Hub", instances=instances, history=SimpleNamespace(append=self._append))
        executor = SimpleNamespace(date_of_turn=lambda *_: NOON, decide=self._decide, failed=None)
        speculative = SimpleNamespace(before_start=lambda *_: None, after_activity=lambda *_: None)
        activities, entities = SimpleNamespace(run=self._run), SimpleNamespace()
        parts: Any = task_hub, executor, speculative, activities, entities
        options = Options(store_inputs=False, override_any_state=False, default_version="", joined_events=1)
        engine = Engine(InstanceRegistry(), Collaborators(*parts), options)
        await engine.open()
        return engine

    async def _unfinished(self) -> AsyncIterator[Row]:
        no_rows: list[Row] = []
        for row in no_rows:
            yield row

    async def _inserted(self, *_: Any) -> int:
        return 0

    async def _merged(self, *_: Any, **__: Any) -> None:
        return None

    async def _append(self, *_: Any, **__: Any) -> dict[str, str]:
        self.writes.append(asyncio.Event())
        await self.writes[-1].wait()
        return {}

    async def _decide(self, *_: Any) -> TurnResult:
        return self.results.pop(0)

    async def _run(self, _instance: Instance, _execution: Execution, task: Task) -> None:
        self.begun.append(task.id)
        await asyncio.Event().wait()


def activities(*ids: int) -> TurnResult:
    return TurnResult([Task(number, ACTIVITY, "step") for number in ids])


def in_a_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await test()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(run())


async def settled() -> None:
    """Let everything run that waits for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_nothing_begins_before_its_write_and_all_begin_in_their_order() -> None:
    async def run() -> None:
        fakes = FakeCollaborators([activities(0, 1, 2, 3)])
        await (await fakes.engine()).start("saga", "order-1", None, "")
        await settled()
        assert (len(fakes.writes), fakes.begun) == (1, [])
        fakes.writes[0].set()
        await settled()
        assert fakes.begun == [0, 1, 2, 3]

    in_a_loop(run)


def test_an_activity_does_not_wait_for_the_turn_after_its_own() -> None:
    async def run() -> None:
        fakes = FakeCollaborators([activities(0), activities()])
        engine = await fakes.engine()
        await engine.start("saga", "order-1", None, "")
        await settled()
        raised = asyncio.ensure_future(engine.raise_event("order-1", "approved", "true"))
        await settled()
        fakes.writes[0].set()
        await settled()
        assert (len(fakes.writes), fakes.begun) == (2, [0]), "begun while the next turn is being written"
        fakes.writes[1].set()
        assert await raised
        assert fakes.begun == [0], "once"

    in_a_loop(run)


def test_the_activity_of_a_turn_that_is_the_last_begins_too() -> None:
    async def run() -> None:
        fakes = FakeCollaborators([activities(0)])
        await (await fakes.engine()).start("saga", "order-1", None, "")
        await settled()
        fakes.writes[0].set()
        await settled()
        assert fakes.begun == [0]

    in_a_loop(run)
