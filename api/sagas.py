"""Starting and waking sagas, over the durable client.

The client knows nothing of orders: it starts an orchestration by name and id, and raises events. An event only wakes
the saga. Before the event, its sender has written to the order's record what the saga reads then.
"""

from __future__ import annotations

import logging
from typing import Any

from api.problems import Problem
from models.errors import Unavailable
from models.messages import SAGA_VERSION, Limits, SagaInput, wire

log = logging.getLogger(__name__)

# The members of the host's answer that say what went wrong there, and the SDK's name of an answer that is a text.
TEXTS_OF_A_FAULT = ("Message", "ExceptionMessage", "message")


async def status_of(client: Any, order_id: str, **parts: bool) -> Any:
    """The status of the order's orchestration; None if there is none. `parts`: those of the SDK's `get_status`.

    Raises Unavailable if the host does not say. SDK 1.x returns the host's 500 as a status that is false, as it returns
    a 404; only the first has a text.
    """
    try:
        status = await client.get_status(order_id, **parts)
    except Exception as fault:  # the SDK raises nothing more precise
        raise _no_status(order_id, type(fault).__name__) from None
    if status:
        return status
    if any(getattr(status, text, None) for text in TEXTS_OF_A_FAULT):
        raise _no_status(order_id, "an error")
    return None


def _no_status(order_id: str, why: str) -> Unavailable:
    return Unavailable(f"The host does not say whether order {order_id} has a saga ({why}).")


async def start_saga(client: Any, order_id: str, limits: Limits, etag: str | None = None) -> None:
    """Start the order's saga. If another start was first, the instance exists, which is success too.

    `etag` is that of the record. Only the `POST` that inserted the record passes it.
    """
    task = wire(SagaInput(order_id=order_id, limits=limits, version=SAGA_VERSION, etag=etag))
    try:
        await client.start_new("order_saga", order_id, task)
    except Exception as fault:  # the SDK raises nothing more precise
        if not await _is_there(client, order_id):
            log.exception("order %s was accepted, but its saga could not be started", order_id)
            raise Problem(503, f"Order {order_id} is accepted but not started. Send it again with this id.") from fault


async def _is_there(client: Any, order_id: str) -> bool:
    try:
        return await status_of(client, order_id) is not None
    except Unavailable:
        return False


async def wake_saga(client: Any, order_id: str, event: str) -> bool:
    """Raise an event without data. False: there is no saga to receive it, no longer or not yet."""
    try:
        await client.raise_event(order_id, event, {})
    except Exception as fault:  # the SDK raises plain exceptions for 404 and 410
        log.info("order %s: no saga was there for the event %s: %s", order_id, event, type(fault).__name__)
        return False
    return True
