"""Runs programs on a devhost of their own: starts them, sends their events, crashes devhost, and keeps the record."""

import json
import time
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from azure.data.tables import TableServiceClient

from devtools.processes.http import HttpResponse
from tests.devhost.support.crash_points import WRITES, stands
from tests.devhost.support.hosts import FINISHED, Devhost, until
from tests.devhost.support.random_programs import Expected, Program, Sent, expected
from tests.support.storage_proxy import Fault, Rule, StorageProxy


class Acknowledged(list[str]):
    """The text of each request that storage answered, and the moment before devhost heard of the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[int] = []

    def append(self, text: str) -> None:
        self.moments.append(time.time_ns())
        super().append(text)


@dataclass(frozen=True)
class Crash:
    """Where devhost is killed: when each program stands at the write that has its number (0: at none), before it is
    done or when it is done and unanswered; or, where no program has a write to stand at, after so many `requests`.
    """

    writes: tuple[int, ...]
    fault: Fault
    requests: int


@dataclass
class ProgramRunner:
    """A devhost whose table requests pass a proxy. `direct` is the storage without it."""

    host: Devhost
    tables: StorageProxy
    acknowledged: Acknowledged
    direct: str
    crashes: int = 0
    restarts: list[int] = field(default_factory=list)
    schedule_times: dict[tuple[str, ...], tuple[str, int]] = field(default_factory=dict)

    def crash(self) -> None:
        self.host.kill()
        self.crashes += 1
        moment = time.time_ns()
        self.restarts.append(moment)
        for row in self._rows("History", "EventType eq 'TaskScheduled'"):
            self._find(row, moment)
        self.host.start()

    def instances(self) -> list[dict[str, Any]]:
        """The rows of the Instances table."""
        return self._rows("Instances", "RowKey eq ''")

    def _rows(self, table: str, condition: str) -> list[dict[str, Any]]:
        with TableServiceClient.from_connection_string(self.direct) as service:
            rows = service.get_table_client(f"{self.host.hub}{table}").query_entities(condition)
            return [dict(row) for row in rows]

    def _find(self, row: dict[str, Any], moment: int) -> None:
        id_ = (row["PartitionKey"], row["ExecutionId"], str(row["EventId"]))
        key = json.loads(json.loads(row["Input"])[0])["key"]
        self.schedule_times[id_] = min(self.schedule_times.get(id_, (key, moment)), (key, moment))

    def schedules(self) -> dict[str, list[int]]:
        """For each activity the moments at which devhost could know that storage had its TaskScheduled rows."""
        for text, moment in zip(self.acknowledged, self.acknowledged.moments, strict=True):
            for line in text.splitlines():
                if line.startswith("{") and '"EventType":"TaskScheduled"' in line:
                    self._find(json.loads(line), moment)
        moments = defaultdict(list)
        for key, moment in self.schedule_times.values():
            moments[key].append(moment)
        return {key: sorted(each) for key, each in moments.items()}

    def activity_runs(self) -> dict[str, list[int]]:
        """For each activity the moments at which it began to run."""
        moments = defaultdict(list)
        for line in self.host.notes:
            moment, key = line.split()
            moments[key].append(int(moment))
        return {key: sorted(each) for key, each in moments.items()}

    def too_early(self) -> list[str]:
        """The activities that began before storage had acknowledged that they were scheduled, as often as they ran."""
        schedules = self.schedules()
        return [
            key
            for key, moments in self.activity_runs().items()
            for number, moment in _numbered_by_life(moments, self.restarts)
            if bisect(schedules.get(key, []), moment) < number
        ]


def _numbered_by_life(moments: Iterable[int], restarts: Sequence[int]) -> list[tuple[int, int]]:
    """Each run with its number since the last restart: after one, all that was under way may run once more."""
    lives: Counter[int] = Counter()
    numbered = []
    for moment in moments:
        life = bisect(restarts, moment)
        lives[life] += 1
        numbered.append((lives[life], moment))
    return numbered


class ProgramRun:
    """One program: what it must come to, and what has been done for it so far.

    It is suspended for a moment when it has been looked at `pause_at` times (0: never), which must change nothing.
    """

    def __init__(self, program: Program, root: str, pause_at: int = 0) -> None:
        self.program, self.root = program, root
        self.expected: Expected = expected(program, root)
        self.ended: dict[str, Any] | None = None
        self._due = list(self.expected.events)
        self._until_pause = pause_at
        self._request: Future[None] | None = None

    def act(self, host: Devhost, threads: ThreadPoolExecutor) -> None:
        """Do the next thing for it, or see that it has ended. The asking waits for storage, hence the thread.

        A request is repeated only if it was not answered.
        """
        if self.ended or self._request_is_open():
            return
        status = host.status(self.root)
        if status and status["runtimeStatus"] in FINISHED:
            self.ended = status
        elif ask := self._next(host, status):
            self._request = threads.submit(ask, host)

    def _next(self, host: Devhost, status: dict[str, Any] | None) -> Callable[[Devhost], None] | None:
        """The next request: start it, send an event that is due, suspend it or resume it."""
        if status is None:
            return self._begin
        if due := next((each for each in self._due if _is_due(each, host)), None):
            return partial(self._raise, due)
        if status["runtimeStatus"] == "Suspended":
            return self._resume
        self._until_pause -= 1
        return self._suspend if self._until_pause == 0 else None

    def _request_is_open(self) -> bool:
        if self._request and self._request.done():
            self._request.result()
            self._request = None
        return self._request is not None

    def _begin(self, host: Devhost) -> None:
        value = {"root": self.root, "parts": self.program, "trail": []}
        response = unless_cut_off(lambda: host.post(host.api(f"/orchestrators/program/{self.root}"), value))
        assert response is None or response.status == 202, (response.status, response.text)

    def _raise(self, due: Sent, host: Devhost) -> None:
        """A repetition may come when the instance has ended."""
        response = unless_cut_off(lambda: host.event(due.instance, due.name, due.value))
        if response is not None:
            assert response.status in (202, 410), (response.status, response.text)
            self._due.remove(due)

    def _suspend(self, host: Devhost) -> None:
        unless_cut_off(lambda: host.post(host.api(f"/instances/{self.root}/suspend")))

    def _resume(self, host: Devhost) -> None:
        unless_cut_off(lambda: host.post(host.api(f"/instances/{self.root}/resume")))


def unless_cut_off(ask: Callable[[], HttpResponse]) -> HttpResponse | None:
    try:
        return ask()
    except OSError:
        return None


def _is_due(sent: Sent, host: Devhost) -> bool:
    """Whether the instance is in the part that waits for the event: an earlier one would lose it. And whether it waits,
    unless the event is to be early.
    """
    status = host.status(sent.instance)
    if status is None or status["input"] is None:
        return False
    part = json.loads(status["input"]) if isinstance(status["input"], str) else status["input"]
    awaited = (status["customStatus"] or {}).get("waits for", []) if isinstance(status["customStatus"], dict) else []
    return len(part["parts"]) == sent.parts_left and (sent.early or sent.name in awaited)


def run_programs(runner: ProgramRunner, runs: Sequence[ProgramRun], crashes: Sequence[Crash] = ()) -> None:
    """Run programs side by side to their ends, through the crashes."""
    with ThreadPoolExecutor(len(runs)) as threads:

        def go_on() -> None:
            for run in runs:
                run.act(runner.host, threads)

        def over() -> bool:
            go_on()
            return all(run.ended for run in runs)

        try:
            for crash in crashes:
                _run_until(runner, runs, crash, go_on)
                runner.crash()
            until(over, 60, lambda: _report(runner, runs))
        except BaseException:
            runner.host.kill()  # so that nothing waits for an answer any more
            raise


def _run_until(runner: ProgramRunner, runs: Sequence[ProgramRun], crash: Crash, go_on: Callable[[], None]) -> None:
    """Continue until each run stands at the crash's place or has ended."""
    requests = len(runner.acknowledged) + crash.requests
    with ExitStack() as faults:
        rules: dict[str, Rule] = {}
        for run, number in zip(runs, crash.writes, strict=True):
            if number:
                rule = runner.tables.failing(WRITES + run.root, crash.fault, times=1, spared=number - 1)
                rules[run.root] = faults.enter_context(rule)

        def reached() -> bool:
            go_on()
            if not rules and len(runner.acknowledged) >= requests:
                return True
            return all(run.ended or (run.root in rules and stands(rules[run.root])) for run in runs)

        until(reached, 60, lambda: _report(runner, runs))
        runner.host.kill()


def _report(runner: ProgramRunner, runs: Sequence[ProgramRun]) -> str:
    standing = [run for run in runs if not run.ended]
    reports = [f"{run.root}: {runner.host.status(run.root)}\n{json.dumps(run.program)}" for run in standing]
    return "\n".join([*reports, runner.host.log[-5000:]])
