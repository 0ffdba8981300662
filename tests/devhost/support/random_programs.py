"""Random orchestrations as plain data, and what each must come to, by rules that know of no engine.

A program is what apps/programs carries out. It has one outcome by construction, whatever comes first: of a task_any
only one task can end (the others are an event that never comes, or a far timer that is cancelled), of a task_all one
task at most can fail, and where two tasks race the result hides the winner.
"""

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

Described = dict[str, Any]
Program = list[list[Described]]
Draw = Callable[[st.SearchStrategy[Any]], Any]

ALWAYS = 99
NEVER = "never sent"
DEEPEST = 2
SOON_MS = [0, 15, 40, -1000]
STATUSES = ["busy", {"done": [1, 2]}, None, "Łódź"]

# --- what programs are made of ---


@dataclass(frozen=True)
class Place:
    """Where in a program something is drawn. `depth`: how many children and compounds it is in; `beside` others, in a
    compound of its own instance. `addressable`: whether the test can send events there, because the instance's id is
    known and it runs once.
    """

    depth: int = 0
    beside: bool = False
    addressable: bool = True

    def in_compound(self) -> "Place":
        return replace(self, depth=self.depth + 1, beside=True)

    def in_child(self, addressable: bool) -> "Place":
        return Place(self.depth + 1, False, self.addressable and addressable)


@st.composite
def programs(draw: Draw) -> Program:
    """A program of at most eight steps on its own level; it fails in one case of six."""
    return numbered(_parts(draw, Place(), fails=_one_in(draw, 6)))


def _one_in(draw: Draw, number: int) -> bool:
    return bool(draw(st.integers(1, number)) == number)


def _parts(draw: Draw, place: Place, fails: bool = False, fails_first: int = 0) -> Program:
    """Steps in one or two parts. The last one `fails`, or fails the `fails_first` times that the program is run."""
    longest = 4 if place.depth == 0 else 2
    parts = [_steps(draw, place, longest)]
    if _one_in(draw, 3):
        parts.append(_steps(draw, place, longest))
    if fails:
        parts[-1].append({"do": "take", "task": _failing(draw, place)})
    if fails_first:
        parts[-1].append({"do": "take", "task": _work(draw, fails_first)})
    return parts


def _steps(draw: Draw, place: Place, longest: int) -> list[Described]:
    return [draw(st.sampled_from(STEPS))(draw, place) for _ in range(draw(st.integers(1, longest)))]


def _take(draw: Draw, place: Place) -> Described:
    return {"do": "take", "task": _task(draw, place)}


def _attempt(draw: Draw, place: Place) -> Described:
    return {"do": "attempt", "task": _failing(draw, place)}


def _race(draw: Draw, place: Place) -> Described:
    """Tasks that go on while other things are done: the numbers that retries take fall between the others'."""
    of = [draw(st.sampled_from([_retried, _task]))(draw, place.in_compound()) for _ in range(draw(st.integers(2, 3)))]
    return {"do": "race", "of": of, "meanwhile": [_work(draw) for _ in range(draw(st.integers(0, 3)))]}


def _remind(draw: Draw, place: Place) -> Described:
    return {"do": "remind", "task": _task(draw, place.in_compound()), "ms": draw(st.sampled_from(SOON_MS))}


def _report(draw: Draw, _place: Place) -> Described:
    return {"do": "report", "status": draw(st.sampled_from(STATUSES))}


STEPS = [_take, _take, _take, _take, _attempt, _attempt, _race, _remind, _report]


def _task(draw: Draw, place: Place) -> Described:
    """A task that succeeds."""
    kinds = LEAVES if place.depth >= DEEPEST else [*LEAVES, *NESTING]
    return draw(st.sampled_from(kinds))(draw, place)  # type: ignore[no-any-return]


def _failing(draw: Draw, place: Place) -> Described:
    """A task that fails in the end, with one and the same text."""
    kinds = FAILING_LEAVES if place.depth >= DEEPEST else [*FAILING_LEAVES, *FAILING_NESTING]
    return draw(st.sampled_from(kinds))(draw, place)  # type: ignore[no-any-return]


def _work(draw: Draw, fails: int = 0) -> Described:
    name, ms = draw(st.sampled_from(["work", "work_softly"])), draw(st.sampled_from([0, 0, 20]))
    return {"task": "work", "name": name, "ms": ms, "fails": fails, "large": _one_in(draw, 20)}


def _plain_work(draw: Draw, _place: Place) -> Described:
    return _work(draw)


def _failing_work(draw: Draw, _place: Place) -> Described:
    return _work(draw, ALWAYS)


