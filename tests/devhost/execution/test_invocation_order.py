"""The warning about another order in Azure comes where the oracle of the real host's walk sees one, and only there."""

import random
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.execution.azure_compatibility import AzureCompatibility
from devhost.execution.task_table import TaskTable, rebuild
from devhost.history.events import Event
from devhost.worker.extended_sessions import ExtendedSession
from orchestrators.order_saga import order_saga
from tests.replay.driver import Broken, Call, Done, Raised, World, play
from tests.replay.oracle.history import Event as Stored
from tests.replay.oracle.history import Kind, Orchestrator, request, response, split
from tests.replay.oracle.small_programs import (
    AGREED,
    a_is_exhausted_while_b_fails,
    a_retry_against_a_deadline,
    a_retry_caught_beside_a_retry,
    a_winner_that_was_scheduled_before,
    after,
    pay_fails_once,
    slow_is_slow,
)
from tests.replay.oracle.walk import walk
from tests.replay.scenarios import SCENARIOS

Program = Callable[[Any], Generator[Any, Any, Any]]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RETRY = df.RetryOptions(1000, 3)


def handle(program: Program) -> Orchestrator:
    orchestrator: Orchestrator = df.Orchestrator.create(program)
    return orchestrator


def as_event(stored: Stored) -> Event:
    head = ("EventType", "EventId", "IsPlayed", "Timestamp")
    fields = {name: value for name, value in stored.items() if name not in head}
    return Event(Kind(stored["EventType"]).name, NOON, stored["EventId"], fields=fields)


def actions_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [action for group in answer["actions"] for action in group]


def warned(history: list[Stored], program: Program) -> tuple[int, str] | None:
    """The execution in which a task table sees a difference, and what it says."""
    table, azure, session = TaskTable(), AzureCompatibility(), None
    for number, execution in enumerate(split(history)):
        for message in execution.messages:
            table.observe(as_event(message), NOON)
        if session is None:
            session = ExtendedSession(SimpleNamespace(orchestrator_function=program), request(execution.messages), 1)
            header, state = session.start()
        else:
            header, state = session.resume(execution.messages)
        answer = response(lambda _, state=state: state(), "")  # type: ignore[misc]
        table.extend(actions_of(answer), header["cancelled"])
        has_ended = bool(answer["isDone"] or answer.get("error"))
        azure.hear(table.take_facts(), has_ended=has_ended and not table.blocking)
        if azure.difference:
            return number, azure.difference
    return None


def judged(history: list[Stored], orchestrator: Orchestrator) -> int | None:
    """The execution that the oracle finds other than the real host's."""
    differences = walk(history, orchestrator)
    return differences[0].execution if differences else None


# Programs that are drawn: a few yields of any kind, some caught, whose tasks last and fail as they like.


def leaf(rng: random.Random, context: Any) -> Any:
    name = rng.choice("ABCD")
    makers: list[Callable[[], Any]] = [
        lambda: context.call_activity(name),
        lambda: context.call_activity_with_retry(name, RETRY),
        lambda: context.call_activity_with_retry(name, RETRY),
        lambda: context.call_sub_orchestrator(name),
        lambda: context.call_sub_orchestrator_with_retry(name, RETRY),
        lambda: context.create_timer(context.current_utc_datetime + timedelta(seconds=rng.randint(1, 6))),
        lambda: context.wait_for_external_event(name.lower()),
    ]
    return rng.choice(makers)()


def one_yield(rng: random.Random, context: Any, before: list[Any]) -> Generator[Any, Any, Any]:
    shape = rng.choice(["one", "all", "any", "nested"])
    members = [leaf(rng, context) for _ in range(1 if shape == "one" else rng.randint(1, 3))]
    before += members
    if rng.random() < 0.2:
        members.append(rng.choice(before))
    if shape == "one":
        yield members[0]
    elif shape == "nested":
        yield context.task_any([context.task_all(members), leaf(rng, context)])
    else:
        yield (context.task_all if shape == "all" else context.task_any)(members)
    if rng.random() < 0.6:
        for timer in members:
            if hasattr(timer, "cancel") and not timer.is_completed and not timer.is_cancelled:
                timer.cancel()


def drawn(seed: int) -> Program:
    def program(context: Any) -> Generator[Any, Any, Any]:
        rng, of_signals = random.Random(seed), random.Random(-seed)
        before: list[Any] = []
        for _ in range(4):
            if of_signals.random() < 0.3:
                context.signal_entity(df.EntityId("tally", "x"), "add", 1)
            try:
                yield from one_yield(rng, context, before)
            except Exception:
                yield context.call_activity("Undo")

    return program


