"""Faults on request: every kind does exactly what it says, to whom it says, as often as it says."""

import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from http.client import RemoteDisconnected
from typing import Any

import pytest

from tests.contracts.sandbox.sandbox_process import JSON, SandboxProcess, SandboxResponse, call, eventually

CONFIRM = "payment_intents.confirm"
CUT = (RemoteDisconnected, ConnectionResetError)


@pytest.fixture(scope="module")
def payments_process(ports: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = SandboxProcess("payments", ports(), tmp_path_factory.mktemp("payments"))
    yield process.start()
    process.stop()


@pytest.fixture
def payments(payments_process: SandboxProcess) -> Iterator[SandboxProcess]:
    yield payments_process
    assert payments_process.clear_faults().json()["rules"] == []


def unconfirmed(payments: SandboxProcess, order: str) -> str:
    params = {"amount": "500", "currency": "gbp", "payment_method": "pm_card_visa", "payment_method_types[]": "card"}
    return str(payments.v1("POST", "payment_intents", params | {"metadata[order_id]": order}).json()["id"])


def confirm(payments: SandboxProcess, intent: str, key: str = "", wait_s: float = 20) -> SandboxResponse:
    return payments.v1("POST", f"payment_intents/{intent}/confirm", key=key, wait_s=wait_s)


def status_of(payments: SandboxProcess, intent: str) -> str:
    return str(payments.v1("GET", f"payment_intents/{intent}").json()["status"])


def send(port: int, order: str) -> dict[str, tuple[int, bytes]]:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@example.com", "ada@example.com", "Thanks"
    mail["X-Order-Id"] = order
    mail.set_content("Your order is on its way.")
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as server:
        return server.send_message(mail)


def mails_of(mail: SandboxProcess) -> int:
    return len(mail.messages())


def test_an_error_before_the_commit_does_nothing_and_leaves_the_key_free(payments: SandboxProcess) -> None:
    intent = unconfirmed(payments, "a")
    payments.plan({"operation": CONFIRM, "fault": "error_before_commit", "times": 1})
    assert confirm(payments, intent, "a:confirm").status == 500
    assert status_of(payments, intent) == "requires_confirmation"
    again = confirm(payments, intent, "a:confirm")
    assert (again.status, "idempotent-replayed" in again.headers) == (200, False)


def test_a_connection_dropped_before_the_commit_does_nothing(payments: SandboxProcess) -> None:
    intent = unconfirmed(payments, "b")
    payments.plan({"operation": CONFIRM, "fault": "drop_before_commit", "times": 1})
    with pytest.raises(CUT):
        confirm(payments, intent, "b:confirm")
    assert status_of(payments, intent) == "requires_confirmation"
    assert confirm(payments, intent, "b:confirm").json()["status"] == "succeeded"


def test_a_connection_dropped_after_the_commit_loses_only_the_answer(payments: SandboxProcess) -> None:
    intent = unconfirmed(payments, "c")
    payments.plan({"operation": CONFIRM, "fault": "drop_after_commit", "times": 1})
    with pytest.raises(CUT):
        confirm(payments, intent, "c:confirm")
    assert status_of(payments, intent) == "succeeded"
    assert confirm(payments, intent, "c:confirm").headers["idempotent-replayed"] == "true"
    assert payments.events("c").count("payment_intent.succeeded") == 1


def test_an_error_after_the_commit_is_replayed_under_its_key_for_ever(payments: SandboxProcess) -> None:
    intent = unconfirmed(payments, "d")
    payments.plan({"operation": CONFIRM, "fault": "error_after_commit", "times": 1})
    first, again = (confirm(payments, intent, "d:confirm") for _ in range(2))
    assert (first.status, again.status) == (500, 500)
    assert again.headers["idempotent-replayed"] == "true"
    assert status_of(payments, intent) == "succeeded"
    assert payments.events("d").count("payment_intent.succeeded") == 1


def test_a_held_answer_comes_after_its_delay(payments: SandboxProcess) -> None:
    """That its call is carried out at once is seen where a plan lets go of it, at the end of this file."""
    intent = unconfirmed(payments, "e")
    payments.plan({"operation": CONFIRM, "fault": "hold", "delay_s": 0.5})
    began = time.monotonic()
    assert confirm(payments, intent).json()["status"] == "succeeded"
    assert time.monotonic() - began >= 0.5


def test_a_held_commit_comes_after_the_caller_has_gone(payments: SandboxProcess) -> None:
    intent = unconfirmed(payments, "f")
    payments.plan({"operation": CONFIRM, "fault": "hold_then_commit", "delay_s": 600, "times": 1})
    with pytest.raises(TimeoutError):
        confirm(payments, intent, "f:confirm", wait_s=0.3)
    assert status_of(payments, intent) == "requires_confirmation"
    payments.clear_faults()
    eventually(lambda: status_of(payments, intent) == "succeeded")


def test_a_held_commit_is_refused_when_the_intent_was_cancelled_meanwhile(payments: SandboxProcess) -> None:
    intent = unconfirmed(payments, "g")
    payments.plan({"operation": CONFIRM, "fault": "hold_then_commit", "delay_s": 600, "times": 1})
    with pytest.raises(TimeoutError):
        confirm(payments, intent, "g:confirm", wait_s=0.3)
    assert payments.v1("POST", f"payment_intents/{intent}/cancel").json()["status"] == "canceled"
    payments.clear_faults()

    def late_answer() -> SandboxResponse | None:
        reply = confirm(payments, intent, "g:confirm")
        return reply if reply.status != 409 else None

    assert eventually(late_answer).error["code"] == "payment_intent_unexpected_state"
    assert "payment_intent.succeeded" not in payments.events("g")


def test_a_refused_confirm_is_a_decline_and_any_other_refusal_a_400(payments: SandboxProcess) -> None:
    intent = unconfirmed(payments, "h")
    payments.plan({"operation": CONFIRM, "fault": "refuse"}, {"operation": "payment_intents.cancel", "fault": "refuse"})
    declined = confirm(payments, intent)
    assert (declined.status, declined.error["decline_code"]) == (402, "generic_decline")
    assert status_of(payments, intent) == "requires_payment_method"
    assert payments.v1("POST", f"payment_intents/{intent}/cancel").status == 400
    assert payments.events("h") == ["payment_intent.created", "charge.failed"]


def test_a_kill_comes_after_the_commit_and_before_the_answer(payments: SandboxProcess) -> None:
    intent = unconfirmed(payments, "i")
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    payments.plan({"operation": CONFIRM, "fault": "kill_after_commit", "kill_pid": victim.pid, "times": 1})
    assert confirm(payments, intent).json()["status"] == "succeeded"
    assert victim.wait(10) == -9
    assert payments.events("i")[-1] == "payment_intent.succeeded"


def test_a_kill_of_a_process_that_is_gone_harms_nobody(payments: SandboxProcess) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    payments.plan({"operation": CONFIRM, "fault": "kill_after_commit", "kill_pid": gone.pid})
    assert confirm(payments, unconfirmed(payments, "j")).status == 200


@pytest.mark.parametrize(
    ("operation", "method", "path"),
    [
        ("payment_methods.retrieve", "GET", "payment_methods/pm_card_visa"),
        ("payment_intents.create", "POST", "payment_intents"),
        ("payment_intents.confirm", "POST", "payment_intents/{intent}/confirm"),
        ("payment_intents.capture", "POST", "payment_intents/{intent}/capture"),
        ("payment_intents.cancel", "POST", "payment_intents/{intent}/cancel"),
        ("payment_intents.retrieve", "GET", "payment_intents/{intent}"),
        ("payment_intents.search", "GET", "payment_intents/search?query=status:'succeeded'"),
        ("payment_intents.list", "GET", "payment_intents"),
        ("refunds.create", "POST", "refunds"),
        ("refunds.retrieve", "GET", "refunds/re_any"),
        ("refunds.list", "GET", "refunds"),
    ],
)
def test_every_operation_can_fail_alone(payments: SandboxProcess, operation: str, method: str, path: str) -> None:
    place = path.format(intent=unconfirmed(payments, "k"))
    payments.plan({"operation": operation, "fault": "error_before_commit", "times": 1})
    assert payments.v1(method, place).status == 500
    assert payments.v1(method, place).status != 500
    assert call("GET", f"{payments.url}/sandbox/faults").json()["fired"] == [1]


def test_a_rule_for_one_order_leaves_the_others_alone(payments: SandboxProcess) -> None:
    mine, other = unconfirmed(payments, "mine"), unconfirmed(payments, "other")
    payments.plan(*(_failing(operation, "mine") for operation in (CONFIRM, "payment_intents.retrieve")))
    assert [confirm(payments, intent).status for intent in (mine, other)] == [500, 200]
    assert payments.v1("GET", f"payment_intents/{mine}").status == 500
    assert payments.v1("GET", f"payment_intents/{other}").status == 200


def test_a_rule_for_an_order_finds_it_through_refunds_and_searches_but_not_through_methods(
    payments: SandboxProcess,
) -> None:
    intent = unconfirmed(payments, "deep")
    charge = confirm(payments, intent).json()["latest_charge"]
    refund = payments.v1("POST", "refunds", {"charge": charge, "amount": "1"}).json()["id"]
    operations = (
        "refunds.create",
        "refunds.retrieve",
        "refunds.list",
        "payment_intents.search",
        "payment_intents.list",
    )
    payments.plan(*(_failing(operation, "deep") for operation in (*operations, "payment_methods.retrieve")))
    assert payments.v1("POST", "refunds", {"payment_intent": intent}).status == 500
    assert payments.v1("POST", "refunds", {"charge": charge}).status == 500
    assert payments.v1("GET", f"refunds/{refund}").status == 500
    assert payments.v1("GET", f"refunds?payment_intent={intent}").status == 500
    assert payments.v1("GET", "payment_intents/search?query=metadata['order_id']:'deep'").status == 500
    assert payments.v1("GET", "refunds").status == 200
    assert payments.v1("GET", "payment_intents").status == 200
    assert payments.v1("GET", "payment_methods/pm_card_visa").status == 200


def _failing(operation: str, order: str) -> dict[str, Any]:
    return {"operation": operation, "fault": "error_before_commit", "order_id": order}


def test_the_first_rule_that_fires_wins(payments: SandboxProcess) -> None:
    intent = unconfirmed(payments, "l")
    rules: list[dict[str, Any]] = [
        {"operation": CONFIRM, "fault": "error_before_commit", "probability": 0},
        {"operation": CONFIRM, "fault": "error_before_commit", "times": 0},
        {"operation": CONFIRM, "fault": "refuse", "times": 1},
        {"operation": CONFIRM, "fault": "drop_before_commit"},
    ]
    payments.plan(*rules)
    assert confirm(payments, intent).status == 402
    with pytest.raises(CUT):
        confirm(payments, intent)


def test_a_seed_decides_the_same_orders_in_every_order_of_arrival(payments: SandboxProcess) -> None:
    orders = [f"seeded-{n}" for n in range(20)]
    intents = {order: unconfirmed(payments, order) for order in orders}

    def fates(seed: int, arrival: list[str]) -> dict[str, list[int]]:
        rule = {"operation": "payment_intents.retrieve", "fault": "error_before_commit", "probability": 0.5}
        payments.plan(rule, seed=seed)
        drawn: dict[str, list[int]] = {order: [] for order in sorted(orders)}
        for order in arrival:
            drawn[order].append(payments.v1("GET", f"payment_intents/{intents[order]}").status)
        return drawn

    first = fates(7, orders * 2)
    assert first == fates(7, [order for order in reversed(orders) for _ in range(2)])
    assert first != fates(8, orders * 2)
    assert {status for statuses in first.values() for status in statuses} == {200, 500}


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        ([], "JSON object"),
        ({"rule": []}, "`rule`"),
        ({"seed": "7"}, "seed"),
        ({"rules": {}}, "rules"),
        ({"rules": ["hold"]}, "rules[0]"),
        ({"rules": [{"fault": "hold"}]}, "operation"),
        ({"rules": [{"operation": CONFIRM}]}, "fault"),
        (
            {"rules": [{"operation": CONFIRM, "fault": "hold"}, {"operation": "email.send", "fault": "hold"}]},
            "email.send",
        ),
        ({"rules": [{"operation": "payment_intents.explode", "fault": "hold"}]}, "payment_intents.explode"),
        ({"rules": [{"operation": CONFIRM, "fault": "explode"}]}, "explode"),
        ({"rules": [{"operation": CONFIRM, "fault": "hold", "order_id": 7}]}, "order_id"),
        ({"rules": [{"operation": CONFIRM, "fault": "hold", "times": "2"}]}, "times"),
        ({"rules": [{"operation": CONFIRM, "fault": "hold", "times": -1}]}, "times"),
        ({"rules": [{"operation": CONFIRM, "fault": "hold", "probability": 1.5}]}, "probability"),
        ({"rules": [{"operation": CONFIRM, "fault": "hold", "delay_s": -1}]}, "delay_s"),
        ({"rules": [{"operation": CONFIRM, "fault": "hold", "delay_s": True}]}, "delay_s"),
        ({"rules": [{"operation": CONFIRM, "fault": "hold", "kill_pid": -1}]}, "kill_pid"),
        ({"rules": [{"operation": CONFIRM, "fault": "hold", "kill_pid": 1}]}, "kill_pid"),
        ({"rules": [{"operation": CONFIRM, "fault": "hold", "delay": 1}]}, "delay"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_by_name_and_the_old_one_stays(
    payments: SandboxProcess, plan: Any, named: str
) -> None:
    kept = payments.plan({"operation": CONFIRM, "fault": "hold"}).json()
    reply = payments.put_plan(plan)
    assert reply.status == 400
    assert named in reply.json()["error"]
    assert call("GET", f"{payments.url}/sandbox/faults").json() == kept


def test_a_plan_that_is_not_json_is_refused(payments: SandboxProcess) -> None:
    for body in (b"{", b"", b"\xff", b"[" * 100_000, b'{"seed": ' + b"9" * 5000 + b"}"):
        assert call("PUT", f"{payments.url}/sandbox/faults", body, JSON).status == 400


@pytest.mark.parametrize(
    ("fault", "code", "copies"),
    [("error_before_commit", 451, 0), ("error_after_commit", 451, 1), ("refuse", 550, 0)],
)
def test_a_mail_fault_answers_with_its_code(
    mail: SandboxProcess, smtp_port: int, fault: str, code: int, copies: int
) -> None:
    before = mails_of(mail)
    mail.plan({"operation": "email.send", "fault": fault, "order_id": "m"})
    with pytest.raises(smtplib.SMTPDataError) as caught:
        send(smtp_port, "m")
    assert caught.value.smtp_code == code
    assert mails_of(mail) == before + copies
    assert send(smtp_port, "another") == {}


@pytest.mark.parametrize(("fault", "copies"), [("drop_before_commit", 0), ("drop_after_commit", 1)])
def test_a_mail_connection_can_break_before_or_after_the_commit(
    mail: SandboxProcess, smtp_port: int, fault: str, copies: int
) -> None:
    before = mails_of(mail)
    mail.plan({"operation": "email.send", "fault": fault, "times": 1})
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        send(smtp_port, "n")
    assert mails_of(mail) == before + copies
    assert send(smtp_port, "n") == {}


def test_a_held_mail_is_taken_after_its_sender_has_gone(mail: SandboxProcess, smtp_port: int) -> None:
    before = mails_of(mail)
    mail.plan({"operation": "email.send", "fault": "hold_then_commit", "delay_s": 600, "times": 1})
    impatient = smtplib.SMTP("127.0.0.1", smtp_port, timeout=0.3)
    with impatient, pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        impatient.sendmail("shop@example.com", ["ada@example.com"], "Subject: late\r\n\r\nlate\r\n")
    assert mails_of(mail) == before
    mail.clear_faults()
    eventually(lambda: mails_of(mail) == before + 1)


def test_a_kill_can_come_after_a_mail(mail: SandboxProcess, smtp_port: int) -> None:
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    mail.plan({"operation": "email.send", "fault": "kill_after_commit", "kill_pid": victim.pid, "times": 1})
    assert send(smtp_port, "o") == {}
    assert victim.wait(10) == -9


@pytest.mark.parametrize(("fault", "done"), [("hold", "succeeded"), ("hold_then_commit", "requires_confirmation")])
def test_a_plan_that_is_deleted_lets_go_of_what_it_holds(payments: SandboxProcess, fault: str, done: str) -> None:
    intent = unconfirmed(payments, f"let-go-{fault}")
    payments.plan({"operation": CONFIRM, "fault": fault, "delay_s": 600})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(confirm, payments, intent, wait_s=60)
        eventually(lambda: call("GET", f"{payments.url}/sandbox/faults").json()["fired"] == [1])
        assert status_of(payments, intent) == done
        payments.clear_faults()
        assert answer.result().json()["status"] == "succeeded"