def _retried(draw: Draw, _place: Place) -> Described:
    attempts = draw(st.integers(2, 3))
    return {**_work(draw, draw(st.integers(1, attempts - 1))), "task": "retried work", "attempts": attempts}


def _exhausted(draw: Draw, _place: Place) -> Described:
    return {**_work(draw, ALWAYS), "task": "retried work", "attempts": draw(st.integers(1, 2))}


def _timer(draw: Draw, _place: Place) -> Described:
    return {"task": "timer", "ms": draw(st.sampled_from(SOON_MS))}


def _event(draw: Draw, place: Place) -> Described:
    if not place.addressable:
        return _timer(draw, place)
    return {"task": "event", "early": draw(st.booleans())}


def _child(draw: Draw, place: Place) -> Described:
    named = draw(st.booleans())
    return _child_of(_parts(draw, place.in_child(named)), named)


def _failing_child(draw: Draw, place: Place) -> Described:
    named = draw(st.booleans())
    return _child_of(_parts(draw, place.in_child(named), fails=True), named, fails=ALWAYS)


def _retried_child(draw: Draw, place: Place) -> Described:
    parts = _parts(draw, place.in_child(False), fails_first=1)
    return _child_of(parts, draw(st.booleans()), attempts=draw(st.integers(2, 3)))


def _exhausted_child(draw: Draw, place: Place) -> Described:
    parts = _parts(draw, place.in_child(False), fails_first=ALWAYS)
    return _child_of(parts, draw(st.booleans()), attempts=2, fails=ALWAYS)


def _child_of(parts: Program, named: bool, attempts: int = 1, fails: int = 0) -> Described:
    return {"task": "child", "parts": parts, "named": named, "attempts": attempts, "fails": fails}


def _all(draw: Draw, place: Place) -> Described:
    return {"task": "all", "of": [_task(draw, place.in_compound()) for _ in range(draw(st.integers(1, 3)))]}


def _failing_all(draw: Draw, place: Place) -> Described:
    """Not beside others: SDK 1.7 tells a compound twice of a task_all in it that failed before all of it had ended."""
    if place.beside:
        return _failing_work(draw, place)
    of = [_task(draw, place.in_compound()) for _ in range(draw(st.integers(0, 2)))]
    of.insert(draw(st.integers(0, len(of))), _failing(draw, place.in_compound()))
    return {"task": "all", "of": of}


def _any(draw: Draw, place: Place) -> Described:
    """Of something that ends, well or not, and of what does not."""
    ends = _failing(draw, place.in_compound()) if _one_in(draw, 3) else _task(draw, place.in_compound())
    of = [{"task": kind} for kind in draw(st.lists(st.sampled_from(["never", "far timer"]), min_size=1, max_size=2))]
    of.insert(draw(st.integers(0, len(of))), ends)
    return {"task": "any", "of": of}


LEAVES = [_plain_work, _plain_work, _retried, _timer, _event]
NESTING = [_child, _retried_child, _all, _any]
FAILING_LEAVES = [_failing_work, _exhausted]
FAILING_NESTING = [_failing_child, _exhausted_child, _failing_all]


def numbered(program: Program) -> Program:
    """The program with a number `n` for each task, which marks its runs, its child and its event."""
    for number, task in enumerate(each for part in program for step in part for each in tasks_of(step)):
        task["n"] = number
        if task["task"] in ("event", "never"):
            task["early"] = task.get("early", True)
            task["value"] = NEVER if task["task"] == "never" else {"of": number}
            task["task"], task["name"] = "event", f"event-{number}"
    return program


def tasks_of(described: Described, into_children: bool = True) -> Iterator[Described]:
    """Every task in a step or a task, whatever its depth."""
    task = described.get("task")
    if isinstance(task, str):
        yield described
    inner = [task] if isinstance(task, dict) else []
    inner += [*described.get("of", []), *described.get("meanwhile", [])]
    if into_children:
        inner += [step for part in described.get("parts", []) for step in part]
    for each in inner:
        yield from tasks_of(each, into_children)


# --- what they must come to ---


class Failure(Exception):
    """A task failed; the text is the first line of what the orchestrator hears."""


@dataclass(frozen=True)
class Sent:
    """An event that has to be sent, to an instance while so many parts of its program are left; before its wait if it
    is `early`.
    """

    instance: str
    parts_left: int
    name: str
    value: Any
    early: bool


@dataclass
class Expected:
    """What becomes of a program: its end, how often each activity runs, and the events that it cannot end without."""

    root: str
    status: str = "Completed"
    output: Any = None
    custom_status: Any = None
    runs: Counter[str] = field(default_factory=Counter)
    events: list[Sent] = field(default_factory=list)


