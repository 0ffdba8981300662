"""Sentences for executions that cannot continue, in place of the SDK's internal errors.

Each of these hangs in Azure, or fails there with an error of the SDK's own code.
"""

import traceback
from typing import Any

from azure.durable_functions.models.Task import TaskBase, WhenAllTask
from azure.durable_functions.models.TaskOrchestrationExecutor import TaskOrchestrationExecutor

from devhost.history.failures import error_of, stack_of

DEEP = 50
SIGNAL = "SignalEntityAction"
OF_SIGNAL = "it waits for a signal to an entity, which nothing answers: call context.signal_entity without a yield."
OF_NO_TASK = (
    "step {} yielded {}, which is no task: yield what a method of the context returns, such as "
    "context.call_activity(...), and several of these as context.task_all([...])."
)
OF_EARLY_EVENT = "the event {} came before its wait, and the SDK gives such an event to every later wait of its name"
OF_ENDED_TASKS = "the orchestrator yields too many tasks that have ended already, one after the other"


class DeadEnd(Exception):
    """The execution cannot continue; the text says why, for the author of the orchestrator."""

    def __init__(self, sentence: str, stack: str = "") -> None:
        super().__init__(sentence)
        self.stack = stack


def dead_end(executor: Any, fault: Exception | None, step: int) -> DeadEnd | None:
    """Why the SDK's executor cannot continue, or None. `fault`: the exception it raised; `step`: of the last yield."""
    out_of_stack = next((each for each in (fault, executor.exception) if isinstance(each, RecursionError)), None)
    if out_of_stack:
        return DeadEnd(_out_of_stack(executor, out_of_stack), stack_of(out_of_stack))
    yielded, ended = executor.current_task, executor.has_execution_completed
    if isinstance(yielded, TaskBase):
        return DeadEnd(OF_SIGNAL) if _needs_signal(yielded) and not ended else None
    if yielded is None and ended:
        return None
    description = "None" if yielded is None else f"a value of the type {type(yielded).__name__}"
    return DeadEnd(OF_NO_TASK.format(step, description))


def _needs_signal(task: Any) -> bool:
    """Whether a task ends only with the answer to a signal, which has none."""
    children = task.children if isinstance(task, WhenAllTask) else ()
    return getattr(task, "_api_name", "") == SIGNAL or any(map(_needs_signal, children))


def _out_of_stack(executor: Any, fault: RecursionError) -> str:
    """The sentence for a RecursionError of the SDK, or of the orchestrator itself."""
    if _depth_of_sdk(fault) < DEEP:
        return error_of(fault)
    early = ", ".join(f"'{key}'" for key in executor.context.deferred_tasks if isinstance(key, str))
    why = OF_EARLY_EVENT.format(early) if early else OF_ENDED_TASKS
    return (
        f"{error_of(fault)}. The SDK ran out of stack, because {why}. Each of these yields takes it one level deeper."
    )


def _depth_of_sdk(fault: BaseException) -> int:
    """How deep the SDK's resumptions of the orchestrator were nested when the fault was raised."""
    resume = getattr(TaskOrchestrationExecutor, "resume_user_code", None)
    code = getattr(resume, "__code__", None)
    raised_at = [frame for frame, _ in traceback.walk_tb(fault.__traceback__)][-1:]
    return sum(frame.f_code is code for last in raised_at for frame, _ in traceback.walk_stack(last))
