"""The pure rules of entities: what is taken, in which order, what a batch leaves, and how the SDK runs it."""

import json
from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.entities.scheduler import EntityId, Outcome, Request, Scheduler, Sender, all_failed, context_of, request_of
from devhost.execution.actions import ACTIVITY, CALL, SIGNAL, OrchestrationFault
from devhost.execution.task_table import TaskTable, rebuild
from devhost.history.events import Event
from devhost.worker.entity_batch import run_batch

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def sent(execution: str, number: int, is_signal: bool = True) -> Request:
    return request_of(Sender(f"instance of {execution}", execution, number), "add", str(number), is_signal)


def done(count: int, state: str = "1") -> Outcome:
    return Outcome(True, state, [{"isError": False, "result": f'"{number}"'} for number in range(count)])


def stored(scheduler: Scheduler) -> Scheduler:
    """The state as it is after a crash."""
    return Scheduler.from_text(scheduler.text)


# --- the scheduler ---


def test_a_request_that_comes_again_is_not_taken_again() -> None:
    scheduler = Scheduler().taking([sent("a", 1), sent("a", 1), sent("a", 4)])
    again = stored(scheduler).taking([sent("a", 1), sent("a", 4), sent("b", 1)])
    assert [request.sender for request in again.queue] == [
        Sender("instance of a", "a", 1),
        Sender("instance of a", "a", 4),
        Sender("instance of b", "b", 1),
    ]


def test_signals_of_clients_are_all_taken() -> None:
    scheduler = Scheduler().taking([Request(str(number), "add", None, True) for number in range(3)])
    assert [request.id for request in stored(scheduler).queue] == ["0", "1", "2"]


def test_a_batch_leaves_the_rest_of_the_queue_and_the_answers_to_calls() -> None:
    scheduler = Scheduler().taking([sent("a", 0), sent("a", 1, is_signal=False), sent("a", 2)]).after(done(2))
    left = stored(scheduler)
    assert left == scheduler
    assert [request.sender.number for request in left.queue if request.sender] == [2]
    (answer,) = left.answers.values()
    assert (answer.sender.number, answer.response) == (1, {"result": '"1"'})
    assert left.without_answer(answer.request_id).answers == {}


def test_a_failure_is_answered_as_one_and_changes_nothing() -> None:
    before = Scheduler().taking([sent("a", 0)]).after(done(1, "7")).taking([sent("a", 1, is_signal=False)])
    after = before.after(all_failed(before, before.queue, "why"))
    assert (after.exists, after.state) == (True, "7")
    assert [answer.response for answer in after.answers.values()] == [{"result": '"why"', "exceptionType": "Error"}]


def test_of_a_sender_that_has_ended_only_the_work_is_left() -> None:
    scheduler = Scheduler().taking([sent("a", 0, is_signal=False), sent("b", 0), sent("a", 1, is_signal=False)])
    ended = scheduler.after(done(1)).without_sender("a")
    assert {sender.execution_id for sender in ended.senders} == {"b"}
    assert [request.input for request in ended.queue] == ['"0"', '"1"']
    assert ended.after(done(2)).answers == {}


def test_the_state_of_an_entity_is_written_as_the_extension_writes_it() -> None:
    signal = Request("id", "add", '"1"', is_signal=True)
    scheduler = Scheduler().after(done(0, '{"n":1}')).taking([signal])
    assert json.loads(scheduler.text) == {
        "exists": True,
        "state": '{"n":1}',
        "queue": [{"op": "add", "id": "id", "signal": True, "input": '"1"'}],
        "sorter": {},
    }
    assert scheduler.status == '{"entityExists":true,"queueSize":1}'
    assert Scheduler().status == "{}"
    assert Scheduler.from_text(None) == Scheduler()


def test_a_request_has_the_same_id_whenever_it_is_made() -> None:
    assert sent("a", 1) == sent("a", 1) == Request.from_json(sent("a", 1).to_json())
    assert len({sent("a", 1).id, sent("a", 2).id, sent("b", 1).id}) == 3


@given(st.data())
def test_each_request_is_done_once_and_in_its_senders_order_whatever_is_sent_again(data: st.DataObject) -> None:
    """Senders send in order, and from any earlier point again; the entity forgets all but its text at any moment."""
    scheduler, applied = Scheduler(), []
    reached = {"a": 0, "b": 0}
    for _ in range(data.draw(st.integers(1, 12))):
        execution = data.draw(st.sampled_from(["a", "b"]))
        first, fresh = data.draw(st.integers(0, reached[execution])), data.draw(st.integers(0, 3))
        reached[execution] += fresh
        scheduler = scheduler.taking(sent(execution, number) for number in range(first, reached[execution]))
        if data.draw(st.booleans()):
            scheduler = stored(scheduler)
        count = data.draw(st.integers(0, len(scheduler.queue)))
        applied += [request.sender for request in scheduler.queue[:count] if request.sender]
        scheduler = scheduler.after(done(count))
    applied += [request.sender for request in scheduler.queue if request.sender]
    for execution, count in reached.items():
        assert [each.number for each in applied if each.execution_id == execution] == list(range(count))


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_an_entity_id_gives_its_parts_back(key: str) -> None:
    assert EntityId.parse(str(EntityId("Counter", key))) == EntityId("counter", key)


