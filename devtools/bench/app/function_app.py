"""The app of the bench: orchestrations whose activities do nothing, so that the bench measures the engine."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import azure.durable_functions as df

app = df.DFApp()
STEPS = ("one", "two", "three", "four", "five")


@app.orchestration_trigger(context_name="context")
def saga(context):
    """Five steps that succeed."""
    done = []
    for step in STEPS:
        done.append((yield context.call_activity("step", step)))
    return done


@app.orchestration_trigger(context_name="context")
def twin(context):
    """The same saga when its last step is refused: the four before it are undone, in reverse."""
    done = []
    for step in STEPS:
        outcome = yield context.call_activity("refuse" if step == STEPS[-1] else "step", step)
        if outcome == "refused":
            break
        done.append(step)
    for step in reversed(done):
        yield context.call_activity("undo", step)
    return "compensated"


@app.orchestration_trigger(context_name="context")
def chain(context):
    """Steps one after the other; the input is their number."""
    for number in range(context.get_input()):
        yield context.call_activity("step", number)


@app.orchestration_trigger(context_name="context")
def fan(context):
    """Steps all at once; the input is their number."""
    results = yield context.task_all([context.call_activity("step", number) for number in range(context.get_input())])
    return len(results)


@app.orchestration_trigger(context_name="context")
def nothing(context):
    """Ends at once, to fill a hub with finished instances."""
    return


@app.activity_trigger(input_name="payload")
def step(payload):
    return payload


@app.activity_trigger(input_name="payload")
def refuse(payload):
    return "refused"


@app.activity_trigger(input_name="payload")
def undo(payload):
    return payload
