"""Values that JSON or UTF-8 does not take, in every place that the Durable API shows."""
# mypy: ignore-errors

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

DEEP = []
for _ in range(700):
    DEEP = [DEEP]

VALUES = {
    "half an emoji": "caf\ud83d",
    "the other half": "\ude00caf",
    "half a key": {"caf\ud83d": 1},
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
    "NaN inside": {"a": [1.5, float("nan"), {"b": float("-inf")}], "NaN": '"NaN", \\'},
    "deep": DEEP,
    "deep NaN": [DEEP, float("nan")],
}


@app.activity_trigger(input_name="text")
def value(text):
    return VALUES[text]


@app.activity_trigger(input_name="value")
def kind_of(value):
    return type(value).__name__


@app.activity_trigger(input_name="text")
def fails(text):
    raise ValueError(VALUES[text])


@app.orchestration_trigger(context_name="context")
def in_status(context):
    context.set_custom_status(VALUES[context.get_input()])
    return (yield context.call_activity("kind_of", 1))


@app.orchestration_trigger(context_name="context")
def in_output(context):
    yield context.call_activity("kind_of", 1)
    return VALUES[context.get_input()]


@app.orchestration_trigger(context_name="context")
def in_result(context):
    return (yield context.call_activity("value", context.get_input()))


@app.orchestration_trigger(context_name="context")
def in_activity_input(context):
    yield context.call_activity("kind_of", VALUES[context.get_input()])


@app.orchestration_trigger(context_name="context")
def in_failure(context):
    yield context.call_activity("fails", context.get_input())


@app.orchestration_trigger(context_name="context")
def in_own_failure(context):
    raise ValueError(VALUES[context.get_input()])
    yield


@app.orchestration_trigger(context_name="context")
def in_next_input(context):
    value = context.get_input()
    if value in list(VALUES):
        context.continue_as_new(VALUES[value])
    yield context.call_activity("kind_of", 1)


@app.orchestration_trigger(context_name="context")
def in_child(context):
    return (yield context.call_sub_orchestrator("echo", VALUES[context.get_input()]))


@app.orchestration_trigger(context_name="context")
def in_state(context):
    entity = df.EntityId("keeper", context.instance_id)
    return (yield context.call_entity(entity, "keep", VALUES[context.get_input()]))


@app.orchestration_trigger(context_name="context")
def in_event(context):
    return (yield context.wait_for_external_event("value"))


@app.orchestration_trigger(context_name="context")
def in_child_id(context):
    yield context.call_sub_orchestrator("echo", 1, "caf\ud83d")


@app.orchestration_trigger(context_name="context")
def in_entity_key(context):
    yield context.call_entity(df.EntityId("keeper", "caf\ud83d"), "keep", 1)


@app.orchestration_trigger(context_name="context")
def in_request(context):
    yield context.call_http("GET", "http://127.0.0.1:9", headers={"X": 1})


@app.orchestration_trigger(context_name="context")
def echo(context):
    return context.get_input()
    yield


@app.entity_trigger(context_name="context")
def keeper(context):
    context.set_state(context.get_input())
    context.set_result(context.get_input())


@app.route(route="start/{text}")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> str:
    return await client.start_new("echo", client_input=VALUES[req.route_params["text"]])


@app.route(route="raise/{instance}/{text}")
@app.durable_client_input(client_name="client")
async def raise_event(req: func.HttpRequest, client) -> str:
    await client.raise_event(req.route_params["instance"], "value", VALUES[req.route_params["text"]])
    return "raised"


@app.route(route="count")
@app.durable_client_input(client_name="client")
async def count(req: func.HttpRequest, client) -> str:
    return str(len(await client.get_status_all()))