# --- the task table of an orchestration ---


def action(kind: int, operation: str = "add", entity: str = "@counter@a") -> dict[str, Any]:
    return {"actionType": kind, "instanceId": entity, "operation": operation, "input": "1"}


def event_sent(number: int, is_signal: bool, operation: str = "add") -> Event:
    text = json.dumps({"op": operation, "id": f"guid-{number}", **({"signal": True} if is_signal else {})})
    return Event("EventSent", NOON, number, fields={"InstanceId": "@counter@a", "Name": "op", "Input": text})


ACTIONS = [action(9), {"actionType": 12, "compoundActions": [action(7), action(7, "get")]}]


def test_calls_and_signals_take_numbers_and_only_calls_are_waited_for() -> None:
    table = TaskTable()
    assert [(task.id, task.kind) for task in table.accept(ACTIONS)] == [(0, SIGNAL), (1, CALL), (2, CALL)]
    assert sorted(table.open) == [1, 2]
    for number, is_signal in ((0, True), (1, False), (2, False)):
        table.sent(event_sent(number, is_signal))
    table.observe(Event("EventRaised", NOON, fields={"Name": "guid-2", "Input": "{}"}), NOON)
    table.observe(Event("EventRaised", NOON, fields={"Name": "something else", "Input": "{}"}), NOON)
    assert sorted(table.open) == [1]
    assert not table.blocking, "an instance may end without an answer"


def test_a_task_table_with_requests_is_rebuilt_from_its_history() -> None:
    history = [event_sent(0, True), event_sent(1, False), event_sent(2, False, "get")]
    history.append(Event("EventRaised", NOON, fields={"Name": "guid-1", "Input": "{}"}))
    table = rebuild(history, [*ACTIONS, {"actionType": 0, "functionName": "a", "input": "1"}])
    assert sorted(table.open) == [2]
    assert table.undecided([*ACTIONS, {"actionType": 0, "functionName": "a", "input": "1"}])
    assert [task.kind for task in table.accept([*ACTIONS, {"actionType": 0, "functionName": "a"}])] == [ACTIVITY]


@pytest.mark.parametrize("now", [action(7), action(9, "reset"), action(9, entity="@counter@b")])
def test_another_request_than_the_stored_one_is_not_deterministic(now: dict[str, Any]) -> None:
    with pytest.raises(OrchestrationFault, match="step 1 was entity signal 'add of @counter@a' when it was first run"):
        rebuild([event_sent(0, True)], [now])


# --- batches ---


def counter(context: Any) -> None:
    """Sets its state, then does what the operation's name says."""
    value = context.get_state(lambda: 0) + 1
    context.set_state(value)
    if context.operation_name == "fail":
        raise ValueError(f"at {value}")
    if context.operation_name == "vanish":
        context.destruct_on_exit()
    if context.operation_name == "count":
        context.set_result(value)


def run(operations: list[str], rollback: bool, function: Any = counter, state: str | None = None) -> dict[str, Any]:
    batch = tuple(Request(name, name, None, is_signal=False) for name in operations)
    scheduler = Scheduler(state is not None, state)
    body = context_of(EntityId("counter", "a"), scheduler, batch, rollback)
    answer: dict[str, Any] = json.loads(run_batch(df.Entity.create(function), body))
    return {**answer, "results": [(each["isError"], each["result"]) for each in answer["results"]]}


def test_with_rollback_a_failed_operation_changes_nothing_and_the_rest_goes_on() -> None:
    outcome = run(["count", "fail", "plain", "count"], rollback=True, state="4")
    assert outcome["results"] == [(False, "5"), (True, '"at 6"'), (False, "null"), (False, "7")]
    assert (outcome["entityExists"], outcome["entityState"]) == (True, "7")


def test_without_rollback_a_batch_is_one_call_of_the_sdk() -> None:
    outcome = run(["count", "fail", "count"], rollback=False)
    assert outcome["results"] == [(False, "1"), (True, '"at 2"'), (False, "3")]
    assert outcome["entityState"] == "3"


def test_an_entity_may_vanish_and_come_back_in_a_batch() -> None:
    assert run(["count", "vanish"], rollback=True)["entityExists"] is False
    outcome = run(["count", "vanish", "count"], rollback=True)
    assert (outcome["results"][-1], outcome["entityState"]) == ((False, "1"), "1")


def test_a_state_that_was_not_touched_is_given_back_as_it_was() -> None:
    outcome = run(["look"], rollback=True, function=lambda context: None, state='{"a": [1]}')
    assert (outcome["entityExists"], outcome["entityState"]) == (True, '{"a": [1]}')
