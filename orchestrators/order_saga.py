"""The order saga: validate, reserve, pay, ship, notify; on any failure, undo in reverse.

Pure: no clock, no randomness, no I/O, no settings. The link to the activities is their name in the history.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from orchestrators.saga import OrderAlreadyFinal, Saga, StepFailed
from orchestrators.steps import (
    CREATE_SHIPMENT,
    PROCESS_PAYMENT,
    RESERVE_INVENTORY,
    SEND_CONFIRMATION,
    VALIDATE_ORDER,
)


def order_saga(context: Any) -> Generator[Any, Any, dict[str, Any]]:
    """Input: `models.messages.SagaInput`. Output and custom status: `models.view.OrderView`, both as plain JSON."""
    saga = Saga(context)
    try:
        yield from saga.do(VALIDATE_ORDER)

        saga.on_failure(RESERVE_INVENTORY)
        yield from saga.do(RESERVE_INVENTORY)

        saga.on_failure(PROCESS_PAYMENT)
        yield from saga.do(PROCESS_PAYMENT)

        saga.on_failure(CREATE_SHIPMENT)
        yield from saga.do(CREATE_SHIPMENT)

        yield from saga.do(SEND_CONFIRMATION, best_effort=saga.limits.confirmation_failure == "ignore")
        saga.complete()
    except OrderAlreadyFinal as final:
        return final.outcome
    except StepFailed:
        yield from saga.compensate()
    outcome: dict[str, Any] = yield from saga.close()
    return outcome
