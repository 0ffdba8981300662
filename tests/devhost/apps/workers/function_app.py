"""An app whose functions say in which process they run."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import os
import time
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

WORD = "one"  # edited by a test
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def note(line):
    with Path(os.environ.get("NOTES", os.devnull)).open("a", encoding="utf-8") as notes:
        notes.write(line + "\n")


@app.route(route="process", methods=["GET"])
def process(req: func.HttpRequest) -> str:
    return f"{WORD} {os.getpid()}"


@app.activity_trigger(input_name="name")
def step(name):
    return os.getpid()


@app.activity_trigger(input_name="name")
def leave(name):
    os._exit(7)


@app.activity_trigger(input_name="gate")
def wait_at(gate):
    """Ends when the file is there."""
    note(f"gate {os.getpid()}")
    while not Path(gate).exists():
        time.sleep(0.01)
    return os.getpid()


@app.orchestration_trigger(context_name="context")
def steps(context):
    """The processes of its steps. A run of this code from its start is noted: one, unless the execution is replayed."""
    note(f"run {context.instance_id}")
    processes = []
    for number in range(context.get_input()):
        processes.append((yield context.call_activity("step", number)))
    return processes


@app.orchestration_trigger(context_name="context")
def waiting(context):
    first = yield context.call_activity("step", "")
    return [first, (yield context.call_activity("wait_at", context.get_input()))]


@app.orchestration_trigger(context_name="context")
def leaving(context):
    return (yield context.call_activity("leave", ""))
