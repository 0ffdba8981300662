"""Mail over SMTP, one message to one recipient, with the standard library's client.

A server's answer is classified by its code and by the command that it answers: refused for good, refused for now, or
perhaps accepted although the answer is missing. So the commands are sent one by one; `send_message` would fold them
into one exception. Server texts are dropped: they quote addresses, and errors are written into the orchestration's
history.

A repeated mail carries the same Message-ID, which is all that SMTP offers against doubles.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, parseaddr
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from activities.notification import Mail
from models.errors import OrderSagaError, OutcomeUnknown, Refused, Unavailable
from models.order_request import ENCODED_WORD
from services.addresses import is_loopback

TIMEOUT_S = 10.0
# The step has 45 seconds, and the last two answers take TIMEOUT_S each at most. A mail that is accepted after its
# deadline is sent again by the next attempt.
HAND_OVER_WITHIN_S = 20.0
PORTS = {"smtp": 25, "smtps": 465}
# https://www.rfc-editor.org/rfc/rfc4954#section-6: replies that ask for a login, or for a better one.
WANTS_LOGIN = frozenset({530, 534, 535, 538})

# No quoted local parts and nothing but ASCII, so that no server needs an extension to take the sender.
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")

ACCEPTED, FORWARDED, PERMANENT = 250, 251, 500

# What is not ASCII is encoded, so that every server takes the message as it is. Headers stay on one line (998 is what
# RFC 5322 allows): where the library folds them, it adds a blank before an encoded word.
BODY = SMTP_POLICY.clone(cte_type="7bit")
HEADERS = BODY.clone(max_line_length=998)


class MailServer(NamedTuple):
    """The mail server of SMTP_URL. `user` None: without a login."""

    encrypted: bool
    host: str
    port: int
    user: str | None
    password: str


def parse_smtp_url(url: str) -> MailServer:
    """`smtp[s]://[user:password@]host[:port]`, user and password percent-encoded. Raises ValueError without a quote."""
    parts = _split(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("SMTP_URL must look like smtp://host:port or smtps://user:password@host:port")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("SMTP_URL must name both user and password, or neither")
    user = None if parts.username is None else unquote(parts.username)
    password = unquote(parts.password or "")
    if not f"{user}{password}".isascii():
        raise ValueError("SMTP_URL must have a user and a password of ASCII characters: the client sends no others")
    return MailServer(parts.scheme == "smtps", parts.hostname, _port(parts), user, password)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("SMTP_URL must name a host, such as smtp://[::1]:25 where it is an IPv6 address") from None


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or PORTS[parts.scheme]
    except ValueError:  # it quotes the text in the place of the port, which may be half a password
        raise ValueError("SMTP_URL must have a whole number as its port, and a password percent-encoded") from None


def parse_sender(sender: str) -> Address:
    """`orders@shop.example` or `The Shop <orders@shop.example>`. Raises ValueError."""
    name, address = parseaddr(sender)
    if not ADDRESS.fullmatch(address):
        raise ValueError("MAIL_FROM must be a mail address such as orders@shop.example")
    local_part, _, domain = address.rpartition("@")
    return Address(name, local_part, domain)


class SmtpMail:
    """Fulfils `Mailer`. Safe to share between threads: each message has a connection of its own."""

    def __init__(self, url: str, sender: str) -> None:
        self._server = parse_smtp_url(url)
        self._sender = parse_sender(sender)

    def send(self, mail: Mail) -> None:
        """Returns when the server has accepted the message.

        Raises Refused("recipient_rejected") if the server refused it for good, OutcomeUnknown if the connection was
        lost after the message was sent, and Unavailable for everything else.
        """
        if ENCODED_WORD in mail.to:  # the mail library would decode it, and name another address
            raise Refused("recipient_rejected")
        message, started = _message(mail, self._sender), time.monotonic()
        try:
            with self._session() as connection:
                self._address(connection, mail)
                if time.monotonic() - started > HAND_OVER_WITHIN_S:
                    raise _unavailable(mail, "answers too slowly")
                _hand_over(connection, mail, message)
        except smtplib.SMTPNotSupportedError:
            raise _unavailable(mail, "of SMTP_URL offers no STARTTLS or no login that is known here") from None
        except smtplib.SMTPAuthenticationError as error:
            raise _unavailable(mail, f"refused the login in SMTP_URL ({error.smtp_code})") from None
        except (smtplib.SMTPException, OSError) as error:
            raise _unavailable(mail, f"of SMTP_URL could not be spoken to ({type(error).__name__})") from None

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A connection that is encrypted where the server can, and logged in where SMTP_URL says so."""
        connection = self._dial()
        try:
            connection.ehlo_or_helo_if_needed()
            self._encrypt(connection)
            if self._server.user is not None:
                connection.login(self._server.user, self._server.password)
            yield connection
        finally:
            connection.close()

    def _dial(self) -> smtplib.SMTP:
        # `local_hostname` is set: by default the client asks the name service for it, at every connection.
        host, port, name = self._server.host, self._server.port, self._sender.domain
        if self._server.encrypted:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, local_hostname=name, timeout=TIMEOUT_S, context=context)
        return smtplib.SMTP(host, port, local_hostname=name, timeout=TIMEOUT_S)

    def _encrypt(self, connection: smtplib.SMTP) -> None:
        """Neither a password nor a customer's address leaves this machine in the clear.

        A server elsewhere that offers no STARTTLS is an error: somebody on the way may have taken the offer out.
        """
        here = is_loopback(self._server.host) and self._server.user is None
        wanted = not here or connection.has_extn("starttls")
        if wanted and not self._server.encrypted:
            connection.starttls(context=ssl.create_default_context())
            connection.ehlo()

    def _address(self, connection: smtplib.SMTP, mail: Mail) -> None:
        code, _ = connection.mail(self._sender.addr_spec)
        if code != ACCEPTED:
            raise _sender_fault(mail, code)
        code, _ = connection.rcpt(mail.to)
        if code not in {ACCEPTED, FORWARDED}:
            raise _recipient_fault(mail, code)


