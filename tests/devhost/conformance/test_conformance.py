"""Each Durable feature as a small orchestration, run warm and with full replays, and then judged by its rows.

A case is one row of CASES: what is started, what happens to it meanwhile, how it ends. docs/devhost.md names these
cases in its table of features, and test_document.py holds the two together. After each case the instance and all its
children are looked at as provider_oracle.py says: replayed by the SDK, walked by the oracle, compared with the layout
of the tables.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.devhost.support.hosts import APPS, Devhost, until
from tests.devhost.support.provider_oracle import Hub, judged
from tests.support.servers import Azurite, FreePorts

APP = APPS / "conformance"
HOUR = 3600
LARGE = "Ł" * 40_000
MISSPELLED = (
    "Orchestrator function '{0}' failed: The function '{1}' doesn't exist, is disabled, or is not {2} function."
)

Step = Callable[[Devhost, str], None]


# --- what happens to an instance: the steps of a case ---


def event(name: str, content: Any, status: int = 202, to: str = "") -> Step:
    """Raise an event over HTTP, at the instance or, with `to`, at its child of that suffix."""

    def step(host: Devhost, instance: str) -> None:
        path = host.api(f"/instances/{instance}{to}/raiseEvent/{quote(name)}")
        response = host.request("POST", path, json.dumps(content).encode(), **{"Content-Type": "application/json"})
        assert (response.status, response.body) == (status, b"")

    return step


def after(kind: str, times: int = 1, of: str = "") -> Step:
    """Wait until the history holds so many events of a type."""

    def step(host: Devhost, instance: str) -> None:
        until(lambda: host.events(f"{instance}{of}").count(kind) >= times)

    return step


def ask(verb: str, reason: str = "", status: int = 202, of: str = "") -> Step:
    def step(host: Devhost, instance: str) -> None:
        path = host.api(f"/instances/{instance}{of}/{verb}?reason={quote(reason)}")
        assert host.post(path).status == status

    return step


def shows(field: str, value: Any) -> Step:
    """Wait until the status has a value in a field."""

    def step(host: Devhost, instance: str) -> None:
        until(lambda: host.status(instance)[field] == value, say=lambda: str(host.status(instance)))

    return step


def note(line: str) -> Step:
    def step(host: Devhost, instance: str) -> None:
        with host.notes_file.open("a", encoding="utf-8") as notes:
            notes.write(f"{line}\n")

    return step


def restart(host: Devhost, instance: str) -> None:
    path = host.api(f"/instances/{instance}/restart?restartWithNewInstanceId=false")
    assert host.post(path).json()["id"] == instance


@dataclass(frozen=True)
class Case:
    """`input`: the input, or a function of the devhost that makes it. `output`: the output that has to come, or the
    beginning of the text of one that failed. `events`: event types, as far as they are not in every history, in the
    order in which they have to be stored.
    """

    orchestrator: str
    output: Any
    input: Any = None
    status: str = "Completed"
    steps: tuple[Step, ...] = ()
    events: tuple[str, ...] = ()


def failed(orchestrator: str, text: str, **more: Any) -> Case:
    return Case(orchestrator, f"Orchestrator function '{orchestrator}' failed: {text}", status="Failed", **more)


ATTEMPT = ("TaskScheduled", "TaskFailed", "TimerCreated", "TimerFired")
CALL = ("TaskScheduled", "TaskCompleted")

CASES: dict[str, Case] = {
    "activities": Case("activities", [{"deep": [8, "Łódź", None, 1.5, True]}, [1, 2], None], events=CALL * 4),
    "failed activity": Case(
        "failed_activity",
        ["Activity function 'fail_times' failed:  ValueError: call 1", 2],
        events=("TaskScheduled", "TaskFailed", *CALL),
    ),
    "names in another case": Case("other_case", [2, 2]),
    "retry": Case("retry", [3, 6], events=ATTEMPT * 2 + CALL * 2),
    "exhausted retry": Case(
        "exhausted_retry",
        ["Activity function 'fail_times' failed:  ValueError: call 3", 2],
        events=ATTEMPT * 3 + CALL,
    ),
    "retries side by side": Case("retries_side_by_side", [1, 2, 3]),
    "fan-out": Case("fan_out", 90),
    "nested task_all and task_any": Case("nested", [True, [2, 4], 10, 12]),
    "first failure of task_all": Case("first_failure", 42),
    "deterministic helpers": Case("deterministic_helpers", True),
    "short timer": Case("short_timer", True, events=("TimerCreated", "TimerFired")),
    "past timer": Case("past_timer", "fired", events=("TimerCreated", "TimerFired")),
    "timer that fires first": Case("cancelled_timer", "timed out", 0.1, events=("TimerCreated", "TimerFired")),
    "cancelled timer": Case(
        "cancelled_timer", 10, HOUR, steps=(event("go", 5),), events=("TimerCreated", "EventRaised", *CALL)
    ),
    # Over six days the SDK makes a timer of several, and forgets to cancel the one that is under way.
    "cancelled long timer": Case(
        "cancelled_timer",
        "days later",
        7 * 24 * HOUR,
        status="Terminated",
        steps=(
            event("go", 5),
            after("TaskCompleted"),
            shows("runtimeStatus", "Running"),
            ask("terminate", "days later"),
        ),
        events=("TimerCreated", "EventRaised", *CALL, "ExecutionTerminated"),
    ),
    "timer left open": Case(
        "timer_left_open", "done long ago", events=("TaskScheduled", "TimerCreated", "TaskCompleted", "TimerFired")
    ),
    "event before its wait": Case(
        "two_names", ["one", 2], steps=(event("second", 2), event("first", "one")), events=("EventRaised",) * 2
    ),
    "event during the wait": Case(
        "two_names",
        [{"deep": [1]}, None],
        steps=(after("OrchestratorCompleted"), event("first", {"deep": [1]}), event("second", None)),
    ),
    "event after the end": Case(
        "plain",
        {"input": None},
        steps=(after("ExecutionCompleted"), event("late", 1, status=410)),
    ),
    "event that nobody awaits": Case(
        "two_names", [1, 2], steps=(event("third", 3), event("first", 1), event("second", 2))
    ),
    # The SDK knows names by their case and the extension does not: it delivers, and user code still hears nothing.
    "event in another case": Case(
        "two_names",
        "deaf",
        status="Terminated",
        steps=(event("FIRST", 1), after("EventRaised"), shows("runtimeStatus", "Running"), ask("terminate", "deaf")),
        events=("EventRaised", "ExecutionTerminated"),
    ),
    "one name awaited twice": Case(
        "one_name", [1, 2], steps=(after("OrchestratorCompleted"), event("e", 1), event("e", 2))
    ),
    # The SDK keeps one buffered event of a name, the last one, and gives it to every wait that comes later.
    "two buffered events of one name": Case(
        "one_name", [2, 2], True, steps=(event("e", 1), event("e", 2), after("EventRaised", 2), event("begin", None))
    ),
    "two waits for one name": Case(
        "two_waiters", [2, 1], steps=(after("OrchestratorCompleted"), event("e", 1), event("e", 2))
    ),
    "sub-orchestrations": Case(
        "sub_orchestrations",
        [
            {"doubled": 6, "has_parent": True},
            {"doubled": 8, "has_parent": True},
            "the second one",
            [{"doubled": 10, "has_parent": True}, {"doubled": 12, "has_parent": True}],
            "Orchestrator function 'fails' failed: it was not to be",
        ],
    ),
    "retried sub-orchestration": Case("retried_sub_orchestration", [3, 6]),
    "retried sub-orchestration with an id": Case("retried_sub_orchestration", [3, 6], True),
    "sub-orchestration that waits": Case(
        "waiting_child",
        [1, 2],
        steps=(
            after("OrchestratorCompleted", of="-child"),
            event("first", 1, to="-child"),
            event("second", 2, to="-child"),
        ),
    ),
    "continue-as-new": Case("generations", 8, {"count": 1}),
    "continue-as-new without a step": Case("two_generations", "the second one"),
    "continue-as-new forgets events": Case(
        "forgets_events", "forgotten", steps=(event("other", 1), after("EventRaised"), event("go", 2))
    ),
    "custom status": Case(
        "custom_status",
        "ended",
        8190,  # with its quotes the most that is allowed: 16 KiB of UTF-16
        steps=(
            shows("customStatus", {"step": 1, "name": "Łódź"}),
            event("go", 1),
            shows("customStatus", "x" * 8190),
            event("go on", 1),
            shows("customStatus", None),
            event("go further", 1),
        ),
    ),
    "custom status over its limit": failed(
        "custom_status",
        "The size of the JSON-serialized payload of the custom status must not exceed 16 KB.",
        input=8191,
        steps=(event("go", 1),),
    ),
    "orchestrator without a yield": Case("plain", {"input": {"a": 1}}, {"a": 1}),
    "no output": Case("silent", None),
    "failing orchestrator": failed("fails", "it was not to be"),
    "failing without a word": failed("fails_without_a_word", "<class 'KeyError'>"),
    "crash of an orchestrator without a yield": failed(
        "crashes", "Result: Failure\nException: KeyError: 'no generator'\nStack: "
    ),
    "failure with open tasks": failed(
        "fails_with_open_tasks",
        "it was not to be",
        steps=(
            after("TaskCompleted"),
            shows("runtimeStatus", "Running"),
            event("first", 1, to="-child"),
            event("second", 2, to="-child"),
        ),
    ),
    "misspelled activity": Case(
        "misspelled_activity", MISSPELLED.format("misspelled_activity", "dubble", "an activity"), status="Failed"
    ),
    "misspelled orchestrator": Case(
        "misspelled_orchestrator",
        MISSPELLED.format("misspelled_orchestrator", "chidl", "an orchestrator"),
        status="Failed",
    ),
    "sub-orchestration of its own id": failed("own_id", "A sub-orchestration cannot have the id of its caller"),
    "non-determinism": failed(
        "not_deterministic",
        "Non-Deterministic workflow detected: step 1 was activity 'double' when it was first run, and is activity "
        "'give_back' now.",
        steps=(after("TaskCompleted"), note("changed"), event("go", 1)),
    ),
    "large payloads": Case(
        "large_payloads", [True, True, LARGE], LARGE, steps=(after("TaskCompleted"), event("large", LARGE))
    ),
    "suspend and resume": Case(
        "held_back",
        ["first", 2, "second", 6],
        steps=(
            after("OrchestratorCompleted"),
            ask("suspend", "a look"),
            shows("runtimeStatus", "Suspended"),
            event("b", "second"),
            event("a", "first"),
            after("EventRaised", 2),
            ask("resume", "looked"),
        ),
        events=("ExecutionSuspended", "EventRaised", "EventRaised", "ExecutionResumed", *CALL, *CALL),
    ),
    "terminate": Case(
        "two_names",
        "no more",
        status="Terminated",
        steps=(after("OrchestratorCompleted"), ask("terminate", "no more")),
        events=("ExecutionTerminated",),
    ),
    "terminate while suspended": Case(
        "two_names",
        "no more",
        status="Terminated",
        steps=(after("OrchestratorCompleted"), ask("suspend", "why"), ask("terminate", "no more")),
        events=("ExecutionSuspended", "ExecutionTerminated"),
    ),
    "terminated parent": Case(
        "waiting_child",
        "alone",
        status="Terminated",
        steps=(
            after("OrchestratorCompleted", of="-child"),
            ask("terminate", "alone"),
            event("first", 1, to="-child"),
            event("second", 2, to="-child"),
        ),
    ),
    "terminated child": Case(
        "caught_child",
        "gone",
        steps=(after("OrchestratorCompleted", of="-child"), ask("terminate", "gone", of="-child")),
        events=("SubOrchestrationInstanceCreated", "SubOrchestrationInstanceFailed"),
    ),
    "call_http": Case(
        "calls_http",
        [200, {"body": {"a": 1}, "type": "application/json"}],
        input=lambda host: f"{host.url}/api/echo",
        events=CALL,
    ),
    "rewind": Case("fragile", [2, 2], steps=(shows("runtimeStatus", "Failed"), ask("rewind", "mended"))),
    "restart": Case(
        "generations",
        8,
        {"count": 1},
        steps=(
            shows("runtimeStatus", "Completed"),
            restart,
        ),
    ),
}


# --- the cases ---


@pytest.fixture(scope="module", params=[(), ("--full-replays",)], ids=["warm", "full replays"])
def serving(
    request: pytest.FixtureRequest, azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Devhost]:
    """A devhost that keeps executions warm, and one that replays them in every turn."""
    folder = tmp_path_factory.mktemp("conformance")
    with judged(Devhost(azurite.connection_string, ports(), folder, app=APP, arguments=request.param)) as host:
        yield host


@pytest.fixture(scope="module")
def hub(serving: Devhost) -> Iterator[Hub]:
    with closing(Hub(serving)) as hub:
        yield hub


def ended(host: Devhost, instance: str, wanted: str) -> Any:
    """The output of an instance that has ended so. Not simply ended: a rewound one has failed before."""
    shows("runtimeStatus", wanted)(host, instance)
    return host.status(instance)["output"]


@pytest.mark.parametrize("name", CASES)
def test_a_feature_comes_to_its_result_and_leaves_what_the_real_host_would_leave(
    serving: Devhost, hub: Hub, name: str
) -> None:
    case = CASES[name]
    instance = name.replace(" ", "-")
    value = case.input(serving) if callable(case.input) else case.input
    serving.begin(case.orchestrator, value, instance)
    for step in case.steps:
        step(serving, instance)
    output = ended(serving, instance, case.status)
    assert output.startswith(case.output) if case.status == "Failed" else output == case.output
    events = [row["EventType"] for row in hub.history(instance) if row.get("EventType") in SIGNIFICANT]
    assert not case.events or tuple(events) == case.events
    assert hub.faults(instance) == []


SIGNIFICANT = {kind for case in CASES.values() for kind in case.events}
