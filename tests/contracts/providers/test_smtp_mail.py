"""`SmtpMail` against the sandbox's mail server, and against servers that answer as the sandbox never does."""

from __future__ import annotations

import datetime
import email
import email.policy
import ipaddress
import ssl
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from activities.notification import Mail
from models.errors import OrderSagaError, OutcomeUnknown, Refused, Unavailable
from orchestrators.steps import SEND_CONFIRMATION
from services import smtp_mail
from services.smtp_mail import MailServer, SmtpMail, parse_sender, parse_smtp_url
from tests.support.servers import FreePorts, Sandbox

SENDER = "orders@shop.example"
USER, PASSWORD = "shop", "s3cret/:@ %"
LOGIN = "shop:s3cret%2F%3A%40%20%25"


def mail(order_id: str, to: str = "ada@example.com") -> Mail:
    return Mail(
        key=f"{order_id}.confirmation",
        order_id=order_id,
        to=to,
        subject=f"Your order {order_id} is on its way: dziękujemy",
        text="Hello Zażółć,\n\nthank you.\n.\n",
        html="<p>Hello Zażółć</p>",
    )


@pytest.fixture
def order_id() -> str:
    return str(uuid.uuid4())


def arrived(sandbox: Sandbox, order_id: str) -> list[dict[str, Any]]:
    return [row for row in sandbox.messages() if row["kind"] == "email" and order_id in row["subject"]]


# ---------------------------------------------------------------------------------------------------------- the sandbox


def test_a_mail_arrives_as_it_was_written(sandbox: Sandbox, order_id: str) -> None:
    SmtpMail(sandbox.smtp, SENDER).send(mail(order_id))
    [row] = arrived(sandbox, order_id)
    assert (row["from"], row["to"]) == (SENDER, "ada@example.com")
    assert row["subject"] == mail(order_id).subject
    assert row["text"] == mail(order_id).text
    assert row["message_id"] == f"<{order_id}.confirmation@shop.example>"


def test_a_repeated_mail_has_the_same_message_id(sandbox: Sandbox, order_id: str) -> None:
    mailer = SmtpMail(sandbox.smtp, SENDER)
    for _ in range(2):
        mailer.send(mail(order_id))
    assert {row["message_id"] for row in arrived(sandbox, order_id)} == {f"<{order_id}.confirmation@shop.example>"}


def test_the_longest_order_id_leaves_its_message_id_whole(sandbox: Sandbox) -> None:
    longest = uuid.uuid4().hex * 2
    SmtpMail(sandbox.smtp, SENDER).send(mail(longest))
    [row] = arrived(sandbox, longest)
    assert row["message_id"] == f"<{longest}.confirmation@shop.example>"


@pytest.mark.parametrize("to", ["o'neill+shop@example.com", "a.@example.com", "..a@b.co", "x" * 188 + "@example.com"])
def test_every_address_that_the_edge_lets_in_or_let_in_is_written_to(sandbox: Sandbox, order_id: str, to: str) -> None:
    SmtpMail(sandbox.smtp, SENDER).send(mail(order_id, to))
    assert [row["to"] for row in arrived(sandbox, order_id)] == [to]


def test_a_recipient_that_the_server_rejects_is_refused_and_not_named(sandbox: Sandbox, order_id: str) -> None:
    to = f"{uuid.uuid4().hex}@bounce.invalid"
    report = failure(lambda: SmtpMail(sandbox.smtp, SENDER).send(mail(order_id, to)))
    assert report.endswith("Refused: recipient_rejected\n")
    assert to not in report
    assert arrived(sandbox, order_id) == []


@pytest.mark.parametrize("to", ["=?utf-8?q?a=0Ab?=@example.com", "=?utf-8?q?eve=40example.com=2Cb?=@example.com"])
def test_an_address_that_the_library_would_decode_into_another_is_refused(
    sandbox: Sandbox, order_id: str, to: str
) -> None:
    """The edge refuses it today; an order of older code may have it."""
    with pytest.raises(Refused, match="recipient_rejected"):
        SmtpMail(sandbox.smtp, SENDER).send(mail(order_id, to))
    assert arrived(sandbox, order_id) == []


def failure(ask: Callable[[], object]) -> str:
    """All that a host would write down of it: message, traceback, causes."""
    with pytest.raises(OrderSagaError) as raised:
        ask()
    return "".join(traceback.format_exception(raised.value))


