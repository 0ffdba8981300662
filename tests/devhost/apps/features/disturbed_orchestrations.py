"""Orchestrators that tests suspend, rewind and crash, that Azure's host would run otherwise, or that take too long."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import time
from datetime import timedelta

import azure.durable_functions as df

disturbed = df.Blueprint()


@disturbed.orchestration_trigger(context_name="context")
def steps_and_events(context):
    """Two activities, an event, one more activity: something to be suspended in."""
    first = yield context.call_activity("double_slowly", 1)
    event = yield context.wait_for_external_event("go")
    last = yield context.call_activity("double", 4)
    return [first[0], event, last]


@disturbed.orchestration_trigger(context_name="context")
def fragile(context):
    """Fails as often as its input says, and once more for each rewind that it takes."""
    before = yield context.call_activity("double", 1)
    calls = yield context.call_activity("fail_times", context.get_input())
    return [before, calls]


@disturbed.orchestration_trigger(context_name="context")
def fragile_parent(context):
    result = yield context.call_sub_orchestrator("fragile", context.get_input(), f"{context.instance_id}-child")
    return result


@disturbed.orchestration_trigger(context_name="context")
def greedy(context):
    """Takes two events a generation, for two generations; what came too early is taken by the next."""
    heard = context.get_input() or []
    heard.append((yield context.wait_for_external_event("more")))
    if len(heard) < 3:
        context.continue_as_new(heard)
        return None
    return heard


@disturbed.orchestration_trigger(context_name="context")
def many_sleepers(context):
    slept = yield context.task_all([context.call_activity("sleep", 0.1) for _ in range(context.get_input())])
    return len(slept)


@disturbed.orchestration_trigger(context_name="context")
def marking(context):
    """Two activities, a retry, a child and a timer, then a new generation with one more activity."""
    trail, key = context.get_input(), context.instance_id
    if trail:
        last = yield context.call_activity("mark", f"{key} six")
        return [*trail, last]
    for step in ("one", "two"):
        trail.append((yield context.call_activity("mark", f"{key} {step}")))
    options = df.RetryOptions(first_retry_interval_in_milliseconds=20, max_number_of_attempts=3)
    trail.append((yield context.call_activity_with_retry("mark_but_fail_at_first", options, f"{key} three")))
    trail.extend((yield context.call_sub_orchestrator("marking_child", None, f"{key}-child")))
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=20))
    context.continue_as_new(trail)


@disturbed.orchestration_trigger(context_name="context")
def marking_child(context):
    first = yield context.call_activity("mark", f"{context.instance_id} four")
    second = yield context.call_activity("mark", f"{context.instance_id} five")
    return [first, second]


@disturbed.orchestration_trigger(context_name="context")
def drawing(context):
    """Draws a number, and uses it twice."""
    number = yield context.call_activity("draw_a_number", context.instance_id)
    job = {"key": context.instance_id, "number": number}
    first = yield context.call_activity("use", job)
    second = yield context.call_activity("use", job)
    return [number, first, second]


@disturbed.orchestration_trigger(context_name="context")
def calls_large_child(context):
    result = yield context.call_sub_orchestrator("measures", "x" * context.get_input(), f"{context.instance_id}-child")
    return result


@disturbed.orchestration_trigger(context_name="context")
def measures(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=600))
    return len(context.get_input())


@disturbed.orchestration_trigger(context_name="context")
def retry_against_a_deadline(context):
    """The pattern of the documentation, with a retry: in Azure it fails when the first attempt fails."""
    options = df.RetryOptions(first_retry_interval_in_milliseconds=50, max_number_of_attempts=3)
    deadline = context.create_timer(context.current_utc_datetime + timedelta(seconds=60))
    yield context.task_any([context.call_activity_with_retry("fail_times", options, context.get_input()), deadline])
    deadline.cancel()
    return (yield context.call_activity("double", 1))


@disturbed.orchestration_trigger(context_name="context")
def cancels_a_long_timer(context):
    week = context.create_timer(context.current_utc_datetime + timedelta(days=7))
    yield context.task_any([context.call_activity("double", 1), week])
    week.cancel()
    return "ended"


@disturbed.orchestration_trigger(context_name="context")
def loops(context):
    yield context.call_activity("double", 1)
    while True:
        pass


@disturbed.orchestration_trigger(context_name="context")
def blocks(context):
    time.sleep(600)
    yield context.call_activity("double", 1)
