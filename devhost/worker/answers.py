"""The worker's answer to a call: a header with `ok` and fields that depend on the call, and a body."""

from typing import Any

from devhost import worker_protocol
from devhost.history.failures import error_of, stack_of

Answer = tuple[dict[str, Any], bytes]


def failure(fault: BaseException) -> Answer:
    """The answer of a function that failed, as the real worker words it."""
    return {"ok": False, "error": error_of(fault), "stack": stack_of(fault)}, b""


def frame_of(call_id: int, answer: Answer) -> bytes:
    """The frame of an answer; a failure if the app has put a value into it that is neither JSON nor bytes."""
    try:
        return worker_protocol.encode({"id": call_id, **answer[0]}, answer[1])
    except Exception as fault:
        return worker_protocol.encode({"id": call_id, **failure(fault)[0]})
