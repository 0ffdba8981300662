"""Every path of the order saga is numbered as the real host numbers it, and yesterday's orders go on under today's
code.
"""

import json
from datetime import datetime, timedelta
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.replay.driver import Broken, Call, Done
from tests.replay.oracle import Event, Kind, request, response, split, walk
from tests.replay.record import FOLDER, digest_of
from tests.replay.scenarios import (
    BROKEN,
    DONE,
    ORDER_SAGA,
    REFUSED,
    SCENARIOS,
    SHORT,
    STEPS,
    UNDO,
    UNKNOWN,
    play_order,
)

HISTORIES = sorted(FOLDER.glob("*.json"))
each_path = pytest.mark.parametrize("name", SCENARIOS)
each_file = pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)


@cache
def played(name: str) -> list[Event]:
    """The scenario's history: playing one is the costly part, and nobody changes it."""
    return SCENARIOS[name].history()


def output_of(history: list[Event]) -> Any:
    """The orchestration's output; None when it failed."""
    end = history[-2]
    assert end["EventType"] == Kind.ExecutionCompleted, "the order hangs"
    return json.loads(end["Result"]) if end["OrchestrationStatus"] == 1 else None


def called(history: list[Event]) -> list[str]:
    return [event["Name"] for event in history if event["EventType"] == Kind.TaskScheduled]


def undone(history: list[Event]) -> tuple[str, ...]:
    """The compensations in the order in which they were first tried."""
    return tuple(dict.fromkeys(name for name in called(history) if name in UNDO.values()))


@each_path
def test_the_real_host_would_number_this_path_the_same_way(name: str) -> None:
    assert walk(played(name), ORDER_SAGA) == []


@each_path
def test_the_path_ends_as_it_should_and_undoes_in_reverse(name: str) -> None:
    scenario, history = SCENARIOS[name], played(name)
    output = output_of(history)
    assert (output and output["status"]) == scenario.status
    assert undone(history) == scenario.undone


@each_path
def test_the_history_uses_nothing_that_the_two_numberings_treat_differently(name: str) -> None:
    others = [action for action in actions_of(played(name)) if action["actionType"] not in (0, 5)]
    assert others == [], "only plain activities and timers, never a retry task or a compound"


def actions_of(history: list[Event]) -> list[dict[str, Any]]:
    answer = response(ORDER_SAGA, request(last_request(history)))
    return [action for group in answer["actions"] for action in group]


def last_request(history: list[Event]) -> list[Event]:
    """What the last execution was given."""
    *before, last = split(history)
    return [event for execution in before for event in execution.events] + last.messages


def test_a_refused_payment_makes_one_request() -> None:
    assert called(played("process_payment refused")).count("process_payment") == 1


def test_an_undo_is_tried_for_a_quarter_of_an_hour_before_an_operator_is_needed() -> None:
    history = played("refund_payment down")
    tries = [event["Timestamp"] for event in history if event.get("Name") == "refund_payment"]
    assert len(tries) > 40
    first, last = (datetime.fromisoformat(tries[place]) for place in (0, -1))
    assert last - first >= timedelta(minutes=15)


@settings(derandomize=True, deadline=None, max_examples=60, database=None)
@given(st.lists(st.sampled_from([DONE, DONE, DONE, REFUSED, UNKNOWN, BROKEN]), min_size=1, max_size=40))
def test_whatever_the_world_answers_the_real_host_agrees_and_the_order_ends(answers: list[Done | Broken]) -> None:
    coming = cycle(answers)

    def world(call: Call) -> Done | Broken:
        return DONE if call.name == "close_order" else next(coming)

    history = play_order(world, SHORT)
    assert walk(history, ORDER_SAGA) == []
    expected = [UNDO[name] for name in reversed(STEPS) if name in UNDO]
    assert list(undone(history)) == [name for name in expected if name in undone(history)]
    assert output_of(history)["status"] in {"completed", "rejected", "compensated", "needs_attention"}


# Yesterday's orders


@each_file
def test_a_stored_history_still_replays_with_the_same_ids(path: Path) -> None:
    assert walk(json.loads(path.read_text(encoding="utf-8")), ORDER_SAGA) == []


@each_file
def test_a_stored_history_still_ends_with_the_same_output(path: Path) -> None:
    history = json.loads(path.read_text(encoding="utf-8"))
    answer = response(ORDER_SAGA, request(last_request(history)))
    assert answer["isDone"]
    assert_keeps(output_of(history), answer["output"])


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
