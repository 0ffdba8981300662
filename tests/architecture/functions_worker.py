"""Microsoft's own worker library over a directory, as the Functions host would drive it.

Run as a script in a process of its own (`python -I functions_worker.py DIR`), it makes DIR the working directory
and the first place for imports, and answers one JSON request a line on stdin with one JSON line on stdout. The
library speaks to its host in protobuf messages; it takes the module with their classes from its caller, so a small
stand-in of plain objects is all it needs. Rejected: the worker with its gRPC channel, which needs a host at the
other end, and asking only the SDK for the app's functions, which accepts what a worker refuses.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Reply = dict[str, Any]


class Message(SimpleNamespace):
    """A protobuf message: fields by name."""

    def WhichOneof(self, group: str) -> str | None:
        """The one field that was set, of a message that is a choice (a binding also has its name)."""
        return next((name for name in vars(self) if name != "name"), None)


class StatusResult(Message):
    Failure, Success, Cancelled = 0, 1, 2


class BindingInfo(Message):
    # The enumerations of the protocol: direction, and "no data type".
    undefined = 0
    out, inout = 1, 2


MESSAGES = (
    "FunctionLoadResponse FunctionMetadataResponse InvocationResponse ParameterBinding RpcException "
    "RpcFunctionMetadata RpcHttp RpcRetryOptions TypedData WorkerInitResponse WorkerMetadata"
)
PROTOS = SimpleNamespace(
    StatusResult=StatusResult,
    BindingInfo=BindingInfo,
    **{name: type(name, (Message,), {}) for name in MESSAGES.split()},
)


def envelope(kind: str, body: Message) -> Message:
    """What the worker hands to its library: the host's message, and what the library cannot get elsewhere."""
    return Message(request=Message(**{kind: body}), properties={"host": "127.0.0.1", "protos": PROTOS})


class Library:
    """The library between init and the last invocation. Imported only here: it reads the environment when it starts."""

    def __init__(self, app: Path) -> None:
        import azure_functions_runtime  # noqa: PLC0415 - see above

        self.calls = azure_functions_runtime
        self.app = app
        self.calls.start_threadpool_executor()

    async def init(self, request: Reply) -> Reply:
        body = Message(capabilities={}, function_app_directory=str(self.app))
        answer = await self.calls.worker_init_request(envelope("worker_init_request", body))
        return outcome(answer)

    async def functions(self, request: Reply) -> Reply:
        answer = await self.calls.functions_metadata_request(envelope("functions_metadata_request", Message()))
        metadata = answer.function_metadata_results or []
        return outcome(answer) | {"functions": [described(function) for function in metadata]}

    async def load(self, request: Reply) -> Reply:
        body = Message(function_id=request["id"])
        return outcome(await self.calls.function_load_request(envelope("function_load_request", body)))

    async def invoke(self, request: Reply) -> Reply:
        """`inputs` maps a binding's name to one of {"string": …}, {"json": …}, {"http": {…}}."""
        body = Message(
            invocation_id="invocation-1",
            function_id=request["id"],
            input_data=[parameter(name, value) for name, value in request["inputs"].items()],
            trigger_metadata={},
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
        answer = await self.calls.invocation_request(envelope("invocation_request", body))
        return outcome(answer) | {"value": plain(getattr(answer, "return_value", None))}


def described(function: Any) -> Reply:
    bindings = [json.loads(raw) for raw in function.raw_bindings]
    return {"name": function.name, "id": function.function_id, "bindings": bindings}


def parameter(name: str, input_: Reply) -> Any:
    data = {kind: http(value) if kind == "http" else value for kind, value in input_.items()}
    return PROTOS.ParameterBinding(name=name, data=PROTOS.TypedData(**data))


def http(request: Reply) -> Any:
    body = PROTOS.TypedData(bytes=request["body"].encode()) if request.get("body") else PROTOS.TypedData()
    return PROTOS.RpcHttp(
        method=request["method"],
        url=request["url"],
        headers=request.get("headers", {}),
        params=request.get("params", {}),
        query={},
        body=body,
    )


def outcome(answer: Any) -> Reply:
    failed = answer.result.status != StatusResult.Success
    return {"ok": not failed, "error": answer.result.exception.message if failed else None}


def plain(value: Any) -> Any:
    """A return value as JSON: typed data by kind, bytes as text."""
    if isinstance(value, Message):
        return {name: plain(field) for name, field in vars(value).items()}
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name: plain(field) for name, field in value.items()}
    return value


async def serve(app: Path, requests: Any, replies: Any) -> None:
    library = Library(app)
    verbs: dict[str, Callable[[Reply], Awaitable[Reply]]] = {
        "init": library.init,
        "functions": library.functions,
        "load": library.load,
        "invoke": library.invoke,
    }
    for line in requests:
        request = json.loads(line)
        reply = await verbs[request["verb"]](request)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> None:
    app = Path(sys.argv[1])
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What the app prints goes to stderr, so that it cannot break a reply.
    os.chdir(app)
    sys.path.insert(0, str(app))
    asyncio.run(serve(app, sys.stdin, replies))


if __name__ == "__main__":
    main()
