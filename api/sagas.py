"""Starting and waking sagas, over the durable client.

The client knows nothing of orders: it starts an orchestration by name and id, and raises events. An event only wakes
the saga. Before the event, its sender has written to the order's record what the saga reads then.
"""

from __future__ import annotations

import logging
from typing import Any

from api.problems import Problem
from models.messages import SAGA_VERSION, Limits, SagaInput, wire

log = logging.getLogger(__name__)


async def exists(client: Any, order_id: str) -> bool:
    return bool(await client.get_status(order_id))


async def start_saga(client: Any, order_id: str, limits: Limits, etag: str | None = None) -> None:
    """Start the order's saga. If another start was first, the instance exists, which is success too.

    `etag` is that of the record. Only the `POST` that inserted the record passes it.
    """
    task = wire(SagaInput(order_id=order_id, limits=limits, version=SAGA_VERSION, etag=etag))
    try:
        await client.start_new("order_saga", order_id, task)
    except Exception as fault:  # the SDK raises nothing more precise
        if not await exists(client, order_id):
            log.exception("order %s was accepted, but its saga could not be started", order_id)
            raise Problem(503, f"Order {order_id} is accepted but not started. Send it again with this id.") from fault


async def wake_saga(client: Any, order_id: str, event: str) -> bool:
    """Raise an event without data. False: there is no saga to receive it, no longer or not yet."""
    try:
        await client.raise_event(order_id, event, {})
    except Exception as fault:  # the SDK raises plain exceptions for 404 and 410
        log.info("order %s: no saga was there for the event %s: %s", order_id, event, type(fault).__name__)
        return False
    return True
