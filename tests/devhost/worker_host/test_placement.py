"""Which worker takes a call."""

from typing import Any

import pytest

from devhost.worker_host import placement as placement_module
from devhost.worker_host.placement import UNEVEN, Placement
from devhost.worker_host.worker import Worker

HTTP = {"kind": "http"}


def workers(count: int = 3) -> tuple[Placement, list[Worker]]:
    placement, workers = Placement(), [Worker() for _ in range(count)]
    for worker in workers:
        placement.add(worker)
    return placement, workers


def busy(calls: int) -> Any:
    """So many calls that wait for their answers."""
    return dict.fromkeys(range(calls))


def activity(session: str) -> dict[str, Any]:
    return {"kind": "activity", "then": {"session": session, "turn": 2, "task": 0}}


def start(session: str) -> dict[str, Any]:
    return {"kind": "start_session", "session": session}


def resume(session: str) -> dict[str, Any]:
    return {"kind": "resume_session", "session": session}


def test_a_call_goes_to_the_worker_with_the_least_to_do_and_by_turns_among_equals() -> None:
    placement, (one, two, three) = workers()
    assert [placement.choose(HTTP)[0] for _ in range(4)] == [one, two, three, one]
    two.waiting, three.waiting = busy(1), busy(2)
    assert [placement.choose(HTTP)[0] for _ in range(3)] == [one, one, one]
    one.waiting = busy(3)
    assert placement.choose(HTTP)[0] is two


def test_an_execution_stays_where_it_is_warm() -> None:
    placement, (one, two, _) = workers()
    assert placement.choose(start("a")) == (one, start("a"))
    assert placement.choose(start("b"))[0] is two
    for _ in range(3):
        assert placement.choose(activity("a")) == (one, activity("a"))
        assert placement.choose(resume("b"))[0] is two
    one.waiting = busy(9)
    assert placement.choose(resume("a"))[0] is one, "a turn is dearer elsewhere"


def test_an_activity_goes_elsewhere_when_its_worker_has_much_more_to_do_and_no_turn_follows_it_there() -> None:
    placement, (one, two, three) = workers()
    placement.choose(start("a"))
    two.waiting, three.waiting = busy(1), busy(1)
    one.waiting = busy(2 + UNEVEN)
    assert placement.choose(activity("a"))[0] is one
    one.waiting = busy(3 + UNEVEN)
    assert placement.choose(activity("a")) == (two, {"kind": "activity"})


def test_a_turn_of_an_execution_that_is_warm_nowhere_has_no_worker() -> None:
    placement, (one, _, _) = workers()
    assert placement.choose(resume("a"))[0] is None
    placement.choose(start("a"))
    placement.remove(one)
    assert placement.choose(resume("a"))[0] is None
    assert placement.choose(activity("a"))[1] == {"kind": "activity"}


def test_a_worker_that_is_stuck_or_apart_gets_calls_only_if_there_is_no_other() -> None:
    placement, (one, two, three) = workers()
    one.outlived, placement.apart = True, two
    assert [placement.choose(HTTP)[0] for _ in range(3)] == [three] * 3
    placement.remove(three)
    assert {id(placement.choose(HTTP)[0]) for _ in range(2)} == {id(one), id(two)}


def test_executions_that_no_worker_can_keep_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement_module, "MAX_SESSIONS", 1)
    placement, _ = workers(count=2)
    for session in "ab":
        placement.choose(start(session))
    placement.choose(resume("a"))
    placement.choose(start("c"))
    assert [placement.choose(resume(session))[0] is not None for session in "abc"] == [True, False, True]
