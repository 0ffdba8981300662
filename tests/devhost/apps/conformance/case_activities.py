"""The activities of the cases, and what their orchestrators hand to them."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import os
from pathlib import Path

import azure.durable_functions as df

activities = df.Blueprint()


THREE_TIMES = df.RetryOptions(first_retry_interval_in_milliseconds=20, max_number_of_attempts=3)


@activities.activity_trigger(input_name="value")
def double(value):
    return value * 2


@activities.activity_trigger(input_name="value")
async def give_back(value):
    return value


@activities.activity_trigger(input_name="failures")
def fail_times(failures):
    """Raise `times` times, then return how often it was called."""
    notes = Path(os.environ["NOTES"])
    with notes.open("a", encoding="utf-8") as file:
        file.write(f"{failures['key']}\n")
    calls = notes.read_text(encoding="utf-8").splitlines().count(failures["key"])
    if calls <= failures["times"]:
        raise ValueError(f"call {calls}")
    return calls


def failing(context, times, suffix=""):
    """The input of fail_times that fails for this instance alone, and not in another instance again."""
    return {"key": f"{context.instance_id}{suffix}", "times": times}
