"""Functions of every kind that raise what is hard to report; each takes the name of what it raises."""
# mypy: ignore-errors

import asyncio
import sys

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


class NoText(Exception):
    def __str__(self):
        return self.reason  # nobody has set it


class NoTextAtAll(Exception):
    """Not even the failure of its text has one."""

    def __str__(self):
        raise self


class ExitsWhenTold(Exception):
    def __str__(self):  # noqa: PLE0307 - it has none
        sys.exit("told")


class TextIsNoText(Exception):
    def __str__(self):
        return 42  # noqa: PLE0307 - it is none


class TextWithoutEnd(Exception):
    def __str__(self):
        return str(self)


class NoRepr:
    def __repr__(self):
        raise ValueError("no repr")


class NoNotes(Exception):
    @property
    def __notes__(self):
        raise SystemExit("no notes")


class NotAnException(BaseException):
    pass


def without_end(depth):
    return without_end(depth + 1)


def raise_from_itself():
    fault = ValueError("in a circle")
    fault.__cause__ = fault
    raise fault


def throw(fault):
    raise fault


RAISES = {
    "nothing": lambda: None,
    "no text": lambda: throw(NoText()),
    "no text at all": lambda: throw(NoTextAtAll()),
    "exits when told": lambda: throw(ExitsWhenTold()),
    "a text that is none": lambda: throw(TextIsNoText()),
    "a text without end": lambda: throw(TextWithoutEnd()),
    "no repr": lambda: throw(KeyError(NoRepr())),
    "no notes": lambda: throw(NoNotes("noted")),
    "half an emoji": lambda: throw(ValueError("caf\ud83d")),
    "sys.exit": lambda: sys.exit(3),
    "KeyboardInterrupt": lambda: throw(KeyboardInterrupt()),
    "GeneratorExit": lambda: throw(GeneratorExit()),
    "CancelledError": lambda: throw(asyncio.CancelledError()),
    "StopIteration": lambda: throw(StopIteration(1)),
    "not an Exception": lambda: throw(NotAnException("base")),
    "recursion without end": lambda: without_end(0),
    "a circle": raise_from_itself,
    "a group": lambda: throw(ExceptionGroup("several", [NoText(), ValueError("x")])),
}


@app.route(route="sync/{kind}")
def in_http(req: func.HttpRequest) -> str:
    RAISES[req.route_params["kind"]]()
    return "served"


@app.route(route="async/{kind}")
async def in_async_http(req: func.HttpRequest) -> str:
    RAISES[req.route_params["kind"]]()
    return "served"


@app.route(route="task/{kind}")
async def in_a_task(req: func.HttpRequest) -> str:
    async def task():
        RAISES[req.route_params["kind"]]()

    await asyncio.gather(task())
    return "served"


@app.route(route="answer/{kind}")
def answers(req: func.HttpRequest) -> func.HttpResponse:
    """What an HTTP function may answer by mistake."""
    kind = req.route_params["kind"]
    if kind.startswith("status "):
        return func.HttpResponse("x", status_code=kind.removeprefix("status "))
    if kind == "a status that is no number":
        return func.HttpResponse("x", status_code=NoRepr())
    if kind == "a header that is no text":
        return func.HttpResponse("x", headers={"X": NoRepr()})
    if kind == "a body that is no text":
        response = func.HttpResponse("x")
        response.get_body = lambda: 42
        return response
    return {"half an emoji": "caf\ud83d", "an object": NoRepr()}[kind]


@app.activity_trigger(input_name="kind")
def in_activity(kind):
    RAISES[kind]()
    return NoRepr() if kind == "result" else "served"


@app.activity_trigger(input_name="kind")
async def in_async_activity(kind):
    RAISES[kind]()
    return "served"


@app.orchestration_trigger(context_name="context")
def calls(context):
    """For each call of an activity its result, or the first line of its failure."""
    work = context.get_input()
    outputs = []
    for kind in work["raises"]:
        try:
            outputs.append((yield context.call_activity(work["activity"], kind)))
        except Exception as fault:
            outputs.append(str(fault).splitlines()[0])
    return outputs


@app.orchestration_trigger(context_name="context")
def raises_at_once(context):
    RAISES[context.get_input()]()
    yield context.call_activity("in_activity", "nothing")


@app.orchestration_trigger(context_name="context")
def raises_later(context):
    yield context.call_activity("in_activity", "nothing")
    RAISES[context.get_input()]()


@app.orchestration_trigger(context_name="context")
def asks(context):
    """For each operation of an entity its result, or its failure."""
    outputs = []
    for kind in context.get_input():
        try:
            outputs.append((yield context.call_entity(df.EntityId("in_entity", "x"), kind)))
        except Exception as fault:
            outputs.append(str(fault))
    return outputs


@app.entity_trigger(context_name="context")
def in_entity(context):
    RAISES[context.operation_name]()
    context.set_result("served")
