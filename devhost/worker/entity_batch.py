"""Runs operations of one entity through the SDK's own handler, in order.

The SDK runs a batch in one call and returns one state for all of it. Changes of an operation that raises would stay,
and an operation without a result would return the previous one's. So with rollback, which is the default, each
operation is a call of its own from the state after the previous one. Without rollback the batch is one call.
"""

import inspect
import json
from collections.abc import Callable
from typing import Any

from devhost.history.failures import text_of

Handler = Callable[[str], str]
State = tuple[bool, str | None]

NO_ASYNC = "Entity functions must not be async: azure-functions-durable does not await them, so nothing would happen."


def run_batch(handler: Handler, body: bytes) -> bytes:
    """`body`: the SDK's context and `rollback`, as JSON. The answer is the SDK's: `entityExists`, `entityState` and
    `results`, one for each operation.
    """
    request: dict[str, Any] = json.loads(body)
    rollback, operations = request.pop("rollback"), request["batch"]
    state: State = (request["exists"], request["state"])
    steps = [[operation] for operation in operations] if rollback else [operations]
    results: list[dict[str, Any]] = []
    for step in steps:
        after, answers = _run(handler, request["self"], state, step)
        failed = any(answer["isError"] for answer in answers)
        state = state if rollback and failed else after
        results += answers
    return json.dumps({"entityExists": state[0], "entityState": state[1], "results": results}).encode()


def _run(handler: Handler, self_: Any, state: State, batch: list[Any]) -> tuple[State, list[dict[str, Any]]]:
    """One call of the SDK. If the whole call fails (a state that is not JSON, sys.exit), each operation fails."""
    context = {"self": self_, "exists": state[0], "state": state[1], "batch": batch}
    try:
        if inspect.iscoroutinefunction(getattr(handler, "entity_function", None)):
            raise TypeError(NO_ASYNC)
        answer = json.loads(handler(json.dumps(context)))
    except BaseException as fault:
        return state, [{"isError": True, "result": json.dumps(text_of(fault) or type(fault).__name__)} for _ in batch]
    exists = bool(answer["entityExists"])
    return (exists, answer["entityState"] if exists else None), answer["results"]
