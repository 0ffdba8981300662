"""A monitor: looks again and again until a job is ready, by timers and without end, generation after generation."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import os
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="monitors", methods=["POST"])
@app.durable_client_input(client_name="client")
async def begin(req: func.HttpRequest, client):
    instance_id = await client.start_new("monitor", client_input={"looks": 0})
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def monitor(context):
    seen = context.get_input()
    if (yield context.call_activity("is_ready", "job")):
        return seen
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=50))
    context.continue_as_new({"looks": seen["looks"] + 1})
    return None


@app.activity_trigger(input_name="job")
def is_ready(job: str) -> bool:
    return "ready" in Path(os.environ["NOTES"]).read_text(encoding="utf-8")
