"""Entities and the orchestrators that use them, one for each rule. The tests run it."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import json
import os
import time
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def note(line: str) -> None:
    """Append a line to the file that the tests read: what really ran."""
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(line + "\n")


# --- entities ---


@app.entity_trigger(context_name="context")
def account(context):
    """A balance. It cannot go below zero, and what fails has changed the state before it raises."""
    balance = context.get_state(lambda: 0)
    if context.operation_name == "add":
        balance += context.get_input()
        context.set_state(balance)
        if balance < 0:
            raise ValueError(f"{balance} is below zero")
    elif context.operation_name == "delete":
        context.destruct_on_exit()
        return
    elif context.operation_name == "unstorable":
        context.set_state(object())
        return
    elif context.operation_name == "exit":
        raise SystemExit(3)
    elif context.operation_name == "crash":
        os._exit(4)
    context.set_result(balance)


@app.entity_trigger(context_name="context", entity_name="Journal")
def journal_function(ctx):
    """The list of its inputs, in order. `slowly` takes so many seconds; `at_gate` waits for the file of its key."""
    lines = ctx.get_state(list)
    value = ctx.get_input()
    if ctx.operation_name == "slowly":
        note(f"begins {ctx.entity_key} {value}")
        time.sleep(value)
        note(f"ends {ctx.entity_key} {value}")
    elif ctx.operation_name == "at_gate":
        note(f"begins {ctx.entity_key} {value}")
        while not Path(os.environ["NOTES"]).with_name(f"gate-{ctx.entity_key}").exists():
            time.sleep(0.01)
        note(f"ends {ctx.entity_key} {value}")
    ctx.set_state([*lines, value])
    ctx.set_result([ctx.entity_name, ctx.entity_key, len(lines) + 1])


@app.entity_trigger(context_name="context")
def bag(context):
    """Keeps a text of the size that its input names."""
    context.set_state("x" * context.get_input())
    context.set_result("y" * context.get_input())


@app.entity_trigger(context_name="context")
async def never(context):
    context.set_state(1)


# --- orchestrators ---


@app.orchestration_trigger(context_name="context")
def calls(context):
    """Call one entity after another: `[[name, key, operation, input], ...]`; the results, failures as texts."""
    results = []
    for name, key, operation, value in context.get_input():
        try:
            results.append((yield context.call_entity(df.EntityId(name, key), operation, value)))
        except Exception as fault:
            results.append(f"failed: {fault}")
    return results


@app.orchestration_trigger(context_name="context")
def calls_at_once(context):
    tasks = [
        context.call_entity(df.EntityId(name, key), operation, value)
        for name, key, operation, value in context.get_input()
    ]
    results = yield context.task_all(tasks)
    first = yield context.task_any([context.call_entity(df.EntityId("account", "any"), "add", 1)])
    return [results, first.result]


@app.orchestration_trigger(context_name="context")
def signals(context):
    """Signal in order and end at once."""
    for name, key, operation, value in context.get_input():
        context.signal_entity(df.EntityId(name, key), operation, value)
    return "sent"
    yield


@app.orchestration_trigger(context_name="context")
def rounds(context):
    """Signal and call in each generation, and once more in the turn that ends it."""
    left = context.get_input()
    entity = df.EntityId("account", "rounds")
    context.signal_entity(entity, "add", 1)
    value = yield context.call_entity(entity, "add", 1)
    context.signal_entity(entity, "add", 1)
    if left > 1:
        context.continue_as_new(left - 1)
    return value


@app.orchestration_trigger(context_name="context")
def eager_rounds(context):
    """Signal and begin anew without ever waiting."""
    left = context.get_input()
    context.signal_entity(df.EntityId("account", "eager"), "add", 1)
    if left > 1:
        context.continue_as_new(left - 1)
    return left
    yield


@app.orchestration_trigger(context_name="context")
def workload(context):
    """What the tests kill in the middle: signals, calls, an activity between them, and a child that signals."""
    key = context.get_input()
    entity = df.EntityId("account", key)
    context.signal_entity(entity, "add", 1)
    yield context.call_entity(entity, "add", 10)
    yield context.call_activity("pause", 0.05)
    context.signal_entity(entity, "add", 100)
    yield context.call_sub_orchestrator("signals", [["account", key, "add", 1000]])
    yield context.call_entity(entity, "add", 10000)
    context.signal_entity(entity, "add", 100000)
    return "done"


@app.orchestration_trigger(context_name="context")
def crossing(context):
    """Two generations that signal, call, and signal in the turn that ends them; the second has a child that signals."""
    entity = df.EntityId("account", context.instance_id)
    context.signal_entity(entity, "add", 1)
    value = yield context.call_entity(entity, "add", 10)
    context.signal_entity(entity, "add", 100)
    if context.get_input() == 1:
        context.continue_as_new(2)
    else:
        yield context.call_sub_orchestrator("signals", [["account", context.instance_id, "add", 1000]])
    return value


@app.orchestration_trigger(context_name="context")
def waits_between(context):
    entity = df.EntityId("account", context.get_input())
    yield context.call_entity(entity, "add", 1)
    yield context.wait_for_external_event("go")
    return (yield context.call_entity(entity, "add", 1))


@app.orchestration_trigger(context_name="context")
def signals_and_fails(context):
    context.signal_entity(df.EntityId("account", "rewound"), "add", 1)
    yield context.call_entity(df.EntityId("account", "rewound"), "add", 1)
    return (yield context.call_activity("fail_once", context.instance_id))


@app.orchestration_trigger(context_name="context")
def fails_while_it_calls(context):
    """Until it is mended, its custom status is too large, which fails it with its call open."""
    call = context.call_entity(df.EntityId("Journal", context.instance_id), "at_gate", "late")
    yield context.task_any([call, context.call_activity("pause", 0)])
    if "mended" not in Path(os.environ["NOTES"]).read_text(encoding="utf-8"):
        context.set_custom_status("x" * 20_000)
    try:
        return (yield call)
    except Exception as fault:
        return str(fault)


@app.orchestration_trigger(context_name="context")
def leaves_a_call_open(context):
    call = context.call_entity(df.EntityId("Journal", context.instance_id), "at_gate", "late")
    yield context.task_any([call, context.call_activity("pause", 0)])
    return "ended"


@app.activity_trigger(input_name="seconds")
def pause(seconds):
    time.sleep(seconds)


@app.activity_trigger(input_name="name")
def fail_once(name):
    note(f"fail_once {name}")
    if Path(os.environ["NOTES"]).read_text(encoding="utf-8").count(f"fail_once {name}\n") == 1:
        raise ValueError("the first time")
    return "the second time"


# --- clients ---


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client):
    value = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["name"], req.params.get("id"), value)
    return func.HttpResponse(json.dumps({"id": instance_id}), status_code=202)


@app.route(route="signal/{name}/{key}/{operation}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def signal(req: func.HttpRequest, client):
    entity = df.EntityId(req.route_params["name"], req.route_params["key"])
    value = req.get_json() if req.get_body() else None
    try:
        await client.signal_entity(entity, req.route_params["operation"], value)
    except Exception as fault:
        return func.HttpResponse(str(fault), status_code=502)
    return func.HttpResponse(status_code=202)


@app.route(route="read/{name}/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read(req: func.HttpRequest, client):
    response = await client.read_entity_state(df.EntityId(req.route_params["name"], req.route_params["key"]))
    return func.HttpResponse(json.dumps([response.entity_exists, response.entity_state]), mimetype="application/json")
