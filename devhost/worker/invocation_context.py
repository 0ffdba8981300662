"""The optional `context` argument of a function, with the members of the real worker's."""

import re
import secrets
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import azure.functions as func

TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
LOCAL = threading.local()


@dataclass(frozen=True)
class TraceContext:
    """W3C's trace context: the request's, or a new one."""

    trace_parent: str
    trace_state: str
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def Traceparent(self) -> str:  # the worker's older names
        return self.trace_parent

    @property
    def Tracestate(self) -> str:
        return self.trace_state

    @property
    def Attributes(self) -> dict[str, str]:
        return self.attributes


@dataclass(frozen=True)
class RetryContext:
    """devhost follows no retry policy of a function, so each call is the first."""

    retry_count: int = 0
    max_retry_count: int = 0
    rpc_exception: None = None
    exception: None = None


class InvocationContext(func.Context):  # type: ignore[misc] # the base class has no types
    """Made in the thread that runs the call. `headers` are the request's, if the call has one."""

    def __init__(self, name: str, headers: Mapping[str, str]) -> None:
        self._name, self._id = name, str(uuid.uuid4())
        LOCAL.invocation_id = self._id
        trace_parent = headers.get("traceparent", "")
        if TRACE_PARENT.fullmatch(trace_parent):
            self._trace = TraceContext(trace_parent, headers.get("tracestate", ""))
        else:
            self._trace = TraceContext(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00", "")

    @property
    def invocation_id(self) -> str:
        return self._id

    @property
    def function_name(self) -> str:
        return self._name

    @property
    def function_directory(self) -> str:
        """The app's folder, which is the worker's working directory."""
        return str(Path.cwd())

    @property
    def thread_local_storage(self) -> threading.local:
        return LOCAL

    @property
    def trace_context(self) -> TraceContext:
        return self._trace

    @property
    def retry_context(self) -> RetryContext:
        return RetryContext()
