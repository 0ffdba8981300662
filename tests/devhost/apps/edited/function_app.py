"""An app that the tests edit while it is served: they write `words.py`, and add functions to this file."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import os
import time
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func
from words import WORD

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def note(line):
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(line + "\n")


@app.route(route="word", methods=["GET"])
def word(req: func.HttpRequest) -> str:
    return WORD


@app.activity_trigger(input_name="gate")
def pass_gate(gate):
    """Ends when the file is there; answers by which code it was run."""
    note(f"{WORD} is at the gate")
    while not Path(gate).exists():
        time.sleep(0.01)
    return WORD


@app.orchestration_trigger(context_name="context")
def passing(context):
    return (yield context.call_activity("pass_gate", context.get_input()))


@app.orchestration_trigger(context_name="context")
def waiting(context):
    gate = yield context.wait_for_external_event("gate")
    return (yield context.call_activity("pass_gate", gate))
