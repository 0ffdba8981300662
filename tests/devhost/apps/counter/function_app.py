"""The counter of the documentation: an entity for each key, and HTTP functions that read, add and reset."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import json

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.entity_trigger(context_name="context")
def Counter(context):
    current_value = context.get_state(lambda: 0)
    operation = context.operation_name
    if operation == "add":
        amount = context.get_input()
        current_value += amount
    elif operation == "reset":
        current_value = 0
    elif operation == "get":
        context.set_result(current_value)
    context.set_state(current_value)


@app.route(route="counters/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read_counter(req: func.HttpRequest, client):
    response = await client.read_entity_state(df.EntityId("Counter", req.route_params["key"]))
    if not response.entity_exists:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(json.dumps(response.entity_state), mimetype="application/json")


@app.route(route="counters/{key}/{operation}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def signal_counter(req: func.HttpRequest, client):
    amount = req.get_json() if req.get_body() else None
    entity = df.EntityId("Counter", req.route_params["key"])
    await client.signal_entity(entity, req.route_params["operation"], amount)
    return func.HttpResponse(status_code=202)


@app.route(route="transfers", methods=["POST"])
@app.durable_client_input(client_name="client")
async def transfer(req: func.HttpRequest, client):
    instance_id = await client.start_new("add_if_small", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def add_if_small(context):
    request = context.get_input()
    entity = df.EntityId("Counter", request["key"])
    value = yield context.call_entity(entity, "get")
    if value < request["limit"]:
        context.signal_entity(entity, "add", request["amount"])
    return value
