"""Fan-out and fan-in: as many tasks as an activity found work, all at once, and one that adds up what they did."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="count", methods=["POST"])
@app.durable_client_input(client_name="client")
async def count(req: func.HttpRequest, client):
    instance_id = await client.start_new("count_words", None, req.get_json())
    return await client.wait_for_completion_or_create_check_status_response(req, instance_id, 30_000, 100)


@app.orchestration_trigger(context_name="context")
def count_words(context):
    texts = yield context.call_activity("split", context.get_input())
    counts = yield context.task_all([context.call_activity("words_of", text) for text in texts])
    total = yield context.call_activity("add_up", counts)
    return total


@app.activity_trigger(input_name="texts")
def split(texts: list) -> list:
    return [text.strip() for text in texts]


@app.activity_trigger(input_name="text")
def words_of(text: str) -> int:
    return len(text.split())


@app.activity_trigger(input_name="counts")
async def add_up(counts: list) -> int:
    return sum(counts)
