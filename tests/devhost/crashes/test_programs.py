"""Random orchestrations and random crash points: with crashes and without them, the results are those of the rules.

An example is a batch of programs (random_programs.py), run side by side on one devhost: undisturbed, then again with
crashes at writes and moments that are drawn too. `PROGRAMS=500 pytest tests/devhost/crashes/test_programs.py` runs
so many programs instead of a few, others in each run; a failure prints its program, and how to draw the same batch
again.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from tests.devhost.support.hosts import APPS, Devhost
from tests.devhost.support.program_runner import Acknowledged, Crash, ProgramRun, ProgramRunner, run_programs
from tests.devhost.support.provider_oracle import orchestrators
from tests.devhost.support.random_programs import Draw, Program, expected, numbered_alike, programs, tasks_of
from tests.replay.oracle.history import Event, Kind, Orchestrator, request, response
from tests.replay.oracle.walk import walk
from tests.replay.task_hub import histories
from tests.support.servers import Azurite, FreePorts
from tests.support.storage_proxy import StorageProxy

APP = APPS / "programs"
BATCH = 16
LARGE = 30_000  # characters: from there on a blob holds a text
MANY = int(os.environ.get("PROGRAMS", "0"))
STATUS = {1: "Completed", 3: "Failed"}
DRAWING = settings(
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.generate],  # a smaller batch would take other turns: a failure names its program instead
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True, repr=False)
class Batch:
    """Programs, when each of them is suspended for a moment, and where devhost is killed."""

    programs: list[Program]
    pauses: list[int]
    crashes: list[Crash]

    def __repr__(self) -> str:
        """Without its pages of programs: a failure names the one that it is about."""
        return f"{len(self.programs)} programs, {self.crashes}"

    def runs(self, name: str) -> list[ProgramRun]:
        cast = enumerate(zip(self.programs, self.pauses, strict=True))
        return [ProgramRun(program, f"{name}-{number:02}", pause) for number, (program, pause) in cast]


@st.composite
def batches(draw: Draw) -> Batch:
    cast = [(draw(programs()), draw(st.sampled_from([0, 0, 0, 1, 3, 10]))) for _ in range(BATCH)]
    batch = Batch([program for program, _ in cast], [pause for _, pause in cast], [_crash(draw) for _ in range(2)])
    assume(any(batch.pauses))  # Hypothesis begins with the simplest of all batches, which shows least
    return batch


def _crash(draw: Draw) -> Crash:
    """At a write of each program, or wherever all of them are after a number of requests."""
    at_writes = draw(st.booleans())
    writes = [draw(st.integers(1, 12)) if at_writes else 0 for _ in range(BATCH)]
    return Crash(tuple(writes), draw(st.sampled_from(["hold", "hold_answer"])), draw(st.integers(5, 120)))


@pytest.fixture
def open_runner(azurite: Azurite, ports: FreePorts, tmp_path: Path) -> Callable[[], Any]:
    @contextmanager
    def open_one() -> Iterator[ProgramRunner]:
        acknowledged, tables = Acknowledged(), azurite.table.rsplit("/", 1)[0]
        with StorageProxy(ports(), tables, acknowledged) as proxy:
            port = ports()
            folder = tmp_path / f"runner-{port}"
            folder.mkdir()
            host = Devhost(azurite.connection_string.replace(tables, proxy.address), port, folder, APP)
            try:
                yield ProgramRunner(host.start(), proxy, acknowledged, azurite.connection_string)
            finally:
                host.kill()

    return open_one


@pytest.mark.timeout(300 + 5 * MANY)
@settings(parent=DRAWING, max_examples=max(MANY // BATCH, 1) if MANY else 2, derandomize=not MANY)
@given(batch=batches())
def test_programs_end_as_the_rules_say_with_and_without_crashes(open_runner: Callable[[], Any], batch: Batch) -> None:
    with open_runner() as runner:
        for crashes, name in (((), "calm"), (batch.crashes, "crashed")):
            runs = batch.runs(name)
            run_programs(runner, runs, crashes)
            for run in runs:
                assert_as_expected(run, runner)
        assert runner.too_early() == []
        assert_histories_replay(runner, orchestrators(APP)["program"])


def assert_as_expected(run: ProgramRun, runner: ProgramRunner) -> None:
    """Its end, and how often its activities ran: exactly so often, or once more at most for each crash."""
    wanted, ended = run.expected, run.ended
    assert ended is not None
    output = ended["output"].partition("\n")[0].strip() if ended["runtimeStatus"] == "Failed" else ended["output"]
    end = (ended["runtimeStatus"], output, ended["customStatus"])
    assert end == (wanted.status, wanted.output, wanted.custom_status), f"{run.root}: {json.dumps(run.program)}"
    counts = {key: len(moments) for key, moments in runner.activity_runs().items() if key.startswith(f"{run.root}/")}
    assert counts.keys() == wanted.runs.keys(), f"{run.root}: {json.dumps(run.program)}"
    wrong = {key: counts[key] for key, often in wanted.runs.items() if not 1 <= counts[key] <= often + runner.crashes}
    if not runner.crashes:
        wrong |= {key: counts[key] for key, often in wanted.runs.items() if counts[key] != often}
    assert not wrong, f"{run.root}: {json.dumps(run.program)}"


def assert_histories_replay(runner: ProgramRunner, orchestrator: Orchestrator) -> None:
    """Each history ends as its row says, and as a replay of it by the SDK alone does."""
    rows = {row["PartitionKey"]: row for row in runner.instances()}
    stored = histories(runner.direct, runner.host.hub)
    assert rows.keys() == stored.keys()
    for instance, history in stored.items():
        (end,) = [event for event in history if event["EventType"] == Kind.ExecutionCompleted]
        assert STATUS[end["OrchestrationStatus"]] == rows[instance]["RuntimeStatus"], instance
        output = rows[instance]["Output"]
        assert output == end["Result"] or (len(end["Result"]) > LARGE and output.startswith("http")), instance
        assert replayed(history, orchestrator) == end["Result"], instance
        if numbered_alike(program_of(history)):
            assert walk(history, orchestrator) == [], json.dumps(program_of(history))


def replayed(history: Sequence[Event], orchestrator: Orchestrator) -> str:
    state = response(orchestrator, request(history))
    if state.get("error") is not None:
        return f"Orchestrator function 'program' failed: {state['error']}"
    return json.dumps(state["output"], separators=(",", ":"), ensure_ascii=False)


def program_of(history: Sequence[Event]) -> Program:
    """The part that an ended execution was the last one to carry out."""
    part = json.loads(history[1]["Input"])
    parts: Program = (json.loads(part) if isinstance(part, str) else part)["parts"]
    return parts[:1]


def test_programs_are_made_of_everything() -> None:
    seen: set[str] = set()

    @settings(parent=DRAWING, max_examples=100, derandomize=True)
    @given(programs())
    def look_at(program: Program) -> None:
        seen.update(step["do"] for part in program for step in part)
        seen.update(described["task"] for part in program for step in part for described in tasks_of(step))
        seen.add(expected(program, "root").status)

    look_at()
    kinds = {"work", "retried work", "timer", "far timer", "event", "child", "all", "any"}
    assert seen == {"take", "attempt", "race", "remind", "report", *kinds, "Completed", "Failed"}