def expected(program: Program, root: str) -> Expected:
    """Carry a program out in the order in which it is written, with nothing that could go wrong."""
    whole = Expected(root)
    reader = _Reader(whole, root)
    try:
        whole.output = reader.run(program, [])
    except Failure as failure:
        whole.status, whole.output = "Failed", f"Orchestrator function 'program' failed: {failure}"
    whole.custom_status = reader.custom_status
    return whole


class _Reader:
    """Reads one instance's program. What is done at the same time is read one after the other."""

    def __init__(self, whole: Expected, instance: str) -> None:
        self._whole, self._instance = whole, instance
        self._parts_left, self._trail = 0, list[Any]()
        self.custom_status: Any = None

    def run(self, program: Program, trail: list[Any]) -> list[Any]:
        self._trail = trail
        for number, part in enumerate(program):
            self._parts_left, self.custom_status = len(program) - number, None
            for step in part:
                getattr(self, f"_{step['do']}")(step)
        return self._trail

    def _take(self, step: Described) -> None:
        self._announce(step["task"])
        self._trail.append(self._result(step["task"]))

    def _attempt(self, step: Described) -> None:
        try:
            self._take(step)
        except Failure as failure:
            self._trail.append(str(failure))

    def _race(self, step: Described) -> None:
        self._announce(*step["of"])
        results = [self._result(task) for task in step["of"]]
        for task in step["meanwhile"]:
            self._trail.append(self._result(task))
        self._trail.append(results)

    def _remind(self, step: Described) -> None:
        self._announce(step["task"])
        self._trail.append(self._result(step["task"]))

    def _report(self, step: Described) -> None:
        self.custom_status = step["status"]

    def _announce(self, *tasks: Described) -> None:
        names = [each["name"] for task in tasks for each in _own_tasks(task) if not each.get("early", True)]
        if names:
            self.custom_status = {"waits for": names}

    def _result(self, task: Described) -> Any:
        return getattr(self, f"_{task['task'].replace(' ', '_')}")(task)

    def _work(self, task: Described) -> int | str:
        key = f"{self._whole.root}/{task['n']}"
        self._whole.runs[key] += 1
        if self._whole.runs[key] <= task["fails"]:
            raise Failure(f"Activity function '{task['name']}' failed:  ValueError: step {task['n']}")
        number = (digest(self._trail) + int(task["n"])) % 1_000_003
        return f"{number}".rjust(40_000) if task["large"] else number

    def _retried_work(self, task: Described) -> Any:
        return self._retry(task["attempts"], lambda: self._work(task))

    def _retry(self, attempts: int, once: Callable[[], Any]) -> Any:
        for _ in range(attempts - 1):
            try:
                return once()
            except Failure:
                continue
        return once()

    def _timer(self, _task: Described) -> None:
        return None

    def _event(self, task: Described) -> Any:
        sent = Sent(self._instance, self._parts_left, task["name"], task["value"], task["early"])
        self._whole.events.append(sent)
        return task["value"]

    def _child(self, task: Described) -> Any:
        return self._retry(task["attempts"], lambda: self._child_once(task))

    def _child_once(self, task: Described) -> Any:
        try:
            return _Reader(self._whole, f"{self._instance}-{task['n']}").run(task["parts"], [digest(self._trail)])
        except Failure as failure:
            raise Failure(f"Orchestrator function 'program' failed: {failure}") from None

    def _all(self, task: Described) -> list[Any]:
        results, failures = [], []
        for each in task["of"]:
            try:
                results.append(self._result(each))
            except Failure as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
        return results

    def _any(self, task: Described) -> list[Any]:
        place = next(place for place, each in enumerate(task["of"]) if _ends(each))
        try:
            return [place, self._result(task["of"][place])]
        except Failure as failure:
            return [place, str(failure)]


def digest(trail: list[Any]) -> int:
    return zlib.crc32(json.dumps(trail).encode())


def _ends(task: Described) -> bool:
    return task["task"] != "far timer" and task.get("value") != NEVER


# --- where the SDK and the real host number alike ---


def numbered_alike(program: Program) -> bool:
    """Whether the real host would give the ids that the SDK gives: not when retries or failures stand beside something
    that goes on meanwhile.
    """
    return all(_alike(step) for part in program for step in part)


def _alike(step: Described) -> bool:
    if step["do"] in ("take", "attempt") and "of" not in step["task"]:
        return True
    return not any(task.get("attempts", 1) > 1 or task.get("fails") for task in _own_tasks(step))


def _own_tasks(described: Described) -> Iterator[Described]:
    """The tasks in a step or a task of one instance, without what its children do."""
    return tasks_of(described, into_children=False)
