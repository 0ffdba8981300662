"""The messages between the saga and its activities: the task that an activity receives, the outcome that it returns.

Each is plain JSON of ids and amounts, because it is written into the history, where operators and their tools read it.
An activity has one input record, so that a field can be added while orders are in flight.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from models.money import Total
from models.view import Failure, OrderView


class Wire(BaseModel):
    """Read tolerantly: a field that a later version adds must not break an order in flight."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Limits(Wire):
    """The times for which faults are retried (seconds), and the effect of a failed confirmation.

    They travel in the orchestration's input: an orchestrator may not read settings, which could change under a replay.
    """

    step_retry_s: float = 30
    undo_retry_s: float = 900
    confirmation_failure: Literal["compensate", "ignore"] = "compensate"


# The version of the saga that new orders get. It is in each order's input, and so in its history: an order that an
# older saga started continues by that saga's rules. docs/decisions/0014-saga-versions.md says how.
SAGA_VERSION = 3


class SagaInput(Wire):
    """Version 1 had no `version` in its input.

    `etag` is that of the record that the `POST` inserted. Only the saga that this `POST` starts has it.
    """

    order_id: str
    limits: Limits = Limits()
    version: int = 1
    etag: str | None = None


class Note(Wire):
    """A fact that is true since `at`. The next write of the order's record includes it.

    `event`: the audit event. `value`: the value of the fact, if it has one.
    """

    event: str
    at: AwareDatetime
    value: str = ""


class Left(Wire):
    """What an activity leaves to the next one. `activities.order_notes` says how the notes are written.

    `etag` is that of the record after the last activity. Only a first attempt has it: a process that remembers exactly
    this state may use it without reading the record.
    """

    etag: str | None = None
    notes: tuple[Note, ...] = ()

    def for_a_retry(self) -> Left:
        return Left(notes=self.notes)


class StepTask(Wire):
    """The input of every step.

    `operation_id` names the effect, never the attempt: `<order id>:<operation>`. `left` came with version 3: without
    it, an activity reads the record first and writes its own facts at once.
    """

    order_id: str
    operation_id: str
    left: Left | None = None


class UndoTask(StepTask):
    """The input of every compensation: `operation_id` is that of the step that is undone, `failure` is the reason.

    `attention` counts how often the order was parked before. It shows that an undo arrived after its order was parked
    again.
    """

    failure: Failure | None = None
    attention: int = 0


class CloseTask(Wire):
    """`attention` counts how often the order was parked: the operator's next event is `attention:<n>`."""

    order_id: str
    outcome: OrderView
    attention: int = 0
    left: Left | None = None


class StepDone(Wire):
    """The effect is done, or undone. `total` is what validation fixed; `resolved`: undone on an operator's evidence.

    `resumed`: an earlier orchestration of this order may have charged or shipped, so a failure undoes everything.
    `left`: what this activity and those before it have left to write.
    """

    kind: Literal["done"] = "done"
    total: Total | None = None
    resolved: bool | None = None
    resumed: bool | None = None
    left: Left | None = None


class StepRefused(Wire):
    """The business said no and nothing happened. Never retried."""

    kind: Literal["refused"] = "refused"
    reason: str
    decline_code: str | None = None
    skus: tuple[str, ...] | None = None


class StepUnknown(Wire):
    """Perhaps done, perhaps not. The next attempt finds out before it acts; the event `wake` makes it come earlier."""

    kind: Literal["unknown"] = "unknown"
    wake: str | None = None


class StepWaiting(Wire):
    """The order waits for a decision, at most until `deadline`. Call again when the event `wake` comes."""

    kind: Literal["waiting"] = "waiting"
    total: Total
    deadline: AwareDatetime
    wake: str


class StepCancelled(Wire):
    """The customer cancelled. An earlier attempt of this step may have acted, so its undo stays registered."""

    kind: Literal["cancelled"] = "cancelled"


class OrderUndoing(Wire):
    """An earlier orchestration of this order was undoing it, or was about to, and is gone: undo everything."""

    kind: Literal["undoing"] = "undoing"
    total: Total | None = None
    failure: Failure | None = None
    attention: int = 0


class OrderFinal(Wire):
    """The order has ended, and this is its outcome: return it, call nothing more."""

    kind: Literal["final"] = "final"
    outcome: dict[str, Any]


Outcome = StepDone | StepRefused | StepUnknown | StepWaiting | StepCancelled | OrderUndoing | OrderFinal
_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Annotated[Outcome, Field(discriminator="kind")])


def read_outcome(value: object) -> Outcome:
    """Parse what an activity returned. Raises pydantic.ValidationError for any other value."""
    return _OUTCOME.validate_python(value)


def wire(value: BaseModel) -> dict[str, Any]:
    """Plain JSON without empty fields: what goes into the history."""
    return value.model_dump(mode="json", exclude_none=True)