def _message(mail: Mail, sender: Address) -> bytes:
    message = EmailMessage(policy=BODY)
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{mail.key}@{sender.domain}>"
    message["X-Order-Id"] = mail.order_id
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message.as_bytes(policy=HEADERS)


def _hand_over(connection: smtplib.SMTP, mail: Mail, message: bytes) -> None:
    """From here on a lost connection no longer means that nothing was sent."""
    try:
        code, _ = connection.data(message)
    except smtplib.SMTPDataError as refused:
        code = refused.smtp_code
    except (smtplib.SMTPException, OSError) as error:
        raise OutcomeUnknown(
            f"order {mail.order_id}: the mail server did not say whether it took the message ({type(error).__name__})."
        ) from None
    if code != ACCEPTED:
        raise _recipient_fault(mail, code)
    _say_goodbye(connection)


def _say_goodbye(connection: smtplib.SMTP) -> None:
    """The message is accepted, so a server that hangs up first, or answers oddly, changes nothing."""
    with suppress(smtplib.SMTPException, OSError):
        connection.quit()


def _sender_fault(mail: Mail, code: int) -> OrderSagaError:
    if code in WANTS_LOGIN:
        return _unavailable(mail, f"wants a login, or another one, in SMTP_URL ({code})")
    if code >= PERMANENT:
        return _unavailable(mail, f"does not take mail from the address in MAIL_FROM ({code})")
    return _unavailable(mail, f"takes no mail at present ({code})")


def _recipient_fault(mail: Mail, code: int) -> OrderSagaError:
    """Also for the message itself: it has one recipient, and many servers judge the recipient only by the message."""
    if code in WANTS_LOGIN:
        return _unavailable(mail, f"wants a login, or another one, in SMTP_URL ({code})")
    if code >= PERMANENT:
        return Refused("recipient_rejected")
    return _unavailable(mail, f"does not take this message at present ({code})")


def _unavailable(mail: Mail, predicate: str) -> Unavailable:
    return Unavailable(f"order {mail.order_id}: the mail server {predicate}.")
