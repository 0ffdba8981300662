"""Mail over SMTP and push over Notification Hubs' call, as clients of the real ones would use them."""

import base64
import hashlib
import hmac
import json
import smtplib
import time
from collections.abc import Iterator
from email.message import EmailMessage
from urllib.parse import quote_plus

import pytest

from tests.contracts.sandbox.sandbox_process import SandboxProcess, SandboxResponse, call

BODY = json.dumps({"message": "Łódź: on its way"}, ensure_ascii=False).encode()


@pytest.fixture
def server(mail: SandboxProcess, smtp_port: int) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", smtp_port, timeout=20) as connected:
        yield connected


def confirmation(to: str = "Ada <ada@example.com>") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Shop <shop@example.com>", to
    message["Subject"] = "Zamówienie do Łodzi"
    message["Message-ID"] = "<order-42@shop.example>"
    message.set_content("Dear Ada,\n\nØresund.\n")
    message.add_alternative("<p>Dear Ada</p>", subtype="html")
    return message


def test_an_accepted_mail_is_a_row_with_its_readable_text(mail: SandboxProcess, server: smtplib.SMTP) -> None:
    assert server.send_message(confirmation()) == {}
    row = mail.messages()[-1]
    assert (row.pop("seq"), type(row.pop("at"))) == (len(mail.messages()), str)
    assert row == {
        "kind": "email",
        "from": "shop@example.com",
        "to": "ada@example.com",
        "subject": "Zamówienie do Łodzi",
        "message_id": "<order-42@shop.example>",
        "text": "Dear Ada,\n\nØresund.\n",
    }


def test_two_copies_of_a_mail_are_two_rows(mail: SandboxProcess, server: smtplib.SMTP) -> None:
    before = len(mail.messages())
    for _ in range(2):
        server.send_message(confirmation())
    first, second = mail.messages()[before:]
    assert first["message_id"] == second["message_id"]
    assert second["seq"] == first["seq"] + 1


@pytest.mark.parametrize("address", ["ada@bounce.invalid", "Ada@BOUNCE.INVALID"])
def test_a_recipient_at_bounce_invalid_is_rejected_for_good(
    mail: SandboxProcess, server: smtplib.SMTP, address: str
) -> None:
    before = mail.messages()
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        server.send_message(confirmation(address))
    assert caught.value.recipients[address][0] == 550
    assert mail.messages() == before
    assert server.send_message(confirmation("ada@not-bounce.invalid")) == {}


def test_a_mail_to_one_good_and_one_bad_recipient_goes_to_the_good_one(
    mail: SandboxProcess, server: smtplib.SMTP
) -> None:
    refused = server.send_message(confirmation("ada@example.com, bob@bounce.invalid"))
    assert refused.keys() == {"bob@bounce.invalid"}
    assert mail.messages()[-1]["to"] == "ada@example.com"


def test_a_mail_without_headers_is_taken_as_it_is(mail: SandboxProcess, server: smtplib.SMTP) -> None:
    server.sendmail("shop@example.com", ["ada@example.com"], "\r\nbare\r\n")
    row = mail.messages()[-1]
    assert (row["subject"], row["message_id"], row["text"]) == (None, None, "bare\n")


def token(
    resource: str, key: str = "sandbox-push-key", name: str = "sandbox", expiry: int | None = None
) -> dict[str, str]:
    """A shared access signature made as Microsoft's documentation makes it."""
    until = expiry if expiry is not None else int(time.time()) + 60
    encoded = quote_plus(resource)
    digest = hmac.new(key.encode(), f"{encoded}\n{until}".encode(), hashlib.sha256).digest()
    signature = quote_plus(base64.b64encode(digest))
    return {"Authorization": f"SharedAccessSignature sr={encoded}&sig={signature}&se={until}&skn={name}"}


def push(mail: SandboxProcess, authorization: dict[str, str], body: bytes = BODY, **headers: str) -> SandboxResponse:
    named = {
        "Content-Type": "application/json",
        "ServiceBusNotification-Format": "template",
        "ServiceBusNotification-Tags": "customer:cust-42",
    }
    changed = {f"ServiceBusNotification-{name}": value for name, value in headers.items()}
    url = f"{mail.url}/orders/messages?api-version=2015-01"
    return call("POST", url, body, named | changed | authorization)


