"""Cases of tasks: activities, retries, task_all and task_any, timers, external events, sub-orchestrations."""
# mypy: ignore-errors
# Written as users write such apps: without types.

from datetime import timedelta

import azure.durable_functions as df
from case_activities import THREE_TIMES, failing

tasks = df.Blueprint()


@tasks.orchestration_trigger(context_name="context")
def activities(context):
    first = yield context.call_activity("double", 4)
    second = yield context.call_activity("give_back", {"deep": [first, "Łódź", None, 1.5, True]})
    third = yield context.call_activity("give_back", [1, 2])
    fourth = yield context.call_activity("give_back", None)
    return [second, third, fourth]


@tasks.orchestration_trigger(context_name="context")
def failed_activity(context):
    try:
        yield context.call_activity("fail_times", failing(context, 9))
    except Exception as fault:
        message = str(fault)
    after = yield context.call_activity("double", 1)
    return [message.split(" \n ", maxsplit=1)[0], after]


@tasks.orchestration_trigger(context_name="context")
def retry(context):
    calls = yield context.call_activity_with_retry("fail_times", THREE_TIMES, failing(context, 2))
    after = yield context.call_activity("double", calls)
    return [calls, after]


@tasks.orchestration_trigger(context_name="context")
def exhausted_retry(context):
    try:
        yield context.call_activity_with_retry("fail_times", THREE_TIMES, failing(context, 9))
    except Exception as fault:
        message = str(fault)
    after = yield context.call_activity("double", 1)
    return [message.split(" \n ", maxsplit=1)[0], after]


@tasks.orchestration_trigger(context_name="context")
def retries_side_by_side(context):
    tasks = [
        context.call_activity_with_retry("fail_times", THREE_TIMES, failing(context, times, f" {times}"))
        for times in (0, 1, 2)
    ]
    results = yield context.task_all(tasks)
    return results


@tasks.orchestration_trigger(context_name="context")
def fan_out(context):
    results = yield context.task_all([context.call_activity("double", number) for number in range(10)])
    return sum(results)


@tasks.orchestration_trigger(context_name="context")
def nested(context):
    """A task_any of two task_alls, and then a task_all with a task_any in it."""
    never = context.wait_for_external_event("never")
    both = context.task_all([context.call_activity("double", 1), context.call_activity("double", 2)])
    neither = context.task_all([context.call_activity("double", 3), never])
    winner = yield context.task_any([neither, both])
    either = context.task_any([context.call_activity("double", 5), context.wait_for_external_event("never too")])
    last = yield context.task_all([either, context.call_activity("double", 6)])
    return [winner == both, winner.result, last[0].result, last[1]]


@tasks.orchestration_trigger(context_name="context")
def first_failure(context):
    """What the SDK does at the first failure inside task_all: it goes on, and does not wait for the others."""
    try:
        yield context.task_all(
            [context.call_activity("fail_times", failing(context, 9)), context.wait_for_external_event("slow")]
        )
    except Exception:
        undone = yield context.call_activity("double", 21)
    return undone


@tasks.orchestration_trigger(context_name="context")
def deterministic_helpers(context):
    """The clock and the ids of the context are the same in every replay, or the activity would get others."""
    values = [context.new_guid(), context.new_guid(), context.current_utc_datetime.isoformat(), context.instance_id]
    values = [str(each) for each in values]
    back = yield context.call_activity("give_back", values)
    yield context.call_activity("double", 1)
    return back == values and back[0] != back[1]


@tasks.orchestration_trigger(context_name="context")
def short_timer(context):
    due = context.current_utc_datetime + timedelta(milliseconds=100)
    yield context.create_timer(due)
    return context.current_utc_datetime >= due


@tasks.orchestration_trigger(context_name="context")
def past_timer(context):
    yield context.create_timer(context.current_utc_datetime - timedelta(hours=1))
    return "fired"


@tasks.orchestration_trigger(context_name="context")
def cancelled_timer(context):
    """Waits for `go`, at most for as many seconds as its input says."""
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input()))
    go = context.wait_for_external_event("go")
    winner = yield context.task_any([go, timer])
    if winner != go:
        return "timed out"
    timer.cancel()
    after = yield context.call_activity("double", go.result)
    return after


@tasks.orchestration_trigger(context_name="context")
def timer_left_open(context):
    """Nobody cancels the timer, so the instance runs until it has fired."""
    timer = context.create_timer(context.current_utc_datetime + timedelta(milliseconds=300))
    yield context.task_any([context.call_activity("double", 1), timer])
    return "done long ago"


@tasks.orchestration_trigger(context_name="context")
def long_timer(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(days=10))
    after = yield context.call_activity("double", 7)
    return after


@tasks.orchestration_trigger(context_name="context")
def two_names(context):
    first = yield context.wait_for_external_event("first")
    second = yield context.wait_for_external_event("second")
    return [first, second]


@tasks.orchestration_trigger(context_name="context")
def one_name(context):
    """Waits for `e` twice, one after the other; before it, if its input says so, for `begin`."""
    if context.get_input():
        yield context.wait_for_external_event("begin")
    first = yield context.wait_for_external_event("e")
    second = yield context.wait_for_external_event("e")
    return [first, second]


@tasks.orchestration_trigger(context_name="context")
def two_waiters(context):
    heard = yield context.task_all([context.wait_for_external_event("e"), context.wait_for_external_event("e")])
    return heard


@tasks.orchestration_trigger(context_name="context")
def sub_orchestrations(context):
    plain = yield context.call_sub_orchestrator("child", {"n": 3})
    named = yield context.call_sub_orchestrator("child", {"n": 4}, f"{context.instance_id}-named")
    nothing = yield context.call_sub_orchestrator("two_generations", None)
    together = yield context.task_all([context.call_sub_orchestrator("child", {"n": n}) for n in (5, 6)])
    try:
        yield context.call_sub_orchestrator("fails", None)
    except Exception as fault:
        return [plain, named, nothing, together, str(fault).split(" \n ")[0]]


@tasks.orchestration_trigger(context_name="context")
def child(context):
    doubled = yield context.call_activity("double", context.get_input()["n"])
    return {"doubled": doubled, "has_parent": context.parent_instance_id is not None}


@tasks.orchestration_trigger(context_name="context")
def retried_sub_orchestration(context):
    """Its input says whether each attempt has the same id."""
    own = f"{context.instance_id}-same" if context.get_input() else None
    result = yield context.call_sub_orchestrator_with_retry("fails_at_first", THREE_TIMES, failing(context, 2), own)
    after = yield context.call_activity("double", result)
    return [result, after]


@tasks.orchestration_trigger(context_name="context")
def fails_at_first(context):
    result = yield context.call_activity("fail_times", context.get_input())
    return result


@tasks.orchestration_trigger(context_name="context")
def waiting_child(context):
    result = yield context.call_sub_orchestrator("two_names", None, f"{context.instance_id}-child")
    return result


@tasks.orchestration_trigger(context_name="context")
def caught_child(context):
    try:
        yield context.call_sub_orchestrator("two_names", None, f"{context.instance_id}-child")
    except Exception as fault:
        return str(fault).split(" \n ")[0]
