"""Runs an activity with plain JSON in and plain JSON out, and keeps personal data out of the history.

A refusal and an unknown outcome become typed outcomes. A fault stays an exception. The host writes its text and its
traceback into the history, so it is raised anew, with our own sentence and without its cause: the cause (a vendor's
message, a value that did not parse) may quote personal data.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from models.errors import OrderSagaError, OutcomeUnknown, Refused, Unavailable
from models.messages import StepRefused, StepUnknown, wire

log = logging.getLogger(__name__)

TaskT = TypeVar("TaskT", bound=BaseModel)
ServicesT = TypeVar("ServicesT")


def run(
    services: Callable[[], ServicesT],
    task_type: type[TaskT],
    raw: object,
    activity: Callable[[ServicesT, TaskT], BaseModel],
) -> dict[str, Any]:
    """Parse the task, build what the activity needs, call it, and return its outcome as plain JSON."""
    try:
        task = task_type.model_validate(raw)
        return wire(activity(services(), task))
    except Refused as refusal:
        skus = refusal.skus or None
        return wire(StepRefused(reason=refusal.reason, decline_code=refusal.decline_code, skus=skus))
    except OutcomeUnknown as unknown:
        log.warning("outcome unknown: %s", unknown)
        return wire(StepUnknown())
    except OrderSagaError as fault:
        raise Unavailable(str(fault)) from None
    except Exception as bug:
        where = "".join(traceback.format_tb(bug.__traceback__))
        log.error("unexpected %s\n%s", type(bug).__name__, where)
        raise Unavailable(f"Unexpected {type(bug).__name__}; the log says where.") from None
