"""Orchestrators that cannot go on, and functions that look at what they are given as `context`."""
# mypy: ignore-errors

import datetime

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


class Odd:
    _is_scheduled = False


def a_generator():
    yield 1


@app.activity_trigger(input_name="n")
def same(n):
    return n


ODD = {
    "None": lambda context: context.set_custom_status("half way"),
    "list": lambda context: [context.call_activity("same", 1), context.call_activity("same", 2)],
    "tuple": lambda context: (context.call_activity("same", 1),),
    "str": lambda context: "same",
    "int": lambda context: 0,
    "bool": lambda context: True,
    "dict": lambda context: {},
    "generator": lambda context: a_generator(),
    "FunctionBuilder": lambda context: same,
    "datetime": lambda context: context.current_utc_datetime,
    "EntityId": lambda context: df.EntityId("tally", "x"),
    "function": lambda context: context.call_activity,
    "type": lambda context: Odd,
    "Odd": lambda context: Odd(),
}


@app.orchestration_trigger(context_name="context")
def at_once(context):
    yield ODD[context.get_input()](context)
    return (yield context.call_activity("same", 1))


@app.orchestration_trigger(context_name="context")
def later(context):
    """At its third step, in whatever way it was caught before."""
    yield context.call_activity("same", 1)
    context.signal_entity(df.EntityId("tally", "x"), "add", 1)
    try:
        yield ODD[context.get_input()](context)
    except Exception:
        return "caught"


@app.orchestration_trigger(context_name="context")
def yields_a_signal(context):
    yield context.signal_entity(df.EntityId("tally", "x"), "add", 1)


@app.orchestration_trigger(context_name="context")
def yields_signals_among_others(context):
    signal = context.signal_entity(df.EntityId("tally", "x"), "add", 1)
    yield context.task_all([context.call_activity("same", 1), context.task_all([signal])])


@app.orchestration_trigger(context_name="context")
def signals_and_wins(context):
    signal = context.signal_entity(df.EntityId("tally", "x"), "add", 1)
    yield context.task_any([context.call_activity("same", 1), signal])
    if context.get_input() == "again":
        context.continue_as_new("no more")
        yield context.signal_entity(df.EntityId("tally", "x"), "add", 1)
    return "won"


@app.orchestration_trigger(context_name="context")
def raises_an_address(context):
    yield context.call_activity("same", 1)
    raise ValueError(f"{object()} is none of ours")


@app.orchestration_trigger(context_name="context")
def drains(context):
    yield context.create_timer(context.current_utc_datetime + datetime.timedelta(seconds=1))
    while True:
        order = yield context.wait_for_external_event("order")
        if order == "close":
            return "closed"


@app.orchestration_trigger(context_name="context")
def yields_one_task_for_ever(context):
    task = context.call_activity("same", 1)
    while True:
        yield task


@app.orchestration_trigger(context_name="context")
def without_end(context):
    yield context.call_activity("same", 1)

    def again(n):
        return again(n + 1)

    again(0)


@app.orchestration_trigger(context_name="context")
def counts(context):
    """The counter of Microsoft's documents: a signal, and then a call."""
    entity = df.EntityId("tally", context.instance_id)
    context.signal_entity(entity, "add", 1)
    return (yield context.call_entity(entity, "get"))


@app.entity_trigger(context_name="context")
def tally(context):
    n = context.get_state(lambda: 0)
    if context.operation_name == "add":
        n += context.get_input()
    context.set_state(n)
    context.set_result(n)


@app.route(route="trace")
def trace(req: func.HttpRequest, context: func.Context) -> str:
    trace = context.trace_context
    assert (trace.Traceparent, trace.Tracestate, trace.Attributes) == (
        trace.trace_parent,
        trace.trace_state,
        trace.attributes,
    )
    return f"{trace.trace_parent} {trace.trace_state} {trace.attributes}"


@app.route(route="tries")
async def tries(req: func.HttpRequest, context: func.Context) -> str:
    retries = context.retry_context
    return f"{retries.retry_count} {retries.max_retry_count} {retries.rpc_exception} {retries.exception}"


@app.route(route="ids")
def ids(req: func.HttpRequest, context) -> str:
    assert context.thread_local_storage.invocation_id == context.invocation_id
    return f"{context.function_name} {context.function_directory}"


@app.activity_trigger(input_name="n")
def traced(n, context):
    return context.trace_context.trace_parent


@app.orchestration_trigger(context_name="context")
def traces(context):
    return (yield context.call_activity("traced", 1))
