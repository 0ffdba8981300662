"""One small orchestrator for each case of test_conformance.py, and one HTTP function for each call of the SDK's client.

The tests also load this file themselves, to replay its orchestrators over the histories that they find in storage. So
nothing here looks at more than its context, except the one orchestrator that is meant not to be deterministic.
"""
# mypy: ignore-errors
# Written as users write such apps: without types.

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus
from azure.durable_functions.models.PurgeHistoryResult import PurgeHistoryResult

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
THREE_TIMES = df.RetryOptions(first_retry_interval_in_milliseconds=20, max_number_of_attempts=3)


# --- activities ---


@app.activity_trigger(input_name="value")
def double(value):
    return value * 2


@app.activity_trigger(input_name="value")
async def give_back(value):
    return value


@app.activity_trigger(input_name="given")
def fail_times(given):
    """Raise as often as asked, then answer how often it was called."""
    notes = Path(os.environ["NOTES"])
    with notes.open("a", encoding="utf-8") as file:
        file.write(f"{given['key']}\n")
    calls = notes.read_text(encoding="utf-8").splitlines().count(given["key"])
    if calls <= given["times"]:
        raise ValueError(f"call {calls}")
    return calls


def failing(context, times, what=""):
    """The input of fail_times that fails for this instance alone, and not in another instance again."""
    return {"key": f"{context.instance_id}{what}", "times": times}


# --- activities and retries ---


@app.orchestration_trigger(context_name="context")
def activities(context):
    first = yield context.call_activity("double", 4)
    second = yield context.call_activity("give_back", {"deep": [first, "Łódź", None, 1.5, True]})
    third = yield context.call_activity("give_back", [1, 2])
    fourth = yield context.call_activity("give_back", None)
    return [second, third, fourth]


@app.orchestration_trigger(context_name="context")
def failed_activity(context):
    try:
        yield context.call_activity("fail_times", failing(context, 9))
    except Exception as fault:
        told = str(fault)
    after = yield context.call_activity("double", 1)
    return [told.split(" \n ", maxsplit=1)[0], after]


@app.orchestration_trigger(context_name="context")
def retry(context):
    calls = yield context.call_activity_with_retry("fail_times", THREE_TIMES, failing(context, 2))
    after = yield context.call_activity("double", calls)
    return [calls, after]


@app.orchestration_trigger(context_name="context")
def exhausted_retry(context):
    try:
        yield context.call_activity_with_retry("fail_times", THREE_TIMES, failing(context, 9))
    except Exception as fault:
        told = str(fault)
    after = yield context.call_activity("double", 1)
    return [told.split(" \n ", maxsplit=1)[0], after]


@app.orchestration_trigger(context_name="context")
def retries_side_by_side(context):
    tasks = [
        context.call_activity_with_retry("fail_times", THREE_TIMES, failing(context, times, f" {times}"))
        for times in (0, 1, 2)
    ]
    results = yield context.task_all(tasks)
    return results


# --- task_all and task_any ---


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    results = yield context.task_all([context.call_activity("double", number) for number in range(10)])
    return sum(results)


@app.orchestration_trigger(context_name="context")
def nested(context):
    """A task_any of two task_alls, and then a task_all with a task_any in it."""
    never = context.wait_for_external_event("never")
    both = context.task_all([context.call_activity("double", 1), context.call_activity("double", 2)])
    neither = context.task_all([context.call_activity("double", 3), never])
    winner = yield context.task_any([neither, both])
    either = context.task_any([context.call_activity("double", 5), context.wait_for_external_event("never too")])
    last = yield context.task_all([either, context.call_activity("double", 6)])
    return [winner == both, winner.result, last[0].result, last[1]]


@app.orchestration_trigger(context_name="context")
def first_failure(context):
    """What the SDK does at the first failure inside task_all: it goes on, and does not wait for the others."""
    try:
        yield context.task_all(
            [context.call_activity("fail_times", failing(context, 9)), context.wait_for_external_event("slow")]
        )
    except Exception:
        undone = yield context.call_activity("double", 21)
    return undone


@app.orchestration_trigger(context_name="context")
def deterministic_helpers(context):
    """The clock and the ids of the context are the same in every replay, or the activity would be told otherwise."""
    given = [context.new_guid(), context.new_guid(), context.current_utc_datetime.isoformat(), context.instance_id]
    given = [str(each) for each in given]
    back = yield context.call_activity("give_back", given)
    yield context.call_activity("double", 1)
    return back == given and back[0] != back[1]


# --- timers ---


@app.orchestration_trigger(context_name="context")
def short_timer(context):
    due = context.current_utc_datetime + timedelta(milliseconds=100)
    yield context.create_timer(due)
    return context.current_utc_datetime >= due


@app.orchestration_trigger(context_name="context")
def past_timer(context):
    yield context.create_timer(context.current_utc_datetime - timedelta(hours=1))
    return "fired"


@app.orchestration_trigger(context_name="context")
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


