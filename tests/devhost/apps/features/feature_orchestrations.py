"""One small orchestrator for each feature."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import os
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
from feature_activities import note

orchestrations = df.Blueprint()


@orchestrations.orchestration_trigger(context_name="context")
def chain(context):
    value = context.get_input() or 1
    for _ in range(3):
        value = yield context.call_activity("double", value)
    return value


@orchestrations.orchestration_trigger(context_name="context")
def fan_out(context):
    tasks = [context.call_activity("double", number) for number in range(context.get_input() or 5)]
    results = yield context.task_all(tasks)
    slow = yield context.call_activity("double_slowly", 4)
    return [sum(results), slow]


@orchestrations.orchestration_trigger(context_name="context")
def echo(context):
    return context.get_input()
    yield


@orchestrations.orchestration_trigger(context_name="context")
def plain(context):
    return "no generator"


@orchestrations.orchestration_trigger(context_name="context")
def clock(context):
    deadline = context.current_utc_datetime + timedelta(milliseconds=300)
    yield context.create_timer(deadline)
    assert context.current_utc_datetime >= deadline
    yield context.create_timer(context.current_utc_datetime - timedelta(hours=1))
    return "fired"


@orchestrations.orchestration_trigger(context_name="context")
def approval(context):
    timeout = context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input() or 30))
    answer = context.wait_for_external_event("answer")
    context.set_custom_status("waiting")
    winner = yield context.task_any([answer, timeout])
    context.set_custom_status({"waited": True})
    if winner != answer:
        return "timed out"
    timeout.cancel()
    return answer.result


@orchestrations.orchestration_trigger(context_name="context")
def two_events(context):
    first = yield context.wait_for_external_event("first")
    second = yield context.wait_for_external_event("second")
    return [first, second]


@orchestrations.orchestration_trigger(context_name="context")
def retrying(context):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=100, max_number_of_attempts=3)
    calls = yield context.call_activity_with_retry("fail_times", options, context.get_input())
    done = yield context.call_activity("double", calls)
    return [calls, done]


@orchestrations.orchestration_trigger(context_name="context")
def retrying_all(context):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=50, max_number_of_attempts=3)
    tasks = [context.call_activity_with_retry("fail_times", options, job) for job in context.get_input()]
    results = yield context.task_all(tasks)
    return results


@orchestrations.orchestration_trigger(context_name="context")
def caught(context):
    try:
        yield context.call_activity("fail_times", {"key": context.instance_id, "times": 9})
    except Exception as fault:
        return str(fault)


@orchestrations.orchestration_trigger(context_name="context")
def uncaught(context):
    yield context.call_activity("fail_times", {"key": context.instance_id, "times": 9})


@orchestrations.orchestration_trigger(context_name="context")
def raises(context):
    yield context.call_activity("double", 1)
    raise RuntimeError("this $OutOfProcData$: {is} no state")


@orchestrations.orchestration_trigger(context_name="context")
def misspelled(context):
    yield context.call_activity("dubble", 1)


@orchestrations.orchestration_trigger(context_name="context")
def misspelled_child(context):
    yield context.call_sub_orchestrator("chian", 1)


@orchestrations.orchestration_trigger(context_name="context")
def parent(context):
    one = yield context.call_sub_orchestrator("chain", 5)
    two = yield context.call_sub_orchestrator("chain", 6, f"{context.instance_id}-child")
    try:
        yield context.call_sub_orchestrator("uncaught", None)
    except Exception as fault:
        return [one, two, str(fault)]


@orchestrations.orchestration_trigger(context_name="context")
def retrying_parent(context):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=50, max_number_of_attempts=3)
    result = yield context.call_sub_orchestrator_with_retry(
        "fails_at_first", options, context.instance_id, "same-child"
    )
    return result


@orchestrations.orchestration_trigger(context_name="context")
def fails_at_first(context):
    result = yield context.call_activity("fail_times", {"key": context.get_input(), "times": 2})
    return result


@orchestrations.orchestration_trigger(context_name="context")
def counting(context):
    count = context.get_input()
    count = yield context.call_activity("plus_one", count)
    yield context.task_any([context.create_timer(context.current_utc_datetime), context.wait_for_external_event("x")])
    if count < 4:
        context.continue_as_new(count)
        return None
    return count


@orchestrations.orchestration_trigger(context_name="context")
def for_ever(context):
    context.continue_as_new(None)


@orchestrations.orchestration_trigger(context_name="context")
def statuses(context):
    context.set_custom_status({"step": 1, "name": "Łódź"})
    yield context.wait_for_external_event("go")
    context.set_custom_status(None)
    yield context.wait_for_external_event("goon")
    return "ended"


@orchestrations.orchestration_trigger(context_name="context")
def large_status(context):
    context.set_custom_status("x" * 20_000)
    yield context.wait_for_external_event("never")


@orchestrations.orchestration_trigger(context_name="context")
def leaving(context):
    try:
        yield context.call_activity("leave", context.get_input())
    except Exception as fault:
        return str(fault)


@orchestrations.orchestration_trigger(context_name="context")
def not_json(context):
    yield context.call_activity("unserialisable", None)


@orchestrations.orchestration_trigger(context_name="context")
def large_texts(context):
    text = yield context.call_activity("large", context.get_input()["size"])
    again = yield context.call_activity("shout", text)
    return [len(context.get_input()["padding"]), text, len(again)]


@orchestrations.orchestration_trigger(context_name="context")
def wide(context):
    results = yield context.task_all([context.call_activity("double", number) for number in range(150)])
    return sum(results)


@orchestrations.orchestration_trigger(context_name="context")
def changing(context):
    """Not deterministic: what it does depends on a file."""
    name = "nothing" if Path(os.environ["NOTES"]).read_text(encoding="utf-8").count("changed") else "double"
    yield context.call_activity(name, 1)
    yield context.wait_for_external_event("go")
    return "never"


@orchestrations.orchestration_trigger(context_name="context")
def calls_http(context):
    answer = yield context.call_http("GET", context.get_input())
    return [answer["statusCode"], answer["content"]]


@orchestrations.orchestration_trigger(context_name="context")
def long_sleep(context):
    result = yield context.call_activity("sleep", context.get_input())
    return result


@orchestrations.orchestration_trigger(context_name="context")
def calls_approval(context):
    result = yield context.call_sub_orchestrator("approval", 600, "the-child")
    return result


@orchestrations.orchestration_trigger(context_name="context")
def retries_slowly(context):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=2500, max_number_of_attempts=3)
    calls = yield context.call_activity_with_retry("fail_times", options, context.get_input())
    return calls


@orchestrations.orchestration_trigger(context_name="context")
def calls_odd_child(context):
    result = yield context.call_sub_orchestrator("one_double", 1, context.get_input()["id"])
    return result


@orchestrations.orchestration_trigger(context_name="context")
def one_double(context):
    result = yield context.call_activity("double", context.get_input())
    return result


@orchestrations.orchestration_trigger(context_name="context")
def leaving_orchestrator(context):
    note("leaving orchestrator")
    os._exit(5)
    yield


@orchestrations.orchestration_trigger(context_name="context")
def calls_child_named(context):
    try:
        result = yield context.call_sub_orchestrator("one_double", 1, "x" * context.get_input()["length"])
    except Exception as fault:
        return str(fault)
    return result
