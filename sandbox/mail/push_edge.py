"""Notification Hubs' send call: `POST /{hub}/messages?api-version=2015-01`, for template notifications to one tag.

https://learn.microsoft.com/rest/api/notificationhubs/send-template-notification. The body, a JSON object of template
properties, is stored unchanged. A notification that Notification Hubs would send to no device, or to every device, is
refused.
"""

import json
import re
import time
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from aiohttp import web

from sandbox.faults import Cut, Faults, under_fault
from sandbox.ledger import JsonObject, Ledger
from sandbox.mail.delivery import ORDER_HEADER, Delivery
from sandbox.mail.push_token import TokenRefused, check
from sandbox.process import cut

API_VERSION = re.compile(r"20\d\d-\d\d")
TAG = re.compile(r"[A-Za-z0-9_@#.:-]{1,120}")


class PushRefused(Exception):
    """A notification that cannot be sent; the message names its fault."""


def serve(app: web.Application, ledger: Ledger, faults: Faults) -> None:
    async def send(request: web.Request) -> web.StreamResponse:
        try:
            check(
                request.headers.get("Authorization", ""),
                f"{request.scheme}://{request.host}{request.path}",
                time.time(),
            )
            delivery = _delivery(ledger, request, _notification(request, await request.read()))
            return await under_fault(faults.fire("push.send", request.headers.get(ORDER_HEADER)), delivery)
        except TokenRefused as refused:
            return _error(401, str(refused))
        except PushRefused as refused:
            return _error(400, str(refused))
        except Cut:
            return cut(request)

    app.router.add_post("/{hub}/messages", send)


def _notification(request: web.Request, body: bytes) -> JsonObject:
    if not API_VERSION.fullmatch(request.query.get("api-version", "")):
        raise PushRefused("The query must name an api-version, such as 2015-01.")
    if request.headers.get("ServiceBusNotification-Format") != "template":
        raise PushRefused("The sandbox sends template notifications: ServiceBusNotification-Format must be `template`.")
    tag = request.headers.get("ServiceBusNotification-Tags", "")
    if not TAG.fullmatch(tag):
        raise PushRefused(
            f"ServiceBusNotification-Tags must be one tag of letters, digits and _ @ # . : -, not {tag!r}."
        )
    return {
        "kind": "push",
        "from": request.match_info["hub"],
        "to": tag,
        "subject": "",
        "message_id": str(uuid4()),
        "text": _properties(body),
    }


def _properties(body: bytes) -> str:
    try:
        text = body.decode()
        properties: Any = json.loads(text)
    except ValueError:
        raise PushRefused("The body must be JSON.") from None
    if not isinstance(properties, dict) or not all(isinstance(value, str) for value in properties.values()):
        raise PushRefused("The body must be one object whose values are texts: the properties of the template.")
    return text


def _delivery(ledger: Ledger, request: web.Request, message: JsonObject) -> Delivery[web.StreamResponse]:
    location = (
        f"{request.url.origin()}{request.path}/{message['message_id']}?api-version={request.query['api-version']}"
    )
    accepted = web.Response(status=201, headers={"Location": location, "TrackingId": message["message_id"]})
    return Delivery(ledger, message, accepted, _error(400, "The message was refused."), _error(500, "Try again later."))


def _error(status: int, detail: str) -> web.StreamResponse:
    """An error as Notification Hubs answers it: XML."""
    text = f"<Error><Code>{status}</Code><Detail>{escape(detail)}</Detail></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")
