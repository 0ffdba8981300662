"""Cases of a whole instance: generations, status, version, how it ends, and what operators do to it."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import azure.durable_functions as df
from case_activities import failing

instances = df.Blueprint()


@instances.orchestration_trigger(context_name="context")
def generations(context):
    count = yield context.call_activity("double", context.get_input()["count"])
    context.set_custom_status(count)
    if count < 8:
        context.continue_as_new({"count": count})
        return None
    return count


@instances.orchestration_trigger(context_name="context")
def two_generations(context):
    if context.get_input() is None:
        context.continue_as_new("again")
        return None
    return "the second one"
    yield


@instances.orchestration_trigger(context_name="context")
def forgets_events(context):
    """An event that nobody has waited for by the end of a generation is gone in the next one."""
    if context.get_input() is None:
        yield context.wait_for_external_event("go")
        context.continue_as_new("again")
        return None
    other = context.wait_for_external_event("other")
    timer = context.create_timer(context.current_utc_datetime + timedelta(milliseconds=100))
    winner = yield context.task_any([other, timer])
    return "kept" if winner == other else "forgotten"


@instances.orchestration_trigger(context_name="context")
def custom_status(context):
    context.set_custom_status({"step": 1, "name": "Łódź"})
    yield context.wait_for_external_event("go")
    context.set_custom_status("x" * context.get_input())
    yield context.wait_for_external_event("go on")
    context.set_custom_status(None)
    yield context.wait_for_external_event("go further")
    return "ended"


@instances.orchestration_trigger(context_name="context")
def versions(context):
    own = yield context.call_sub_orchestrator("version_of", None)
    named = yield context.call_sub_orchestrator("version_of", None, version="9.9")
    return [context.version, own, named]


@instances.orchestration_trigger(context_name="context")
def version_of(context):
    return context.version


@instances.orchestration_trigger(context_name="context")
def plain(context):
    return {"input": context.get_input()}


@instances.orchestration_trigger(context_name="context")
def silent(context):
    yield context.call_activity("give_back", "nobody looks at it")


@instances.orchestration_trigger(context_name="context")
def fails(context):
    yield context.call_activity("double", 1)
    raise RuntimeError("it was not to be")


@instances.orchestration_trigger(context_name="context")
def fails_without_a_word(context):
    yield context.call_activity("double", 1)
    raise KeyError


@instances.orchestration_trigger(context_name="context")
def crashes(context):
    """Without a yield there is no generator, and the SDK packs no state behind what it raises."""
    raise KeyError("no generator")


@instances.orchestration_trigger(context_name="context")
def fails_with_open_tasks(context):
    """Its failure waits for what it has begun."""
    context.set_custom_status("failing")
    yield context.task_any(
        [
            context.call_activity("double", 1),
            context.call_sub_orchestrator("two_names", None, f"{context.instance_id}-child"),
        ]
    )
    raise RuntimeError("it was not to be")


@instances.orchestration_trigger(context_name="context")
def unserialisable(context):
    yield context.call_activity("double", 1)
    return datetime(2026, 1, 1)


@instances.orchestration_trigger(context_name="context")
def misspelled_activity(context):
    yield context.call_activity("dubble", 1)


@instances.orchestration_trigger(context_name="context")
def misspelled_orchestrator(context):
    yield context.call_sub_orchestrator("chidl", 1)


@instances.orchestration_trigger(context_name="context")
def other_case(context):
    """Names of functions are compared without case."""
    one = yield context.call_activity("DOUBLE", 1)
    two = yield context.call_sub_orchestrator("Child", {"n": 1})
    return [one, two["doubled"]]


@instances.orchestration_trigger(context_name="context")
def own_id(context):
    yield context.call_sub_orchestrator("child", {"n": 1}, context.instance_id)


@instances.orchestration_trigger(context_name="context")
def not_deterministic(context):
    name = "give_back" if "changed" in Path(os.environ["NOTES"]).read_text(encoding="utf-8") else "double"
    yield context.call_activity(name, 1)
    yield context.wait_for_external_event("go")


@instances.orchestration_trigger(context_name="context")
def large_payloads(context):
    text = context.get_input()
    back = yield context.call_activity("give_back", text)
    heard = yield context.wait_for_external_event("large")
    deep = yield context.call_sub_orchestrator("plain", text)
    return [back == text, deep["input"] == text, heard]


@instances.orchestration_trigger(context_name="context")
def calls_http(context):
    answer = yield context.call_http("POST", context.get_input(), {"a": 1}, {"Content-Type": "application/json"})
    return [answer["statusCode"], json.loads(answer["content"])]


@instances.orchestration_trigger(context_name="context")
def fragile(context):
    before = yield context.call_activity("double", 1)
    calls = yield context.call_activity("fail_times", failing(context, 1))
    return [before, calls]


@instances.orchestration_trigger(context_name="context")
def held_back(context):
    """What came while it was suspended counts in its order."""
    heard = []
    for name in ("a", "b"):
        heard.append((yield context.wait_for_external_event(name)))
        heard.append((yield context.call_activity("double", len(heard))))
    return heard
