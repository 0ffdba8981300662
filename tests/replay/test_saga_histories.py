"""Every path of the order saga is numbered as the real host numbers it, and yesterday's orders go on under today's
code.
"""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.messages import SAGA_VERSION
from tests.replay.driver import Broken, Call, Done, Raised, World, go_on
from tests.replay.oracle.history import Event, Kind, request, response, split
from tests.replay.oracle.walk import walk
from tests.replay.record import FOLDER, digest_of
from tests.replay.scenarios import (
    BROKEN,
    CANCELLED,
    DONE,
    LATE,
    ORDER_SAGA,
    REFUSED,
    RESOLVED,
    SCENARIOS,
    SHORT,
    UNKNOWN,
    VALID,
    VERSIONS,
    SagaPath,
    names_of,
    play_order,
    undo_of,
)
from tests.support.steps import UNDO

ANSWERS = [DONE, DONE, DONE, DONE, REFUSED, UNKNOWN, BROKEN, LATE, CANCELLED, RESOLVED]
HISTORIES = sorted(FOLDER.glob("*.json"))
PATHS = {f"{version}: {name}": path for version, paths in VERSIONS.items() for name, path in paths.items()}
TODAY = [path for path in PATHS if path.startswith(f"{SAGA_VERSION}: ")]
NEW_VERSION = pytest.mark.remedy(
    "A stored history is an order in flight. A step or a `yield` that was added, removed or moved needs a new "
    'SAGA_VERSION in models/messages.py: see "Add a step" in CONTRIBUTING.md and docs/decisions/0014-saga-versions.md.'
)
each_path = pytest.mark.parametrize("path", PATHS)
each_file = pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)


@cache
def played(path: str) -> list[Event]:
    """The scenario's history: playing one is the costly part, and nobody changes it."""
    return PATHS[path].history()


@cache
def stored(path: Path) -> list[Event]:
    history: list[Event] = json.loads(path.read_text(encoding="utf-8"))
    return history


def has_ended(history: list[Event]) -> bool:
    return bool(history[-2]["EventType"] == Kind.ExecutionCompleted)


def ending_of(history: list[Event]) -> Any:
    """The orchestration's output; None when it failed; the customer's view of an instance that is alive."""
    if not has_ended(history):
        return response(ORDER_SAGA, request(last_request(history)))["customStatus"]
    end = history[-2]
    return json.loads(end["Result"]) if end["OrchestrationStatus"] == 1 else None


def status_of(history: list[Event]) -> str | None:
    ending = ending_of(history)
    return ending and str(ending["status"])


def called(history: list[Event]) -> list[str]:
    return [event["Name"] for event in history if event["EventType"] == Kind.TaskScheduled]


def undone(history: list[Event]) -> tuple[str, ...]:
    """The compensations in the order in which they were first tried."""
    return tuple(dict.fromkeys(name for name in called(history) if name in UNDO.values()))


@pytest.mark.slow
@each_path
def test_the_real_host_would_number_this_path_the_same_way(path: str) -> None:
    assert walk(played(path), ORDER_SAGA) == []


@pytest.mark.slow
@each_path
def test_the_path_ends_as_it_should_and_undoes_in_reverse(path: str) -> None:
    history = played(path)
    assert status_of(history) == PATHS[path].status
    assert undone(history) == PATHS[path].undone
    assert has_ended(history) == (PATHS[path].status != "needs_attention" or PATHS[path].version == 1)


@pytest.mark.slow
@each_path
def test_the_history_uses_nothing_that_the_two_numberings_treat_differently(path: str) -> None:
    """Plain activities and timers, alone or one raced against the other: no retry tasks, no children, no WhenAll."""
    for action in actions_of(played(path)):
        assert raced(action) in SAME_IN_BOTH, action


ACTIVITY, TIMER, WAIT, WHEN_ANY = 0, 5, 6, 11
SAME_IN_BOTH = {(ACTIVITY,), (TIMER,), (WAIT,), (ACTIVITY, TIMER), (WAIT, TIMER)}


def raced(action: dict[str, Any]) -> tuple[int, ...]:
    parts = action["compoundActions"] if action["actionType"] == WHEN_ANY else [action]
    return tuple(part["actionType"] for part in parts)


def actions_of(history: list[Event]) -> list[dict[str, Any]]:
    answer = response(ORDER_SAGA, request(last_request(history)))
    return [action for group in answer["actions"] for action in group]


def last_request(history: list[Event]) -> list[Event]:
    """What the last execution was given."""
    *before, last = split(history)
    return [event for execution in before for event in execution.events] + last.messages


@pytest.mark.slow
@pytest.mark.parametrize("slow", [0.05, 25])
@pytest.mark.parametrize("path", TODAY)
def test_whatever_comes_together_is_numbered_as_the_real_host_numbers_it(path: str, slow: float) -> None:
    """An answer and its deadline, an event and its timer, a late answer and a new one in the same execution."""
    history = PATHS[path].history(slow)
    assert walk(history, ORDER_SAGA) == []
    assert has_ended(history) or status_of(history) in {"needs_attention", "awaiting_approval"}


def test_a_refused_payment_makes_one_request() -> None:
    assert called(SCENARIOS["process_payment refused"].history()).count("process_payment") == 1


@pytest.mark.slow
def test_an_undo_is_tried_for_a_quarter_of_an_hour_before_an_operator_is_needed() -> None:
    down = SagaPath({"send_confirmation": [REFUSED], "refund_payment": [BROKEN]})
    tries = [event["Timestamp"] for event in down.history() if event.get("Name") == "refund_payment"]
    assert len(tries) > 40
    first, last = (datetime.fromisoformat(tries[place]) for place in (0, -1))
    assert last - first >= timedelta(minutes=15)


