"""What crosses the durable boundary: the task an activity is given, and the outcome it returns.

All of it is plain JSON of ids and amounts, because it is written into the history, where operators and their tools read
it. One input record per activity, so that a field can be added while orders are in flight.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from models.order import OrderId, Total
from models.status import OrderView


class Wire(BaseModel):
    """Read tolerantly: a field that a later version adds must not break an order in flight."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Limits(Wire):
    """How long faults are retried (seconds) and what a failed confirmation means.

    They travel in the orchestration's input: an orchestrator may not read settings, which could change under a replay.
    """

    step_retry_s: float = 30
    undo_retry_s: float = 900
    confirmation_failure: Literal["compensate", "ignore"] = "compensate"


class SagaInput(Wire):
    order_id: OrderId
    limits: Limits = Limits()


class StepTask(Wire):
    """The input of every step and of every compensation.

    `operation_id` names the effect, never the attempt: `<order id>:<operation>`. A compensation is given the operation
    id of the step it undoes.
    """

    order_id: OrderId
    operation_id: str


class CloseTask(Wire):
    order_id: OrderId
    outcome: OrderView


class StepDone(Wire):
    """The effect is there. `total` is what validation fixed."""

    kind: Literal["done"] = "done"
    total: Total | None = None


class StepRefused(Wire):
    """The business said no and nothing happened. Never retried."""

    kind: Literal["refused"] = "refused"
    reason: str
    decline_code: str | None = None


class StepUnknown(Wire):
    """Perhaps done, perhaps not. The next attempt finds out before it acts."""

    kind: Literal["unknown"] = "unknown"


class OrderFinal(Wire):
    """The order ended before this orchestration began: return its outcome, call nothing."""

    kind: Literal["final"] = "final"
    outcome: dict[str, Any]


Outcome = Annotated[StepDone | StepRefused | StepUnknown | OrderFinal, Field(discriminator="kind")]
_OUTCOME: TypeAdapter[StepDone | StepRefused | StepUnknown | OrderFinal] = TypeAdapter(Outcome)


def read_outcome(value: object) -> StepDone | StepRefused | StepUnknown | OrderFinal:
    """Parse what an activity returned. Raises pydantic.ValidationError when it is none of the four."""
    return _OUTCOME.validate_python(value)


def wire(value: BaseModel) -> dict[str, Any]:
    """Plain JSON without empty fields: what goes into the history."""
    return value.model_dump(mode="json", exclude_none=True)
