"""Functions of every kind that raise what is hard to tell; each takes the name of what it is to raise."""
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


@app.route(route="sync/{what}")
def in_http(req: func.HttpRequest) -> str:
    RAISES[req.route_params["what"]]()
    return "served"


@app.route(route="async/{what}")
async def in_async_http(req: func.HttpRequest) -> str:
    RAISES[req.route_params["what"]]()
    return "served"


@app.route(route="task/{what}")
async def in_a_task(req: func.HttpRequest) -> str:
    async def task():
        RAISES[req.route_params["what"]]()

    await asyncio.gather(task())
    return "served"


@app.route(route="answer/{what}")
def answers(req: func.HttpRequest) -> func.HttpResponse:
    """What an HTTP function may answer by mistake."""
    what = req.route_params["what"]
    if what.startswith("status "):
        return func.HttpResponse("x", status_code=what.removeprefix("status "))
    if what == "a status that is no number":
        return func.HttpResponse("x", status_code=NoRepr())
    if what == "a header that is no text":
        return func.HttpResponse("x", headers={"X": NoRepr()})
    if what == "a body that is no text":
        response = func.HttpResponse("x")
        response.get_body = lambda: 42
        return response
    return {"half an emoji": "caf\ud83d", "an object": NoRepr()}[what]


@app.activity_trigger(input_name="what")
def in_activity(what):
    RAISES[what]()
    return NoRepr() if what == "result" else "served"


@app.activity_trigger(input_name="what")
async def in_async_activity(what):
    RAISES[what]()
    return "served"


@app.orchestration_trigger(context_name="context")
def calls(context):
    """What each call of an activity came to: its result, or the first line of its failure."""
    given = context.get_input()
    came = []
    for what in given["raises"]:
        try:
            came.append((yield context.call_activity(given["activity"], what)))
        except Exception as fault:
            came.append(str(fault).splitlines()[0])
    return came


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
    """What each operation of an entity came to."""
    came = []
    for what in context.get_input():
        try:
            came.append((yield context.call_entity(df.EntityId("in_entity", "x"), what)))
        except Exception as fault:
            came.append(str(fault))
    return came


@app.entity_trigger(context_name="context")
def in_entity(context):
    RAISES[context.operation_name]()
    context.set_result("served")
