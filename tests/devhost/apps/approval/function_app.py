"""Human interaction: an answer that is waited for, for a while."""
# mypy: ignore-errors
# Written as users write such apps: without types.

from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="requests", methods=["POST"])
@app.durable_client_input(client_name="client")
async def request_approval(req: func.HttpRequest, client):
    instance_id = await client.start_new("approval", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.route(route="requests/{id}/answer", methods=["POST"])
@app.durable_client_input(client_name="client")
async def answer(req: func.HttpRequest, client):
    await client.raise_event(req.route_params["id"], "Approval", req.get_json())
    return func.HttpResponse(status_code=202)


@app.orchestration_trigger(context_name="context")
def approval(context):
    yield context.call_activity("ask", context.get_input()["item"])
    due = context.current_utc_datetime + timedelta(seconds=context.get_input()["seconds"])
    timer = context.create_timer(due)
    approved = context.wait_for_external_event("Approval")
    winner = yield context.task_any([approved, timer])
    if winner == timer:
        return (yield context.call_activity("escalate", context.get_input()["item"]))
    timer.cancel()
    return approved.result


@app.activity_trigger(input_name="item")
def ask(item: str) -> None:
    """Where a mail would be sent."""


@app.activity_trigger(input_name="item")
def escalate(item: str) -> str:
    return f"{item} was escalated"
