"""One small orchestrator for each feature, and HTTP functions for each rule of the edge. The tests run it."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import asyncio
import json
import os
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
more = df.Blueprint()


def note(line: str) -> None:
    """Append a line to the file that the tests read: what really ran."""
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(line + "\n")


# --- activities ---


@app.activity_trigger(input_name="value")
def double(value):
    return value * 2


@app.activity_trigger(input_name="value")
async def double_slowly(value, context):
    await asyncio.sleep(0.05)
    return [value * 2, context.function_name]


@app.activity_trigger(input_name="name")
def nothing(name):
    note(f"nothing {name}")


@app.activity_trigger(input_name="given")
def fail_times(given):
    """Raise as often as asked, then answer how often it was called."""
    note(f"fail_times {given['key']}")
    calls = Path(os.environ["NOTES"]).read_text(encoding="utf-8").count(f"fail_times {given['key']}\n")
    if calls <= given["times"]:
        raise ValueError(f"call {calls} of {given['key']}")
    return calls


@app.activity_trigger(input_name="seconds")
def sleep(seconds):
    note("sleep begins")
    time.sleep(seconds)
    note("sleep ends")
    return "slept"


@app.activity_trigger(input_name="how")
def leave(how):
    note(f"leave {how}")
    if how == "sys.exit":
        sys.exit(3)
    os._exit(4)


@app.activity_trigger(input_name="what")
def unserialisable(what):
    return object()


@app.activity_trigger(input_name="size")
def large(size):
    return "x" * size


@more.activity_trigger(input_name="text")
def shout(text):
    return text.upper()


# --- orchestrators ---


@app.orchestration_trigger(context_name="context")
def chain(context):
    value = context.get_input() or 1
    for _ in range(3):
        value = yield context.call_activity("double", value)
    return value


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    tasks = [context.call_activity("double", number) for number in range(context.get_input() or 5)]
    results = yield context.task_all(tasks)
    slow = yield context.call_activity("double_slowly", 4)
    return [sum(results), slow]


@app.orchestration_trigger(context_name="context")
def echo(context):
    return context.get_input()
    yield


@app.orchestration_trigger(context_name="context")
def plain(context):
    return "no generator"


@app.orchestration_trigger(context_name="context")
def clock(context):
    deadline = context.current_utc_datetime + timedelta(milliseconds=300)
    yield context.create_timer(deadline)
    assert context.current_utc_datetime >= deadline
    yield context.create_timer(context.current_utc_datetime - timedelta(hours=1))
    return "fired"


@app.orchestration_trigger(context_name="context")
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


@app.orchestration_trigger(context_name="context")
def two_events(context):
    first = yield context.wait_for_external_event("first")
    second = yield context.wait_for_external_event("second")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def retrying(context):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=100, max_number_of_attempts=3)
    calls = yield context.call_activity_with_retry("fail_times", options, context.get_input())
    done = yield context.call_activity("double", calls)
    return [calls, done]


@app.orchestration_trigger(context_name="context")
def retrying_all(context):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=50, max_number_of_attempts=3)
    tasks = [context.call_activity_with_retry("fail_times", options, given) for given in context.get_input()]
    results = yield context.task_all(tasks)
    return results


@app.orchestration_trigger(context_name="context")
def caught(context):
    try:
        yield context.call_activity("fail_times", {"key": context.instance_id, "times": 9})
    except Exception as fault:
        return str(fault)


@app.orchestration_trigger(context_name="context")
def uncaught(context):
    yield context.call_activity("fail_times", {"key": context.instance_id, "times": 9})


@app.orchestration_trigger(context_name="context")
def raises(context):
    yield context.call_activity("double", 1)
    raise RuntimeError("this $OutOfProcData$: {is} no state")


@app.orchestration_trigger(context_name="context")
def misspelled(context):
    yield context.call_activity("dubble", 1)


@app.orchestration_trigger(context_name="context")
def misspelled_child(context):
    yield context.call_sub_orchestrator("chian", 1)


@app.orchestration_trigger(context_name="context")
def parent(context):
    one = yield context.call_sub_orchestrator("chain", 5)
    two = yield context.call_sub_orchestrator("chain", 6, f"{context.instance_id}-child")
    try:
        yield context.call_sub_orchestrator("uncaught", None)
    except Exception as fault:
        return [one, two, str(fault)]


@app.orchestration_trigger(context_name="context")
def retrying_parent(context):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=50, max_number_of_attempts=3)
    result = yield context.call_sub_orchestrator_with_retry(
        "fails_at_first", options, context.instance_id, "same-child"
    )
    return result


@app.orchestration_trigger(context_name="context")
def fails_at_first(context):
    result = yield context.call_activity("fail_times", {"key": context.get_input(), "times": 2})
    return result


@app.orchestration_trigger(context_name="context")
def counting(context):
    count = context.get_input()
    count = yield context.call_activity("plus_one", count)
    yield context.task_any([context.create_timer(context.current_utc_datetime), context.wait_for_external_event("x")])
    if count < 4:
        context.continue_as_new(count)
        return None
    return count


@app.orchestration_trigger(context_name="context")
def for_ever(context):
    context.continue_as_new(None)


@app.activity_trigger(input_name="value")
def plus_one(value):
    return value + 1


@app.orchestration_trigger(context_name="context")
def statuses(context):
    context.set_custom_status({"step": 1, "name": "Łódź"})
    yield context.wait_for_external_event("go")
    context.set_custom_status(None)
    yield context.wait_for_external_event("goon")
    return "ended"


@app.orchestration_trigger(context_name="context")
def large_status(context):
    context.set_custom_status("x" * 20_000)
    yield context.wait_for_external_event("never")


@app.orchestration_trigger(context_name="context")
def leaving(context):
    try:
        yield context.call_activity("leave", context.get_input())
    except Exception as fault:
        return str(fault)


@app.orchestration_trigger(context_name="context")
def not_json(context):
    yield context.call_activity("unserialisable", None)


@app.orchestration_trigger(context_name="context")
def large_texts(context):
    text = yield context.call_activity("large", context.get_input()["size"])
    again = yield context.call_activity("shout", text)
    return [len(context.get_input()["padding"]), text, len(again)]


@app.orchestration_trigger(context_name="context")
def wide(context):
    results = yield context.task_all([context.call_activity("double", number) for number in range(150)])
    return sum(results)


@app.orchestration_trigger(context_name="context")
def changing(context):
    """Not deterministic: what it does depends on a file."""
    name = "nothing" if Path(os.environ["NOTES"]).read_text(encoding="utf-8").count("changed") else "double"
    yield context.call_activity(name, 1)
    yield context.wait_for_external_event("go")
    return "never"


@app.orchestration_trigger(context_name="context")
def calls_http(context):
    answer = yield context.call_http("GET", context.get_input())
    return [answer["statusCode"], answer["content"]]


@app.orchestration_trigger(context_name="context")
def long_sleep(context):
    result = yield context.call_activity("sleep", context.get_input())
    return result


# --- HTTP functions ---


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    given = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["name"], req.params.get("id"), given)
    return client.create_check_status_response(req, instance_id)


@app.route(route="raise/{id}/{event}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def raise_event(req: func.HttpRequest, client) -> str:
    await client.raise_event(req.route_params["id"], req.route_params["event"], req.get_json())
    return "raised"


@app.route(route="client/{id}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def ask_client(req: func.HttpRequest, client) -> func.HttpResponse:
    status = await client.get_status(req.route_params["id"], show_history=True)
    body = {"status": str(status.runtime_status), "output": status.output, "truth": bool(status)}
    return func.HttpResponse(json.dumps(body), mimetype="application/json")


@app.route(route="address", methods=["GET"])
@app.durable_client_input(client_name="client")
async def address_of_the_client(req: func.HttpRequest, client) -> str:
    """Where the SDK's client calls, which holds the worker's secret."""
    return client._orchestration_bindings.rpc_base_url


@app.route(route="show/{word:alpha}/{number:int?}")
def show(req: func.HttpRequest) -> func.HttpResponse:
    body = {
        "method": req.method,
        "url": req.url,
        "route": dict(req.route_params),
        "params": dict(req.params),
        "headers": dict(req.headers),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(body), mimetype="application/json", headers={"X-Shown": "yes"})


@app.route(route="first/{word}", methods=["GET"])
def first(req: func.HttpRequest) -> str:
    return "the word"


@app.route(route="first/literal", methods=["GET"])
def second(req: func.HttpRequest) -> str:
    return "never reached: the word comes first"


@app.route(route="files/{*path}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def files(req: func.HttpRequest) -> str:
    return req.route_params.get("path", "nothing")


@app.route(route="boom", methods=["GET"])
def boom(req: func.HttpRequest) -> str:
    raise RuntimeError("secret of the log")


@app.route(route="wrong", methods=["GET"])
def wrong(req: func.HttpRequest):
    return {"not": "a response"}


@app.route(route="sniffed", methods=["GET"])
def sniffed(req: func.HttpRequest) -> str:
    return json.dumps({"body": {"a": 1}, "status": 201, "headers": {"X-Sniffed": "yes"}})


@app.route(route="cookies", methods=["GET"])
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("", status_code=204)
    response.headers.add("Set-Cookie", "a=1")
    response.headers.add("Set-Cookie", "b=2")
    return response


@app.route(route="size", methods=["POST"])
def size(req: func.HttpRequest) -> str:
    return str(len(req.get_body()))


@app.route(methods=["GET"])
def bare(req: func.HttpRequest) -> str:
    print("a print must not disturb the frames")
    return "bare"


@app.route(route="off", methods=["GET"])
def switched_off(req: func.HttpRequest) -> str:
    return "never"


@app.timer_trigger(schedule="%TICK%", arg_name="timer", run_on_startup=False)
def tick(timer: func.TimerRequest) -> None:
    note(f"tick past_due={timer.past_due}")


@more.route(route="blue", methods=["GET"])
def blue(req: func.HttpRequest) -> str:
    return "print"


app.register_functions(more)


@app.orchestration_trigger(context_name="context")
def calls_approval(context):
    result = yield context.call_sub_orchestrator("approval", 600, "the-child")
    return result


@app.orchestration_trigger(context_name="context")
def retries_slowly(context):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=2500, max_number_of_attempts=3)
    calls = yield context.call_activity_with_retry("fail_times", options, context.get_input())
    return calls


@app.orchestration_trigger(context_name="context")
def calls_odd_child(context):
    result = yield context.call_sub_orchestrator("one_double", 1, context.get_input()["id"])
    return result


@app.orchestration_trigger(context_name="context")
def one_double(context):
    result = yield context.call_activity("double", context.get_input())
    return result


@app.orchestration_trigger(context_name="context")
def leaving_orchestrator(context):
    note("leaving orchestrator")
    os._exit(5)
    yield


@app.orchestration_trigger(context_name="context")
def calls_child_named(context):
    try:
        result = yield context.call_sub_orchestrator("one_double", 1, "x" * context.get_input()["length"])
    except Exception as fault:
        return str(fault)
    return result


# --- what operators do to instances ---


@app.orchestration_trigger(context_name="context")
def steps_and_events(context):
    """Two activities, an event, one more activity: something to be suspended in."""
    first = yield context.call_activity("double_slowly", 1)
    told = yield context.wait_for_external_event("go")
    last = yield context.call_activity("double", 4)
    return [first[0], told, last]


@app.orchestration_trigger(context_name="context")
def fragile(context):
    """Fails as often as its input says, and once more for each rewind that it takes."""
    before = yield context.call_activity("double", 1)
    calls = yield context.call_activity("fail_times", context.get_input())
    return [before, calls]


@app.orchestration_trigger(context_name="context")
def fragile_parent(context):
    result = yield context.call_sub_orchestrator("fragile", context.get_input(), f"{context.instance_id}-child")
    return result


@app.orchestration_trigger(context_name="context")
def greedy(context):
    """Takes two events a generation, for two generations; what came too early is taken by the next."""
    heard = context.get_input() or []
    heard.append((yield context.wait_for_external_event("more")))
    if len(heard) < 3:
        context.continue_as_new(heard)
        return None
    return heard


@app.orchestration_trigger(context_name="context")
def many_sleepers(context):
    slept = yield context.task_all([context.call_activity("sleep", 0.1) for _ in range(context.get_input())])
    return len(slept)


# --- what crashes are tried on ---


@app.activity_trigger(input_name="step")
def mark(step):
    note(f"mark {step}")
    return step.split()[1]


@app.activity_trigger(input_name="step")
def mark_but_fail_at_first(step):
    note(f"mark {step}")
    if Path(os.environ["NOTES"]).read_text(encoding="utf-8").count(f"mark {step}\n") == 1:
        raise ValueError("the first run fails")
    return step.split()[1]


@app.orchestration_trigger(context_name="context")
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


@app.orchestration_trigger(context_name="context")
def marking_child(context):
    first = yield context.call_activity("mark", f"{context.instance_id} four")
    second = yield context.call_activity("mark", f"{context.instance_id} five")
    return [first, second]


@app.activity_trigger(input_name="key")
def draw_a_number(key):
    """Answers otherwise in each run, and says what."""
    number = uuid.uuid4().hex
    note(f"drew {key} {number}")
    return number


@app.activity_trigger(input_name="given")
def use(given):
    note(f"used {given['key']} {given['number']}")
    return given["number"]


@app.orchestration_trigger(context_name="context")
def drawing(context):
    """Draws a number, and uses it twice."""
    number = yield context.call_activity("draw_a_number", context.instance_id)
    given = {"key": context.instance_id, "number": number}
    first = yield context.call_activity("use", given)
    second = yield context.call_activity("use", given)
    return [number, first, second]


@app.orchestration_trigger(context_name="context")
def calls_large_child(context):
    result = yield context.call_sub_orchestrator("measures", "x" * context.get_input(), f"{context.instance_id}-child")
    return result


@app.orchestration_trigger(context_name="context")
def measures(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=600))
    return len(context.get_input())


# --- what Azure's host would do otherwise ---


@app.orchestration_trigger(context_name="context")
def retry_against_a_deadline(context):
    """The pattern of the documentation, with a retry: in Azure it fails when the first attempt fails."""
    options = df.RetryOptions(first_retry_interval_in_milliseconds=50, max_number_of_attempts=3)
    deadline = context.create_timer(context.current_utc_datetime + timedelta(seconds=60))
    yield context.task_any([context.call_activity_with_retry("fail_times", options, context.get_input()), deadline])
    deadline.cancel()
    return (yield context.call_activity("double", 1))


@app.orchestration_trigger(context_name="context")
def cancels_a_long_timer(context):
    week = context.create_timer(context.current_utc_datetime + timedelta(days=7))
    yield context.task_any([context.call_activity("double", 1), week])
    week.cancel()
    return "ended"


# --- what takes too long ---


@app.orchestration_trigger(context_name="context")
def loops(context):
    yield context.call_activity("double", 1)
    while True:
        pass


@app.orchestration_trigger(context_name="context")
def blocks(context):
    time.sleep(600)
    yield context.call_activity("double", 1)


@app.route(route="slow", methods=["GET"])
def slow(req: func.HttpRequest) -> str:
    time.sleep(600)
    return "late"
