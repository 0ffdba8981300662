"""Functions in all the ways in which parameters, bindings and annotations can fit or not. Nobody serves them.

Each is indexed by Microsoft's worker library and by devhost, and both have to refuse the same ones.
"""
# mypy: ignore-errors

import typing
from typing import Any, Dict, List, Literal, Optional, Tuple, TypeVar, Union  # noqa: UP035 - the old ones are another type

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
bp = df.Blueprint()
NONE = object()


class Context:
    """Not the SDK's, but of its name."""


class Mine(func.HttpRequest):
    pass


class Text(str):
    pass


ANNOTATIONS = [
    NONE,
    str,
    bytes,
    bytearray,
    int,
    dict,
    list,
    object,
    None,
    Any,
    Text,
    Mine,
    Dict[str, int],  # noqa: UP006 - the old ones are another type
    List[func.QueueMessage],  # noqa: UP006
    List,  # noqa: UP006
    Tuple[int, str],  # noqa: UP006
    dict[str, int],
    list[func.QueueMessage],
    Optional[str],  # noqa: UP045
    Union[str, bytes],  # noqa: UP007
    str | None,
    Literal["a"],
    TypeVar("T"),
    typing.Callable,
    "str",
    "NobodyKnows",
    func.HttpRequest,
    func.HttpResponse,
    func.TimerRequest,
    func.QueueMessage,
    func.InputStream,
    func.Document,
    func.DocumentList,
    func.Context,
    func.OrchestrationContext,
    func.EntityContext,
    df.DurableOrchestrationClient,
    func.Out,
    func.Out[str],
    func.Out[bytes],
    func.Out[List[str]],  # noqa: UP006
    func.Out[dict],
    func.Out[func.HttpResponse],
    func.Out[func.QueueMessage],
    Context,
    1,
]


def function_of(name, parameters, returns=NONE):
    """A function of these parameters with these annotations."""
    space = {}
    exec(f"def {name}({', '.join(parameters)}): ...", globals(), space)
    code = space[name]
    code.__annotations__ = {key.lstrip("*"): value for key, value in parameters.items() if value is not NONE}
    if returns is not NONE:
        code.__annotations__["return"] = returns
    return code


def queue_output(name):
    return app.queue_output(arg_name=name, queue_name="q", connection="C")


TRIGGERS = {
    "http": lambda: app.route(trigger_arg_name="x"),
    "timer": lambda: app.timer_trigger(arg_name="x", schedule="0 0 3 * * *"),
    "queue": lambda: app.queue_trigger(arg_name="x", queue_name="q", connection="C"),
    "blob": lambda: app.blob_trigger(arg_name="x", path="p", connection="C"),
    "cosmos": lambda: app.cosmos_db_trigger(arg_name="x", connection="C", database_name="d", container_name="c"),
    "grid": lambda: app.event_grid_trigger(arg_name="x"),
    "activity": lambda: app.activity_trigger(input_name="x"),
    "generic": lambda: app.generic_trigger(arg_name="x", type="signalRTrigger"),
    "warmup": lambda: app.warm_up_trigger(arg_name="x"),
}
BINDINGS = {
    "queue_out": queue_output,
    "blob_in": lambda name: app.blob_input(arg_name=name, path="p", connection="C"),
    "blob_out": lambda name: app.blob_output(arg_name=name, path="p", connection="C"),
    "table_in": lambda name: app.table_input(arg_name=name, connection="C", table_name="t"),
    "generic_in": lambda name: app.generic_input_binding(arg_name=name, type="signalR"),
    "generic_out": lambda name: app.generic_output_binding(arg_name=name, type="signalR"),
    "client": lambda name: app.durable_client_input(client_name=name),
    "http_out": lambda name: app.generic_output_binding(arg_name=name, type="http"),
}
for number, annotation in enumerate(ANNOTATIONS):
    for kind, trigger in TRIGGERS.items():
        trigger()(function_of(f"{kind}_trigger_{number}", {"x": annotation}))
    for kind, binding in BINDINGS.items():
        app.route(route=f"{kind}{number}")(
            binding("y")(function_of(f"{kind}_{number}", {"req": NONE, "y": annotation}))
        )
    app.route()(function_of(f"http_returns_{number}", {"req": NONE}, annotation))
    app.activity_trigger(input_name="x")(function_of(f"activity_returns_{number}", {"x": NONE}, annotation))
    queue_output("$return")(TRIGGERS["timer"]()(function_of(f"queue_returns_{number}", {"x": NONE}, annotation)))
    TRIGGERS["timer"]()(function_of(f"timer_returns_{number}", {"x": NONE}, annotation))
    app.route()(function_of(f"context_{number}", {"req": NONE, "context": annotation}))

NAMES = [{}, {"y": NONE}, {"x": NONE, "y": NONE}, {"x": NONE, "y=1": NONE}, {"*x": NONE}, {"x": NONE, "*args": NONE}]
NAMES += [{"x": NONE, "**rest": NONE}, {"*": NONE, "x": NONE}, {"x": NONE, "context": NONE, "more": NONE}]
for number, parameters in enumerate(NAMES):
    for kind, trigger in TRIGGERS.items():
        trigger()(function_of(f"{kind}_named_{number}", parameters))
    app.durable_client_input(client_name="client")(
        app.route(trigger_arg_name="x")(function_of(f"client_named_{number}", parameters))
    )

for name in ("context", "ctx"):
    app.orchestration_trigger(context_name=name)(function_of(f"orchestrator_of_{name}", {name: NONE}))
    app.orchestration_trigger(context_name=name)(function_of(f"annotated_orchestrator_of_{name}", {name: int}, int))
    app.entity_trigger(context_name=name)(function_of(f"entity_of_{name}", {name: NONE}))
    app.activity_trigger(input_name=name)(function_of(f"activity_of_{name}", {name: func.Context}))

RETRIES = [
    ("fixed_delay", "2", "00:00:01", None, None),
    ("fixed_delay", 2, "00:00:01", None, None),
    ("fixed_delay", "2", None, None, None),
    ("fixed_delay", "many", "00:00:01", None, None),
    ("fixed_delay", "2", "1s", None, None),
    ("fixed_delay", None, "00:00:01", None, None),
    ("exponential_backoff", "2", None, "00:00:01", "00:01:00"),
    ("exponential_backoff", "2", None, "00:00:90", None),
    ("exponential_backoff", "2", None, None, "24:00:00"),
    ("exponential_backoff", "-1", "nonsense", None, None),
    ("other", "2", None, None, None),
]
for number, (strategy, count, delay, least, most) in enumerate(RETRIES):
    retry = app.retry(strategy, count, delay, least, most)
    retry(TRIGGERS["timer"]()(function_of(f"retry_{number}", {"x": NONE})))


@bp.activity_trigger(input_name="item")
def last_of_the_blueprint(item):
    return item


@bp.durable_client_input(client_name="client")
@app.route(route="unbound")
async def unbound(req: func.HttpRequest, client) -> str:
    return "x"


app.register_functions(bp)
