"""The actions of a shop and its operators: cancel, approve, retry or resolve an undo, erase personal data.

Each action is written to the order's record before it is answered. Then the saga is woken, and reads the action in the
record. So the answer stays true if the wake-up is lost: the sweep starts a saga that is gone, and an event that no saga
waits for decides nothing.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import azure.functions as func
from pydantic import BaseModel

from api.orders import OrderFinder, order_or_404
from api.problems import Problem, json_response, read_body
from api.sagas import start_saga, wake_saga
from models.messages import Limits
from models.order_record import (
    Change,
    OrderRecord,
    decide_approval,
    request_cancel,
    request_retry,
)
from models.order_record import erase as erase_record
from models.order_record import resolve as resolve_undo
from models.order_request import Decision, Evidence, Reason, Remark
from models.states import COMPENSATION_NAMES

Rule = ParamSpec("Rule")
ModelT = TypeVar("ModelT", bound=BaseModel)

# The platform removes this header from a request and sets its own. Without App Service authentication any client could
# send the header, so it counts only while WEBSITE_AUTH_ENABLED says that the platform sets it.
SIGNED_IN, AUTHENTICATION = "X-MS-CLIENT-PRINCIPAL-NAME", "WEBSITE_AUTH_ENABLED"
LONGEST_NAME = 200


class Orders(OrderFinder, Protocol):
    def change(
        self,
        order: OrderRecord,
        rule: Callable[Concatenate[OrderRecord, Rule], Change | None],
        *args: Rule.args,
        **kwargs: Rule.kwargs,
    ) -> OrderRecord:
        """Apply a transition of `models.order_record`, durably. Raises Conflict when its rule does."""


class Labels(Protocol):
    def erase(self, order_id: str) -> None:
        """Take the address off the label."""


async def cancel(req: func.HttpRequest, client: Any, orders: Orders) -> func.HttpResponse:
    """202: the order ends `cancelled`. 409 with its state otherwise. Safe to repeat."""
    remark = _remark(req)
    record = await request_the_cancel(await order_or_404(req, orders), client, orders, remark)
    return json_response({"order_id": record.order_id, "status": record.state, "cancel_requested": True}, 202)


async def request_the_cancel(
    record: OrderRecord, client: Any, orders: Orders, remark: Mapping[str, str]
) -> OrderRecord:
    """Promise the cancel in the record; returns the record. `remark`: `by` and `reason`. Raises Conflict."""
    if record.state != "cancelled":
        record = await asyncio.to_thread(orders.change, record, request_cancel, remark)
    if record.state == "awaiting_approval" and record.approval is not None:
        await wake_saga(client, record.order_id, record.approval.wake)
    return record


async def approve(req: func.HttpRequest, client: Any, orders: Orders) -> func.HttpResponse:
    """202: the decision is recorded for this total. 409 for a second or a late one."""
    decision = _signed(req, read_body(req, Decision), "approver")
    record = await order_or_404(req, orders)
    record = await asyncio.to_thread(orders.change, record, decide_approval, decision, datetime.now(UTC))
    assert record.approval is not None, "a decision was recorded without an approval to decide"
    await wake_saga(client, record.order_id, record.approval.wake)
    body = {
        "order_id": record.order_id,
        "decision": record.approval.verdict,
        "total": record.approval.total.model_dump(),
    }
    return json_response(body, 202)


async def retry(req: func.HttpRequest, client: Any, orders: Orders, limits: Limits) -> func.HttpResponse:
    """202: the undo is tried again. 409 when it does not wait for an operator."""
    reason, compensation = _signed(req, read_body(req, Reason), "by"), _compensation(req)
    record = await order_or_404(req, orders)
    record = await asyncio.to_thread(orders.change, record, request_retry, compensation, reason)
    await _resume_undoing(client, record, limits)
    return _accepted(record, compensation)


async def resolve(req: func.HttpRequest, client: Any, orders: Orders, limits: Limits) -> func.HttpResponse:
    """202: the undo counts as done, on the evidence given. 409 when it does not wait for an operator.

    The saga resumes when the last undo that waited is resolved; until then the others wait as before.
    """
    evidence, compensation = _signed(req, read_body(req, Evidence), "by"), _compensation(req)
    record = await order_or_404(req, orders)
    record = await asyncio.to_thread(orders.change, record, resolve_undo, compensation, evidence)
    if record.state == "compensating":
        await _resume_undoing(client, record, limits)
    return _accepted(record, compensation)


async def erase(req: func.HttpRequest, orders: Orders, labels: Labels) -> func.HttpResponse:
    """204: name, address, e-mail and payment method are gone; ids and amounts stay. 409 for an unfinished order."""
    remark = _remark(req)
    record = await order_or_404(req, orders)
    await asyncio.to_thread(orders.change, record, erase_record, secrets.token_bytes(32), remark)
    await asyncio.to_thread(labels.erase, record.order_id)
    return func.HttpResponse(status_code=204)


def _signed(req: func.HttpRequest, body: ModelT, field: str) -> ModelT:
    """The body, with the signed-in name in `field` if App Service authentication is on."""
    signed_in = actor(req)
    return body if signed_in is None else body.model_copy(update={field: signed_in})


def _remark(req: func.HttpRequest) -> dict[str, str]:
    """`by` and `reason` for the audit trail. The body may be left out."""
    remark = _signed(req, read_body(req, Remark) if req.get_body() else Remark(), "by")
    return remark.model_dump(exclude_none=True)


async def _resume_undoing(client: Any, record: OrderRecord, limits: Limits) -> None:
    """Wake the parked saga. If it is gone (terminated, purged, of an older version), a new one resumes the undoing."""
    if not await wake_saga(client, record.order_id, f"attention:{record.attention}"):
        await start_saga(client, record.order_id, limits)


def _accepted(record: OrderRecord, compensation: str) -> func.HttpResponse:
    body = {"order_id": record.order_id, "compensation": compensation, "status": record.state}
    return json_response(body, 202)


def _compensation(req: func.HttpRequest) -> str:
    name: str = req.route_params["compensation"]
    if name not in COMPENSATION_NAMES:
        raise Problem(404, f"There is no compensation of this name; there are {', '.join(sorted(COMPENSATION_NAMES))}.")
    return name


def actor(req: func.HttpRequest) -> str | None:
    """The name that App Service authentication vouches for; None if it is off."""
    if os.environ.get(AUTHENTICATION, "").lower() != "true":
        return None
    return req.headers.get(SIGNED_IN, "").strip()[:LONGEST_NAME] or None
