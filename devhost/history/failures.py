"""The texts of failures, as the Functions host and the Durable extension word them.

An orchestrator can only read texts: the exception of an activity reaches it as Reason and Details of TaskFailed. So
the wording is part of the contract: programs search for pieces of it.
"""

import traceback

from devhost.history.events import compact_json


def error_of(fault: BaseException) -> str:
    """`Type: text`, as the real worker words an exception."""
    return f"{type(fault).__name__}: {text_of(fault)}"


def text_of(fault: BaseException) -> str:
    """The text of an exception. The app's code makes it; where that code fails, a sentence says so."""
    try:
        return str.__str__(str(fault))
    except BaseException as another:
        return f"(the text of this exception cannot be made: its __str__ raised {type(another).__name__})"


def stack_of(fault: BaseException) -> str:
    """The traceback of an exception; the app's code in its notes and causes may fail as well."""
    try:
        return "".join(traceback.format_exception(fault))
    except BaseException:
        return f"{error_of(fault)}\n"


def worker_message(error: str, stack: str) -> str:
    """The host's message for a function that raised."""
    return f"Result: Failure\nException: {error}\nStack: {stack}"


def activity_failure(name: str, error: str, stack: str) -> tuple[str, str]:
    """Reason and Details of a TaskFailed. Two spaces after the colon, as the extension's cutting leaves them."""
    reason = f"Activity function '{name}' failed:  {error}"
    inner = {
        "ClassName": "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException",
        "Message": worker_message(error, stack),
        "InnerException": None,
        "StackTraceString": None,
    }
    outer = {"ClassName": "System.Exception", "Message": f" {error}", "InnerException": inner, "StackTraceString": None}
    return reason, compact_json(outer)


def orchestrator_failure(name: str, error: str) -> str:
    """The output of a failed orchestration."""
    return f"Orchestrator function '{name}' failed: {error}"
