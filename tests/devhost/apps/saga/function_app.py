"""A trip: flight, hotel and car are booked, and given back in reverse when one of them cannot be had."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import os
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="trips", methods=["POST"])
@app.durable_client_input(client_name="client")
async def book_trip(req: func.HttpRequest, client):
    instance_id = await client.start_new("trip", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def trip(context):
    booked = []
    try:
        for part in ("flight", "hotel", "car"):
            booked.append(part)
            yield context.call_activity("book", {"part": part, "sold_out": context.get_input()["sold_out"]})
    except Exception:
        for part in reversed(booked):
            yield context.call_activity("cancel", part)
        return "cancelled"
    return "booked"


@app.activity_trigger(input_name="task")
def book(task: dict) -> None:
    if task["part"] == task["sold_out"]:
        raise ValueError(f"no {task['part']} left")
    note(f"booked {task['part']}")


@app.activity_trigger(input_name="part")
def cancel(part: str) -> None:
    note(f"cancelled {part}")


def note(line: str) -> None:
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(line + "\n")