@pytest.mark.slow
def test_no_two_waits_of_an_order_share_an_event() -> None:
    for path in TODAY:
        waits = [
            part["externalEventName"]
            for action in actions_of(played(path))
            for part in action.get("compoundActions", [action])
            if part["actionType"] == WAIT
        ]
        assert len(waits) == len(set(waits)), path


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=60, database=None)
@given(
    st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=40),
    st.sampled_from([0, 0.05, 30]),
    st.sampled_from(list(VERSIONS)),
)
def test_whatever_the_world_answers_the_real_host_agrees_and_the_order_ends(
    answers: list[Done | Broken], slow: float, version: int
) -> None:
    coming = cycle(answers)

    def world(call: Call) -> Done | Broken:
        return DONE if call.name == "close_order" else next(coming)

    history = play_order(world, SHORT, version=version, slow=slow)
    assert walk(history, ORDER_SAGA) == []
    expected = undo_of(names_of(version))
    assert undone(history) == tuple(name for name in expected if name in undone(history))
    assert status_of(history) in {"completed", "rejected", "compensated", "needs_attention"}


# Yesterday's orders


@NEW_VERSION
@each_file
def test_a_stored_history_still_replays_with_the_same_ids(path: Path) -> None:
    assert walk(stored(path), ORDER_SAGA) == []


@NEW_VERSION
@each_file
def test_a_stored_history_still_ends_with_the_same_output(path: Path) -> None:
    history = stored(path)
    answer = response(ORDER_SAGA, request(last_request(history)))
    assert answer["isDone"] == has_ended(history)
    assert_keeps(ending_of(history), answer["output"] if answer["isDone"] else answer["customStatus"])


@pytest.mark.slow
@NEW_VERSION
@each_file
def test_an_order_cut_off_at_any_turn_goes_on_to_the_same_end(path: Path) -> None:
    """The old code wrote the beginning; today's writes the rest."""
    history = stored(path)
    world, events = recorded(history)
    for cut in turns_of(history):
        rest = go_on(ORDER_SAGA, world, cut, events)
        assert called(rest) == called(history), f"cut after {len(cut)} rows"
        assert_keeps(ending_of(history), ending_of(rest))


def version_of(path: Path) -> int:
    """The histories of version 1 have no number in their names."""
    first = path.stem.partition("-")[0]
    return int(first) if first.isdigit() else 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in HISTORIES if version_of(path) < SAGA_VERSION], ids=lambda path: path.stem
)
def test_an_order_of_an_older_version_goes_on_also_where_the_rest_goes_otherwise(path: Path) -> None:
    """The rest has ids as the real host would give them, and an end, if no operator is needed for it."""
    for cut in turns_of(stored(path)):
        rest = go_on(ORDER_SAGA, lambda call: VALID if call.name == "validate_order" else DONE, cut)
        assert walk(rest, ORDER_SAGA) == []
        assert has_ended(rest) or status_of(rest) == "needs_attention"


def turns_of(history: list[Event]) -> list[list[Event]]:
    """Beginnings of an instance, each up to the end of an execution that left it alive: of many, some late ones."""
    ends = [place for place, event in enumerate(history) if event["EventType"] == Kind.OrchestratorCompleted]
    alive = (ends[:-1] if has_ended(history) else ends)[-30:]
    return [history[: end + 1] for end in alive[:: len(alive) ** 2 // 300 + 1]]


def recorded(history: list[Event]) -> tuple[World, list[Raised]]:
    """The world as it was when this history was recorded: what each call got and when, and what was raised when."""
    answers: dict[tuple[str, str], list[Done | Broken]] = defaultdict(list)
    ended = {event["TaskScheduledId"]: event for event in history if "TaskScheduledId" in event}
    for event in history:
        if event["EventType"] == Kind.TaskScheduled and event["EventId"] in ended:
            answer, seconds = ended[event["EventId"]], lasted(event, ended[event["EventId"]])
            done = answer["EventType"] == Kind.TaskCompleted
            outcome = Done(json.loads(answer["Result"]), seconds) if done else Broken("Broken: it was", seconds)
            answers[event["Name"], input_of(json.loads(event["Input"]))].append(outcome)

    def world(call: Call) -> Done | Broken:
        return answers[call.name, input_of(call.input)][call.attempt - 1]

    events = [event for event in history if event["EventType"] == Kind.EventRaised]
    return world, [Raised(event["Name"], event["Input"], lasted(history[0], event)) for event in events]


def input_of(task: dict[str, Any]) -> str:
    """What distinguishes a call: its input, without the fields that version 2 added where they are empty."""
    return json.dumps({name: value for name, value in task.items() if name != "attention" or value})


def lasted(one: Event, other: Event) -> float:
    begin, end = (datetime.fromisoformat(event["Timestamp"]) for event in (one, other))
    return (end - begin).total_seconds()


def assert_keeps(recorded: Any, today: Any) -> None:
    """Today's output may say more than the recorded one, and nothing else."""
    if isinstance(recorded, dict):
        assert recorded.keys() <= today.keys()
        for key, value in recorded.items():
            assert_keeps(value, today[key])
    elif isinstance(recorded, list):
        assert len(recorded) == len(today)
        for one, other in zip(recorded, today, strict=True):
            assert_keeps(one, other)
    else:
        assert recorded == today


@each_file
def test_a_stored_history_was_never_edited(path: Path) -> None:
    digest = digest_of(path.read_text(encoding="utf-8"))
    assert path.stem.endswith(digest), f"{path.name} is kept as it was recorded; add another file instead"


def test_there_are_stored_histories() -> None:
    assert len(HISTORIES) >= 8
