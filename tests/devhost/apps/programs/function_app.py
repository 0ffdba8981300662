"""One orchestrator that carries out programs: JSON trees that say what an orchestration does. A test makes them up.

Its input: the `parts` of the program that are left (each but the last ends with continue-as-new), the `trail` of the
results so far, and `root`, the instance that it all began with, under whose name its activities note their runs. What
an activity receives depends on the whole trail, so that a result that was lost, repeated or exchanged shows in the end.
"""
# mypy: ignore-errors
# Written as users write such apps: without types.

import asyncio
import json
import os
import time
import zlib
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


# --- activities ---


@app.activity_trigger(input_name="call")
def work(call):
    """Return a number that depends on the trail, or a large text. The first `fails` runs raise."""
    runs = note_run(call["key"])
    time.sleep(call["ms"] / 1000)
    return answer(call, runs)


@app.activity_trigger(input_name="call")
async def work_softly(call):
    runs = note_run(call["key"])
    await asyncio.sleep(call["ms"] / 1000)
    return answer(call, runs)


def note_run(key):
    """Note the moment of a run; the number of runs so far."""
    path = Path(os.environ["NOTES"])
    with path.open("a", encoding="utf-8") as notes:
        notes.write(f"{time.time_ns()} {key}\n")
    return path.read_text(encoding="utf-8").count(f" {key}\n")


def answer(call, runs):
    if runs <= call["fails"]:
        raise ValueError(f"step {call['n']}")
    number = (call["trail"] + call["n"]) % 1_000_003
    return f"{number}".rjust(40_000) if call["large"] else number


# --- the orchestrator ---


@app.orchestration_trigger(context_name="context")
def program(context):
    run = context.get_input()
    for step in run["parts"][0]:
        yield from STEPS[step["do"]](context, run, step)
    if len(run["parts"]) == 1:
        return run["trail"]
    context.continue_as_new({**run, "parts": run["parts"][1:]})


def take(context, run, step):
    """Wait for one task, simple or compound, and keep its result."""
    task = Built(context, run, step["task"])
    announce(context, [task])
    try:
        result = yield task.task
        run["trail"].append(task.read(result))
    finally:
        cancel_timers(task)


def attempt(context, run, step):
    """The same, and a failure is a result too."""
    try:
        yield from take(context, run, step)
    except Exception as fault:
        run["trail"].append(first_line(fault))


def race(context, run, step):
    """Wait for the first of some tasks, do other things meanwhile, then wait for all of them.

    The results do not show which one was first.
    """
    tasks = [Built(context, run, task) for task in step["of"]]
    announce(context, tasks)
    yield context.task_any([each.task for each in tasks])
    for task in step["meanwhile"]:
        result = yield Built(context, run, task).task
        run["trail"].append(result)
    results = yield context.task_all([each.task for each in tasks])
    run["trail"].append([each.read(result) for each, result in zip(tasks, results, strict=True)])
    for each in tasks:
        cancel_timers(each)


def remind(context, run, step):
    """Wait for a task or for a timer; after the timer, for the task alone. Which one was first, the result hides."""
    task = Built(context, run, step["task"])
    announce(context, [task])
    timer = context.create_timer(soon(context, step["ms"]))
    winner = yield context.task_any([task.task, timer])
    if winner == timer:
        result = yield task.task
    else:
        timer.cancel()
        result = winner.result
    run["trail"].append(task.read(result))
    cancel_timers(task)


def report(context, _run, step):
    context.set_custom_status(step["status"])
    return
    yield


STEPS = {"take": take, "attempt": attempt, "race": race, "remind": remind, "report": report}


class Built:
    """A task of the SDK as a program describes it; how its result is read depends on what it is made of."""

    def __init__(self, context, run, described):
        self.described, self.children = described, [Built(context, run, each) for each in described.get("of", ())]
        self.task = TASKS[described["task"]](context, run, described, [each.task for each in self.children])

    def read(self, result):
        if isinstance(result, Exception):  # of a task_any, a failure can be the first to come
            return first_line(result)
        if self.described["task"] == "all":
            return [child.read(each) for child, each in zip(self.children, result, strict=True)]
        if self.described["task"] == "any":  # the result is the task that was first
            winner = next(child for child in self.children if child.task == result)
            return [self.children.index(winner), winner.read(result.result)]
        return result

    def all(self):
        return [self, *(each for child in self.children for each in child.all())]


def cancel_timers(task):
    """Cancel those that nobody waits for any more, so that the instance need not either."""
    for each in task.all():
        if each.described["task"] == "far timer" and not each.task.is_completed:
            each.task.cancel()


def announce(context, tasks):
    """Say which events are being waited for: those that are sent only then."""
    events = [each.described for task in tasks for each in task.all() if each.described["task"] == "event"]
    names = [each["name"] for each in events if not each["early"]]
    if names:
        context.set_custom_status({"waits for": names})


def an_activity(context, run, described, _children):
    return context.call_activity(described["name"], call_of(run, described))


def a_retried_activity(context, run, described, _children):
    return context.call_activity_with_retry(described["name"], options_of(described), call_of(run, described))


def a_timer(context, _run, described, _children):
    return context.create_timer(soon(context, described["ms"]))


def a_far_timer(context, _run, _described, _children):
    return context.create_timer(context.current_utc_datetime + timedelta(hours=1))


def an_event(context, _run, described, _children):
    return context.wait_for_external_event(described["name"])


def a_child(context, run, described, _children):
    part = {"root": run["root"], "parts": described["parts"], "trail": [digest(run["trail"])]}
    child_id = f"{context.instance_id}-{described['n']}" if described["named"] else None
    if described["attempts"] == 1:
        return context.call_sub_orchestrator("program", part, child_id)
    return context.call_sub_orchestrator_with_retry("program", options_of(described), part, child_id)


def all_of(context, _run, _described, children):
    return context.task_all(children)


def any_of(context, _run, _described, children):
    return context.task_any(children)


TASKS = {
    "work": an_activity,
    "retried work": a_retried_activity,
    "timer": a_timer,
    "far timer": a_far_timer,
    "event": an_event,
    "child": a_child,
    "all": all_of,
    "any": any_of,
}


def call_of(run, described):
    key = f"{run['root']}/{described['n']}"
    options = {name: described[name] for name in ("n", "fails", "ms", "large")}
    return {"key": key, "trail": digest(run["trail"]), **options}


def options_of(described):
    return df.RetryOptions(first_retry_interval_in_milliseconds=10, max_number_of_attempts=described["attempts"])


def soon(context, milliseconds):
    return context.current_utc_datetime + timedelta(milliseconds=milliseconds)


def digest(trail):
    return zlib.crc32(json.dumps(trail).encode())


def first_line(fault):
    return str(fault).partition("\n")[0].strip()