@pytest.mark.parametrize("scope", ["{url}/orders/messages", "{url}/orders", "{url}/", "sb://127.0.0.1:{port}/orders"])
def test_a_push_with_a_good_token_is_a_row(mail: SandboxProcess, scope: str) -> None:
    reply = push(mail, token(scope.format(url=mail.url, port=mail.port)))
    row = mail.messages()[-1]
    assert (reply.status, row["kind"], row["from"], row["to"]) == (201, "push", "orders", "customer:cust-42")
    assert json.loads(row["text"]) == {"message": "Łódź: on its way"}
    assert row["message_id"] in reply.headers["location"]


def test_a_push_without_a_good_token_is_a_401_and_not_taken(mail: SandboxProcess) -> None:
    before = mail.messages()
    good = token(f"{mail.url}/orders")["Authorization"]
    refused = [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": good.replace("&skn=sandbox", "")},
        {"Authorization": good.replace("orders", "others")},
        {"Authorization": good.replace("&se=", "&se=1")},
        token(f"{mail.url}/orders", key="another-key"),
        token(f"{mail.url}/orders", name="another-name"),
        token(f"{mail.url}/orders", expiry=int(time.time()) - 1),
        token(f"{mail.url}/another-hub"),
        token(f"{mail.url}/order"),
        token(f"{mail.url}/Orders"),
    ]
    assert [push(mail, authorization).status for authorization in refused] == [401] * len(refused)
    assert mail.messages() == before


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"not json", {}),
        (b"[]", {}),
        (b'{"message": 7}', {}),
        (BODY, {"Format": "gcm"}),
        (BODY, {"Tags": ""}),
        (BODY, {"Tags": "customer:a || customer:b"}),
        (BODY, {"Tags": "x" * 121}),
    ],
)
def test_a_push_that_would_reach_nobody_or_everybody_is_refused(
    mail: SandboxProcess, body: bytes, headers: dict[str, str]
) -> None:
    before = mail.messages()
    assert push(mail, token(f"{mail.url}/orders"), body, **headers).status == 400
    assert mail.messages() == before


def test_a_push_without_an_api_version_is_refused(mail: SandboxProcess) -> None:
    assert call("POST", f"{mail.url}/orders/messages", BODY, token(f"{mail.url}/orders")).status == 400


@pytest.mark.parametrize(
    ("fault", "status", "copies"), [("error_before_commit", 500, 0), ("error_after_commit", 500, 1), ("refuse", 400, 0)]
)
def test_a_push_can_fail_for_one_order(mail: SandboxProcess, fault: str, status: int, copies: int) -> None:
    before = len(mail.messages())
    mail.plan({"operation": "push.send", "fault": fault, "order_id": "o"})
    assert push(mail, token(f"{mail.url}/orders") | {"X-Order-Id": "o"}).status == status
    assert len(mail.messages()) == before + copies
    assert push(mail, token(f"{mail.url}/orders") | {"X-Order-Id": "p"}).status == 201


def test_health_answers_when_mail_and_push_are_both_there(mail: SandboxProcess, server: smtplib.SMTP) -> None:
    assert call("GET", f"{mail.url}/sandbox/health").json() == {"status": "ok"}
    assert server.noop()[0] == 250


def test_a_mail_that_no_program_can_read_well_is_taken_and_survives_a_restart(
    mail: SandboxProcess, server: smtplib.SMTP
) -> None:
    bad = b"Subject: \xff\xfe\r\nContent-Type: text/plain; charset=klingon\r\n\r\n\xff\r\n\x85.\r\n"
    server.sendmail("shop@example.com", ["ada@example.com"], bad)
    kept = mail.messages()
    assert kept[-1]["text"] == "\xff\n\x85.\n"
    mail.kill()
    mail.start()
    assert mail.messages() == kept
