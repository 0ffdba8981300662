"""Activities: what they ran is noted in the file that the tests read."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import asyncio
import os
import sys
import time
import uuid
from pathlib import Path

import azure.durable_functions as df

activities = df.Blueprint()


def note(line: str) -> None:
    """Append a line to the file that the tests read: what really ran."""
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(line + "\n")


def wait_for_file(name):
    while name and not Path(name).exists():
        time.sleep(0.01)


@activities.activity_trigger(input_name="value")
def double(value):
    return value * 2


@activities.activity_trigger(input_name="value")
async def double_slowly(value, context):
    await asyncio.sleep(0.05)
    return [value * 2, context.function_name]


@activities.activity_trigger(input_name="name")
def nothing(name):
    note(f"nothing {name}")


@activities.activity_trigger(input_name="job")
def fail_times(job):
    """Raise `times` times, then return how often it was called. `gate`: the name of a file to wait for first."""
    note(f"fail_times {job['key']}")
    wait_for_file(job.get("gate"))
    calls = Path(os.environ["NOTES"]).read_text(encoding="utf-8").count(f"fail_times {job['key']}\n")
    if calls <= job["times"]:
        raise ValueError(f"call {calls} of {job['key']}")
    return calls


@activities.activity_trigger(input_name="until")
def sleep(until):
    """So many seconds, or until there is a file of this name."""
    note("sleep begins")
    if isinstance(until, str):
        wait_for_file(until)
    else:
        time.sleep(until)
    note("sleep ends")
    return "slept"


@activities.activity_trigger(input_name="how")
def leave(how):
    note(f"leave {how}")
    if how == "sys.exit":
        sys.exit(3)
    os._exit(4)


@activities.activity_trigger(input_name="value")
def unserialisable(value):
    return object()


@activities.activity_trigger(input_name="size")
def large(size):
    return "x" * size


@activities.activity_trigger(input_name="text")
def shout(text):
    return text.upper()


@activities.activity_trigger(input_name="value")
def plus_one(value):
    return value + 1


@activities.activity_trigger(input_name="step")
def mark(step):
    note(f"mark {step}")
    return step.split()[1]


@activities.activity_trigger(input_name="step")
def mark_but_fail_at_first(step):
    note(f"mark {step}")
    if Path(os.environ["NOTES"]).read_text(encoding="utf-8").count(f"mark {step}\n") == 1:
        raise ValueError("the first run fails")
    return step.split()[1]


@activities.activity_trigger(input_name="key")
def draw_a_number(key):
    """Answers otherwise in each run, and notes it."""
    number = uuid.uuid4().hex
    note(f"drew {key} {number}")
    return number


@activities.activity_trigger(input_name="job")
def use(job):
    note(f"used {job['key']} {job['number']}")
    return job["number"]
