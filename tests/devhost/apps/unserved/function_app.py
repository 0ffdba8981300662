"""Functions that ask for what devhost does not serve; and one that is switched off, and one that is served."""
# mypy: ignore-errors

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.queue_trigger(arg_name="message", queue_name="orders", connection="AzureWebJobsStorage")
@app.durable_client_input(client_name="client")
async def from_queue(message: func.QueueMessage, client):
    await client.start_new("quick")


@app.blob_trigger(arg_name="blob", path="orders", connection="AzureWebJobsStorage")
def switched_off(blob: func.InputStream): ...


@app.route(route="to_queue")
@app.queue_output(arg_name="out", queue_name="orders", connection="AzureWebJobsStorage")
def to_queue(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set("an order")
    return "queued"


@app.timer_trigger(schedule="01:00:00", arg_name="timer")
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:01")
def retried(timer: func.TimerRequest) -> None: ...


@app.timer_trigger(schedule="0 0 9 * * *", arg_name="timer")
def at_nine(timer: func.TimerRequest) -> None: ...


@app.route(route="elsewhere")
@app.durable_client_input(client_name="client", task_hub="AnotherHub")
async def elsewhere(req: func.HttpRequest, client):
    return client.create_check_status_response(req, await client.start_new("quick"))


@app.orchestration_trigger(context_name="context")
def quick(context):
    return 1


@app.orchestration_trigger(context_name="context")
async def never_awaited(context):
    return 1