@app.orchestration_trigger(context_name="context")
def timer_left_open(context):
    """Nobody cancels the timer, so the instance runs until it has fired."""
    timer = context.create_timer(context.current_utc_datetime + timedelta(milliseconds=300))
    yield context.task_any([context.call_activity("double", 1), timer])
    return "done long ago"


@app.orchestration_trigger(context_name="context")
def long_timer(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(days=10))
    after = yield context.call_activity("double", 7)
    return after


# --- external events ---


@app.orchestration_trigger(context_name="context")
def two_names(context):
    first = yield context.wait_for_external_event("first")
    second = yield context.wait_for_external_event("second")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def one_name(context):
    """Waits for `e` twice, one after the other; before it, if its input says so, for `begin`."""
    if context.get_input():
        yield context.wait_for_external_event("begin")
    first = yield context.wait_for_external_event("e")
    second = yield context.wait_for_external_event("e")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def two_waiters(context):
    heard = yield context.task_all([context.wait_for_external_event("e"), context.wait_for_external_event("e")])
    return heard


# --- sub-orchestrations ---


@app.orchestration_trigger(context_name="context")
def sub_orchestrations(context):
    plain = yield context.call_sub_orchestrator("child", {"n": 3})
    named = yield context.call_sub_orchestrator("child", {"n": 4}, f"{context.instance_id}-named")
    nothing = yield context.call_sub_orchestrator("two_generations", None)
    together = yield context.task_all([context.call_sub_orchestrator("child", {"n": n}) for n in (5, 6)])
    try:
        yield context.call_sub_orchestrator("fails", None)
    except Exception as fault:
        return [plain, named, nothing, together, str(fault).split(" \n ")[0]]


@app.orchestration_trigger(context_name="context")
def child(context):
    doubled = yield context.call_activity("double", context.get_input()["n"])
    return {"doubled": doubled, "has_parent": context.parent_instance_id is not None}


@app.orchestration_trigger(context_name="context")
def retried_sub_orchestration(context):
    """Its input says whether each attempt has the same id."""
    own = f"{context.instance_id}-same" if context.get_input() else None
    result = yield context.call_sub_orchestrator_with_retry("fails_at_first", THREE_TIMES, failing(context, 2), own)
    after = yield context.call_activity("double", result)
    return [result, after]


@app.orchestration_trigger(context_name="context")
def fails_at_first(context):
    result = yield context.call_activity("fail_times", context.get_input())
    return result


@app.orchestration_trigger(context_name="context")
def waiting_child(context):
    result = yield context.call_sub_orchestrator("two_names", None, f"{context.instance_id}-child")
    return result


@app.orchestration_trigger(context_name="context")
def caught_child(context):
    try:
        yield context.call_sub_orchestrator("two_names", None, f"{context.instance_id}-child")
    except Exception as fault:
        return str(fault).split(" \n ")[0]


# --- generations, status, versions ---


@app.orchestration_trigger(context_name="context")
def generations(context):
    count = yield context.call_activity("double", context.get_input()["count"])
    context.set_custom_status(count)
    if count < 8:
        context.continue_as_new({"count": count})
        return None
    return count


@app.orchestration_trigger(context_name="context")
def two_generations(context):
    if context.get_input() is None:
        context.continue_as_new("again")
        return None
    return "the second one"
    yield


@app.orchestration_trigger(context_name="context")
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


@app.orchestration_trigger(context_name="context")
def custom_status(context):
    context.set_custom_status({"step": 1, "name": "Łódź"})
    yield context.wait_for_external_event("go")
    context.set_custom_status("x" * context.get_input())
    yield context.wait_for_external_event("go on")
    context.set_custom_status(None)
    yield context.wait_for_external_event("go further")
    return "ended"


@app.orchestration_trigger(context_name="context")
def versions(context):
    own = yield context.call_sub_orchestrator("version_of", None)
    given = yield context.call_sub_orchestrator("version_of", None, version="9.9")
    return [context.version, own, given]


@app.orchestration_trigger(context_name="context")
def version_of(context):
    return context.version


# --- ways to end ---


@app.orchestration_trigger(context_name="context")
def plain(context):
    return {"input": context.get_input()}


@app.orchestration_trigger(context_name="context")
def silent(context):
    yield context.call_activity("give_back", "nobody looks at it")


@app.orchestration_trigger(context_name="context")
def fails(context):
    yield context.call_activity("double", 1)
    raise RuntimeError("it was not to be")


@app.orchestration_trigger(context_name="context")
def fails_without_a_word(context):
    yield context.call_activity("double", 1)
    raise KeyError


@app.orchestration_trigger(context_name="context")
def crashes(context):
    """Without a yield there is no generator, and the SDK packs no state behind what it raises."""
    raise KeyError("no generator")


@app.orchestration_trigger(context_name="context")
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


@app.orchestration_trigger(context_name="context")
def unserialisable(context):
    yield context.call_activity("double", 1)
    return datetime(2026, 1, 1)


