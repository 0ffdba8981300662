"""Which history belongs to the call of a sub-orchestration."""

import pytest

from devhost.execution.actions import SUB_ORCHESTRATION, Task
from devhost.execution.instance import Execution
from devhost.history.builders import Parent, execution_started
from devhost.orchestration.recovery import is_called_by
from devhost.storage.history_table import History


@pytest.mark.parametrize(
    ("caller", "is_its"),
    [
        (Parent("order-1", "execution 1", "saga", 3, ""), True),
        (Parent("order-1", "execution 1", "saga", 2, ""), False),  # an attempt before this one
        (Parent("order-1", "execution 0", "saga", 3, ""), False),  # a generation before this one
        (None, False),  # somebody else's instance of this id
    ],
)
def test_a_history_is_of_the_very_call_that_its_start_names(caller: Parent | None, is_its: bool) -> None:
    parent, child = (
        execution_started("order-1", "saga", None, ""),
        execution_started("ship-1", "ship", None, "", caller),
    )
    parent.fields["OrchestrationInstance"]["ExecutionId"] = "execution 1"
    history = History("execution 7", [child])
    assert is_called_by(history, Execution(parent), Task(3, SUB_ORCHESTRATION, "ship")) is is_its