def world_of(seed: int) -> World:
    def world(call: Call) -> Done | Broken:
        rng = random.Random(f"{seed} {call.name} {call.attempt}")
        seconds = rng.choice((0.3, 1.3, 2.3, 4.3))
        return Broken(seconds=seconds) if rng.random() < 0.4 else Done(seconds=seconds)

    return world


def history_of(seed: int) -> list[Stored] | None:
    """None where the SDK's own replay breaks, which it does when a task is in two compounds."""
    rng = random.Random(seed)
    events = [Raised(name, seconds=rng.uniform(0, 6)) for name in "abcda"]
    try:
        return play(handle(drawn(seed)), world_of(seed), events=events)
    except ValueError:
        return None


@pytest.mark.parametrize("block", range(2))
def test_a_difference_is_seen_in_the_execution_in_which_the_real_host_would_differ(block: int) -> None:
    counts = [0, 0]
    for seed in range(block * 20, block * 20 + 20):
        history = history_of(seed)
        if history is None:
            continue
        expected, seen = judged(history, handle(drawn(seed))), warned(history, drawn(seed))
        assert (seen and seen[0]) == expected, f"seed {seed}: {seen}"
        counts[expected is not None] += 1
    assert min(counts) > 2, "both kinds are among those that were drawn"


@pytest.mark.parametrize(("program", "world", "events"), AGREED)
def test_programs_that_azure_numbers_alike_raise_no_alarm(program: Program, world: World, events: list[Raised]) -> None:
    assert warned(play(handle(program), world, events=events), program) is None


@pytest.mark.parametrize("path", sorted(SCENARIOS)[::4])
def test_no_path_of_the_order_saga_raises_an_alarm(path: str) -> None:
    assert warned(SCENARIOS[path].history(), order_saga) is None


def a_child_with_retry_against_a_deadline(context: Any) -> Generator[Any, Any, Any]:
    deadline = after(context, 60)
    yield context.task_any([context.call_sub_orchestrator_with_retry("Pay", RETRY), deadline])
    deadline.cancel()
    yield context.call_activity("Ship")


def a_plain_failure_caught_beside_a_slow_one(context: Any) -> Generator[Any, Any, Any]:
    try:
        yield context.task_all([context.call_activity(name) for name in ("A", "Slow")])
    except Exception:
        yield context.call_activity("Undo")


def ends_with_a_winner_from_before(context: Any) -> Generator[Any, Any, Any]:
    slow = context.call_activity("Slow")
    yield context.task_any([slow, context.call_activity("Quick")])
    yield context.task_any([slow, context.wait_for_external_event("never")])


def a_fails_and_slow_is_slow(call: Call) -> Done | Broken:
    return Broken() if call.name == "A" else slow_is_slow(call)


@pytest.mark.parametrize(
    ("program", "world", "words"),
    [
        (
            a_retry_caught_beside_a_retry,
            a_is_exhausted_while_b_fails,
            "activity 'Undo' began after a failure in a task_all and before the end of activity 'B'. There activity "
            "'Undo' waits for that end, and if a retry takes a number until then, the instance hangs or fails",
        ),
        (
            a_plain_failure_caught_beside_a_slow_one,
            a_fails_and_slow_is_slow,
            "activity 'Undo' began after a failure in a task_all and before the end of activity 'Slow'",
        ),
        (
            a_winner_that_was_scheduled_before,
            slow_is_slow,
            "activity 'Next' began although what was yielded last, event wait 'never', has not ended",
        ),
        (ends_with_a_winner_from_before, slow_is_slow, "There the instance waits for event wait 'never', for ever"),
        (
            a_retry_against_a_deadline,
            pay_fails_once,
            "activity 'Ship' took number 4, after a retry beside a timer that was cancelled. There the cancelled timer "
            "ends the wait for both at once, activity 'Ship' takes the retry's number, and the instance fails",
        ),
        (a_child_with_retry_against_a_deadline, pay_fails_once, "activity 'Ship' took number 4, after a retry beside"),
    ],
)
def test_the_warning_says_what_happened_and_what_would_happen_there(program: Program, world: World, words: str) -> None:
    seen = warned(play(handle(program), world), program)
    assert seen is not None
    assert words in seen[1]


def test_a_task_table_that_is_read_from_a_history_keeps_quiet() -> None:
    orchestrator = handle(a_retry_against_a_deadline)
    history = play(orchestrator, pay_fails_once)
    table = rebuild([as_event(each) for each in history], actions_of(response(orchestrator, request(history))))
    assert table.take_facts() == []
