"""Functions that ignore their input: an error happened before they were called."""
# mypy: ignore-errors
# Written as users write such apps: without types.

import azure.durable_functions as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def plain(context):
    return "done"


@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("what nobody sends")


@app.entity_trigger(context_name="context")
def keeper(context):
    context.set_state(1)