@app.orchestration_trigger(context_name="context")
def misspelled_activity(context):
    yield context.call_activity("dubble", 1)


@app.orchestration_trigger(context_name="context")
def misspelled_orchestrator(context):
    yield context.call_sub_orchestrator("chidl", 1)


@app.orchestration_trigger(context_name="context")
def other_case(context):
    """Names of functions are compared without case."""
    one = yield context.call_activity("DOUBLE", 1)
    two = yield context.call_sub_orchestrator("Child", {"n": 1})
    return [one, two["doubled"]]


@app.orchestration_trigger(context_name="context")
def own_id(context):
    yield context.call_sub_orchestrator("child", {"n": 1}, context.instance_id)


@app.orchestration_trigger(context_name="context")
def not_deterministic(context):
    name = "give_back" if "changed" in Path(os.environ["NOTES"]).read_text(encoding="utf-8") else "double"
    yield context.call_activity(name, 1)
    yield context.wait_for_external_event("go")


# --- large payloads, HTTP, what operators do ---


@app.orchestration_trigger(context_name="context")
def large_payloads(context):
    given = context.get_input()
    back = yield context.call_activity("give_back", given)
    heard = yield context.wait_for_external_event("large")
    deep = yield context.call_sub_orchestrator("plain", given)
    return [back == given, deep["input"] == given, heard]


@app.orchestration_trigger(context_name="context")
def calls_http(context):
    answer = yield context.call_http("POST", context.get_input(), {"a": 1}, {"Content-Type": "application/json"})
    return [answer["statusCode"], json.loads(answer["content"])]


@app.orchestration_trigger(context_name="context")
def fragile(context):
    before = yield context.call_activity("double", 1)
    calls = yield context.call_activity("fail_times", failing(context, 1))
    return [before, calls]


@app.orchestration_trigger(context_name="context")
def held_back(context):
    """What came while it was suspended counts in its order."""
    heard = []
    for name in ("a", "b"):
        heard.append((yield context.wait_for_external_event(name)))
        heard.append((yield context.call_activity("double", len(heard))))
    return heard


# --- HTTP functions ---


@app.route(route="echo", methods=["POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    told = {"body": req.get_json(), "type": req.headers.get("content-type")}
    return func.HttpResponse(json.dumps(told), mimetype="application/json")


ANSWERS = {
    "text": lambda: func.HttpResponse("Łódź"),
    "html": lambda: func.HttpResponse("<p>", mimetype="text/html", charset="latin-1"),
    "json": lambda: func.HttpResponse("{}", status_code=201, mimetype="application/json"),
    "header": lambda: func.HttpResponse(
        "a", headers={"Content-Type": "text/csv", "X-Own": "yes"}, mimetype="text/html"
    ),
    "bytes": lambda: func.HttpResponse(b"\x00\xff", mimetype="application/octet-stream"),
    "empty": lambda: func.HttpResponse(status_code=204),
    "str": lambda: "plain",
    "none": lambda: None,
}


@app.route(route="answers/{kind}", methods=["GET"])
def answers(req: func.HttpRequest):
    return ANSWERS[req.route_params["kind"]]()


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    given = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["name"], req.params.get("id"), given)
    return client.create_check_status_response(req, instance_id)


def as_json(value):
    """What a call of the client answered, as JSON that a test can compare."""
    if isinstance(value, list):
        return [as_json(each) for each in value]
    if isinstance(value, DurableOrchestrationStatus):
        return {"true": True, **value.to_json()} if value else {"true": False}
    if isinstance(value, PurgeHistoryResult):
        return {"purged": value.instances_deleted}
    return value


def moments(arguments):
    """Keyword arguments with the times and the statuses that JSON cannot hold."""
    read = {
        "created_time_from": datetime.fromisoformat,
        "created_time_to": datetime.fromisoformat,
        "runtime_status": lambda names: [df.OrchestrationRuntimeStatus[name] for name in names],
    }
    return {name: read.get(name, lambda given: given)(value) for name, value in arguments.items()}


@app.route(route="call/{method}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def call_client(req: func.HttpRequest, client) -> func.HttpResponse:
    """Call a method of the SDK's client with the body as keyword arguments; its answer, or what it raised."""
    try:
        answer = {"answer": as_json(await getattr(client, req.route_params["method"])(**moments(req.get_json())))}
    except Exception as fault:
        answer = {"raised": str(fault)}
    return func.HttpResponse(json.dumps(answer, default=str), mimetype="application/json")


@app.route(route="wait/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def wait(req: func.HttpRequest, client) -> func.HttpResponse:
    times = {name: int(value) for name, value in req.params.items()}
    return await client.wait_for_completion_or_create_check_status_response(req, req.route_params["id"], **times)


@app.route(route="payload/{id}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def payload(req: func.HttpRequest, client) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(client.create_http_management_payload(req.route_params["id"])))
