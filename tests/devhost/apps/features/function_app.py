"""One small orchestrator for each feature, and HTTP functions for each rule of the edge. The tests run it."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import json
import time

import azure.durable_functions as df
import azure.functions as func
from disturbed_orchestrations import disturbed
from feature_activities import activities, note
from feature_orchestrations import orchestrations

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
more = df.Blueprint()


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    value = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["name"], req.params.get("id"), value)
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
    return "never reached: the function 'first' comes before it"


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


@app.route(route="slow", methods=["GET"])
def slow(req: func.HttpRequest) -> str:
    time.sleep(600)
    return "late"


@more.route(route="blue", methods=["GET"])
def blue(req: func.HttpRequest) -> str:
    return "print"


for blueprint in (activities, orchestrations, disturbed, more):
    app.register_functions(blueprint)
