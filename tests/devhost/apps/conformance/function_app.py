"""One small orchestrator for each case of test_conformance.py, and one HTTP function for each call of the SDK's client.

The tests also load this file themselves, to replay its orchestrators over the histories that they find in storage. So
nothing here looks at more than its context, except the one orchestrator that is meant not to be deterministic.
"""
# mypy: ignore-errors
# Written as users write such apps: without types.

import json
from datetime import datetime

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus
from azure.durable_functions.models.PurgeHistoryResult import PurgeHistoryResult
from case_activities import activities
from instance_cases import instances
from task_cases import tasks

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for blueprint in (activities, tasks, instances):
    app.register_functions(blueprint)


@app.route(route="echo", methods=["POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    shown = {"body": req.get_json(), "type": req.headers.get("content-type")}
    return func.HttpResponse(json.dumps(shown), mimetype="application/json")


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
    value = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["name"], req.params.get("id"), value)
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
    return {name: read.get(name, lambda argument: argument)(value) for name, value in arguments.items()}


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
