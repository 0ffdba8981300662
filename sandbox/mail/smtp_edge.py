"""SMTP: every recipient at bounce.invalid is rejected for good, every other one is accepted.

A fault acts at the end of DATA, because only then the order of the message is known.
"""

import asyncio
import email
import email.policy
import socket
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from sandbox.faults import Cut, Faults, under_fault
from sandbox.ledger import JsonObject, Ledger, NotKept
from sandbox.mail.delivery import ORDER_HEADER, Delivery

REJECTED_DOMAIN = "bounce.invalid"
ACCEPTED = "250 2.0.0 OK: accepted"
UNKNOWN_RECIPIENT = "550 5.1.1 No such mailbox here"
REFUSED = "550 5.7.1 Message refused"
FULL = "452 4.3.1 Insufficient system storage"
FAILED = "451 4.3.0 Try again later"


@dataclass(frozen=True)
class Recipient:
    """aiosmtpd's handler: its method names are aiosmtpd's."""

    ledger: Ledger
    faults: Faults

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.lower().endswith("@" + REJECTED_DOMAIN):
            return UNKNOWN_RECIPIENT
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        parsed = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        delivery = Delivery(self.ledger, described(envelope, parsed), ACCEPTED, REFUSED, FAILED)
        try:
            fired = self.faults.fire("email.send", parsed[ORDER_HEADER])
            return await under_fault(fired, delivery)
        except NotKept:
            return FULL
        except Cut:
            server.transport.abort()
            return FAILED  # never sent: the client has gone


def described(envelope: Any, parsed: EmailMessage) -> JsonObject:
    """The message's row: its addresses are the envelope's, by which mail is delivered; `text` is the plain part."""
    return {
        "kind": "email",
        "from": envelope.mail_from,
        "to": ", ".join(envelope.rcpt_tos),
        "subject": parsed["Subject"],
        "message_id": parsed["Message-ID"],
        "text": _readable(parsed.get_body(("plain", "html"))),
    }


def _readable(part: Any) -> str:
    if part is None:  # a part without headers is falsy: `if part` would not do
        return ""
    try:
        text = str(part.get_content())
    except LookupError:  # a character set that Python does not know
        text = part.get_payload(decode=True).decode("latin-1")
    return text.replace("\r\n", "\n")


async def listen(on: socket.socket, ledger: Ledger, faults: Faults) -> asyncio.Server:
    recipient = Recipient(ledger, faults)
    loop = asyncio.get_running_loop()
    # With a host name: without one aiosmtpd asks the name service for it at every connection.
    return await loop.create_server(
        lambda: SMTP(recipient, hostname="sandbox.invalid", enable_SMTPUTF8=True, loop=loop), sock=on
    )