FAULTS: dict[str, tuple[type[OrderSagaError], int]] = {
    "error_before_commit": (Unavailable, 0),
    "error_after_commit": (Unavailable, 1),
    "drop_before_commit": (OutcomeUnknown, 0),
    "drop_after_commit": (OutcomeUnknown, 1),
    "refuse": (Refused, 0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_with_the_message_is_distinguished(sandbox: Sandbox, order_id: str, fault: str) -> None:
    sandbox.faults("mail", [{"operation": "email.send", "fault": fault, "order_id": order_id}])
    expected, copies = FAULTS[fault]
    with pytest.raises(expected):
        SmtpMail(sandbox.smtp, SENDER).send(mail(order_id))
    assert len(arrived(sandbox, order_id)) == copies


def test_a_server_that_is_away_is_a_delay(ports: FreePorts, order_id: str) -> None:
    with pytest.raises(Unavailable, match=f"{order_id}.*SMTP_URL"):
        SmtpMail(f"smtp://127.0.0.1:{ports()}", SENDER).send(mail(order_id))


# -------------------------------------------------------------------------------------------------------- other servers


@dataclass
class Postmaster:
    """aiosmtpd's handler: replies as the script says, and keeps what it receives. Method names are aiosmtpd's."""

    replies: dict[str, str] = field(default_factory=dict)
    logins: list[tuple[str, str]] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        envelope.mail_from = address
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        envelope.rcpt_tos.append(address)
        return self.replies.get("RCPT", "250 OK")

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        self.messages.append(message)
        self.encrypted.append(session.ssl is not None)
        return self.replies.get("DATA", "250 OK")

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, login: Any) -> Any:
        credentials = (login.login.decode(), login.password.decode())
        self.logins.append(credentials)
        return AuthResult(success=credentials == (USER, PASSWORD), handled=False)


Post = Callable[..., tuple[Postmaster, int]]


@pytest.fixture
def post(ports: FreePorts) -> Iterator[Post]:
    """Starts a mail server: `post(replies, **options of aiosmtpd)`."""
    running: list[Any] = []

    def start(replies: dict[str, str] | None = None, **options: Any) -> tuple[Postmaster, int]:
        handler = Postmaster(replies or {})
        if options.pop("with_login", False):
            options |= {"authenticator": handler.authenticate, "auth_required": "tls_context" in options}
        server = Controller(
            handler, hostname="127.0.0.1", port=ports(), server_hostname="post.invalid", decode_data=False, **options
        )
        server.start()
        running.append(server)
        return handler, server.port

    yield start
    for server in running:
        server.stop()


REPLIES: dict[tuple[str, str], tuple[type[OrderSagaError], str]] = {
    ("MAIL", "451 4.3.0 later"): (Unavailable, "at present"),
    ("MAIL", "553 5.1.8 who are you"): (Unavailable, "MAIL_FROM"),
    ("MAIL", "530 5.7.0 log in first"): (Unavailable, "SMTP_URL"),
    ("RCPT", "450 4.2.0 greylisted"): (Unavailable, "at present"),
    ("RCPT", "530 5.7.0 log in first"): (Unavailable, "SMTP_URL"),
    ("RCPT", "550 5.1.1 no such user"): (Refused, "recipient_rejected"),
    ("RCPT", "553 5.1.3 no such name"): (Refused, "recipient_rejected"),
    ("DATA", "452 4.2.2 mailbox full"): (Unavailable, "at present"),
    ("DATA", "550 5.1.1 no such user"): (Refused, "recipient_rejected"),
}


@pytest.mark.parametrize(("command", "reply"), REPLIES)
def test_a_reply_means_what_its_code_and_its_place_say(post: Post, order_id: str, command: str, reply: str) -> None:
    _, port = post({command: reply})
    error, words = REPLIES[command, reply]
    with pytest.raises(error, match=words):
        SmtpMail(f"smtp://127.0.0.1:{port}", SENDER).send(mail(order_id))


def test_a_recipient_that_is_forwarded_is_accepted(post: Post, order_id: str) -> None:
    handler, port = post({"RCPT": "251 will forward"})
    SmtpMail(f"smtp://127.0.0.1:{port}", SENDER).send(mail(order_id))
    assert len(handler.messages) == 1


def test_a_server_that_answers_too_slowly_for_the_step_gets_no_message(
    post: Post, order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt starts at the step's deadline. A message that is accepted after that comes twice."""
    monkeypatch.setattr(smtp_mail, "HAND_OVER_WITHIN_S", 0.0)
    handler, port = post()
    with pytest.raises(Unavailable, match="too slowly"):
        SmtpMail(f"smtp://127.0.0.1:{port}", SENDER).send(mail(order_id))
    assert handler.messages == []


def test_the_last_answers_of_a_slow_server_come_before_the_deadline_of_the_step() -> None:
    assert SEND_CONFIRMATION.deadline_s > smtp_mail.HAND_OVER_WITHIN_S + 2 * smtp_mail.TIMEOUT_S


def test_the_message_has_both_bodies_its_order_and_a_sender_with_any_name(post: Post, order_id: str) -> None:
    handler, port = post()
    SmtpMail(f"smtp://127.0.0.1:{port}", "Sklep Łódź <orders@shop.example>").send(mail(order_id))
    [message] = handler.messages
    assert str(message["From"]) == "Sklep Łódź <orders@shop.example>"
    assert message["X-Order-Id"] == order_id
    assert message["Date"].datetime is not None
    bodies = {part.get_content_type(): part.get_content().replace("\r\n", "\n") for part in message.iter_parts()}
    assert bodies == {"text/plain": mail(order_id).text, "text/html": mail(order_id).html + "\n"}


# ------------------------------------------------------------------------------------------------ encryption and logins


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 127.0.0.1, signed by itself: the certificate and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "post.invalid")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "post.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.usefixtures("trusted")
def test_a_server_that_can_encrypt_is_spoken_to_in_secret(post: Post, tls: ssl.SSLContext, order_id: str) -> None:
    handler, port = post(tls_context=tls)
    SmtpMail(f"smtp://127.0.0.1:{port}", SENDER).send(mail(order_id))
    assert handler.encrypted == [True]


@pytest.mark.usefixtures("trusted")
def test_a_login_goes_through_an_encrypted_connection(post: Post, tls: ssl.SSLContext, order_id: str) -> None:
    handler, port = post(tls_context=tls, with_login=True)
    SmtpMail(f"smtp://{LOGIN}@127.0.0.1:{port}", SENDER).send(mail(order_id))
    assert handler.logins[-1] == (USER, PASSWORD)
    assert handler.encrypted == [True]


@pytest.mark.usefixtures("trusted")
def test_a_server_that_encrypts_from_the_first_byte_takes_mail(post: Post, tls: ssl.SSLContext, order_id: str) -> None:
    handler, port = post(ssl_context=tls, with_login=True, auth_require_tls=False)
    SmtpMail(f"smtps://{LOGIN}@127.0.0.1:{port}", SENDER).send(mail(order_id))
    assert [message["X-Order-Id"] for message in handler.messages] == [order_id]


@pytest.mark.usefixtures("trusted")
def test_a_login_that_is_refused_names_the_setting_and_not_the_password(
    post: Post, tls: ssl.SSLContext, order_id: str
) -> None:
    _, port = post(tls_context=tls, with_login=True)
    password = uuid.uuid4().hex
    report = failure(lambda: SmtpMail(f"smtp://shop:{password}@127.0.0.1:{port}", SENDER).send(mail(order_id)))
    assert "Unavailable" in report
    assert "SMTP_URL" in report
    assert password not in report


def test_a_password_is_never_sent_in_the_clear(post: Post, order_id: str) -> None:
    handler, port = post(with_login=True, auth_require_tls=False)
    with pytest.raises(Unavailable, match="SMTP_URL"):
        SmtpMail(f"smtp://{LOGIN}@127.0.0.1:{port}", SENDER).send(mail(order_id))
    assert handler.logins == []


# A host that is not named as this machine, and is it: the resolver takes it for 127.0.0.1, as it takes any server.
ELSEWHERE = "127.1"


def test_nothing_goes_to_another_machine_in_the_clear(post: Post, order_id: str) -> None:
    """A server that offers no STARTTLS may be one from whose greeting somebody took it out."""
    handler, port = post()
    to = f"{uuid.uuid4().hex}@example.com"
    report = failure(lambda: SmtpMail(f"smtp://{ELSEWHERE}:{port}", SENDER).send(mail(order_id, to)))
    assert "Unavailable" in report
    assert "of SMTP_URL offers no STARTTLS" in report
    assert to not in report
    assert handler.messages == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_this_machine_may_be_written_to_in_the_clear(post: Post, order_id: str, host: str) -> None:
    handler, port = post()
    SmtpMail(f"smtp://{host}:{port}", SENDER).send(mail(order_id))
    assert handler.encrypted == [False]


def test_a_certificate_that_nobody_vouches_for_is_not_believed(post: Post, tls: ssl.SSLContext, order_id: str) -> None:
    handler, port = post(tls_context=tls)
    with pytest.raises(Unavailable, match="SSLCertVerificationError"):
        SmtpMail(f"smtp://127.0.0.1:{port}", SENDER).send(mail(order_id))
    assert handler.messages == []


# ------------------------------------------------------------------------------------------------------------- settings


def test_an_address_of_a_server_is_read_in_each_of_its_forms() -> None:
    assert parse_smtp_url("smtp://127.0.0.1:1025") == MailServer(False, "127.0.0.1", 1025, None, "")
    assert parse_smtp_url("smtp://post.example/") == MailServer(False, "post.example", 25, None, "")
    assert parse_smtp_url(f"smtps://{LOGIN}@post.example") == MailServer(True, "post.example", 465, USER, PASSWORD)
    assert parse_smtp_url("smtp://[::1]:2525").host == "::1"


@pytest.mark.parametrize(
    "url",
    ["", "post.example", "http://post.example", "smtp://", "smtp://shop@post.example", "smtp://shop:hush@p:0x1",
     "smtp://shop:hush@post.example:99999", "smtp://shop:hu/sh@post.example", "smtp://[hush", "smtp://shop:hush%C3%BC@p"],
)  # fmt: skip
def test_an_address_of_a_server_that_cannot_be_read_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match=r"^SMTP_URL must") as raised:
        parse_smtp_url(url)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("sender", ["", "shop", "shop@", "@shop.example", "a b@shop.example", "łódź@shop.example"])
def test_a_sender_that_is_no_address_is_refused(sender: str) -> None:
    with pytest.raises(ValueError, match=r"^MAIL_FROM must"):
        parse_sender(sender)
