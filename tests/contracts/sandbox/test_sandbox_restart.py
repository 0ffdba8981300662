"""The sandbox outlives its own death: what was answered is so after `kill -9`, and a plan goes on where it was."""

import smtplib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.sandbox.sandbox_process import ROOT, SandboxProcess, call

INTENT = {
    "amount": "12900",
    "currency": "gbp",
    "payment_method": "pm_card_visa",
    "payment_method_types[]": "card",
    "metadata[order_id]": "o",
}


@pytest.fixture
def payments(ports: Callable[[], int], tmp_path: Path) -> Any:
    process = SandboxProcess("payments", ports(), tmp_path)
    yield process.start()
    process.stop()


def test_money_keys_and_ledger_survive_a_kill(payments: SandboxProcess) -> None:
    created = payments.v1("POST", "payment_intents", INTENT, key="o:pay").json()
    paid = payments.v1("POST", f"payment_intents/{created['id']}/confirm", key="o:confirm").json()
    refund = payments.v1("POST", "refunds", {"payment_intent": created["id"], "amount": "2900"}, key="o:refund").json()
    ledger = payments.ledger()
    payments.kill()
    payments.start()
    assert payments.ledger() == ledger
    assert payments.v1("GET", f"payment_intents/{created['id']}").json() == paid
    assert payments.v1("GET", f"refunds/{refund['id']}").json() == refund
    again = payments.v1("POST", f"payment_intents/{created['id']}/confirm", key="o:confirm")
    assert (again.json(), again.headers["idempotent-replayed"]) == (paid, "true")
    too_much = payments.v1("POST", "refunds", {"payment_intent": created["id"], "amount": "10001"})
    assert too_much.error["param"] == "amount"
    payments.v1("POST", "refunds", {"payment_intent": created["id"]})
    assert [row["seq"] for row in payments.ledger()] == [1, 2, 3, 4]


def test_a_stored_failure_survives_a_kill(payments: SandboxProcess) -> None:
    payments.plan({"operation": "payment_intents.create", "fault": "error_after_commit", "times": 1})
    assert payments.v1("POST", "payment_intents", INTENT, key="o:pay").status == 500
    payments.kill()
    payments.start()
    again = payments.v1("POST", "payment_intents", INTENT, key="o:pay")
    assert (again.status, again.headers["idempotent-replayed"]) == (500, "true")
    assert payments.events("o") == ["payment_intent.created"]


def test_a_plan_goes_on_where_it_was(payments: SandboxProcess) -> None:
    payments.plan({"operation": "payment_intents.list", "fault": "error_before_commit", "times": 2})
    assert payments.v1("GET", "payment_intents").status == 500
    payments.kill()
    payments.start()
    assert [payments.v1("GET", "payment_intents").status for _ in range(2)] == [500, 200]
    payments.clear_faults()
    payments.kill()
    payments.start()
    assert call("GET", f"{payments.url}/sandbox/faults").json() == {"seed": 0, "rules": [], "fired": []}


def test_a_line_torn_by_a_kill_is_dropped_and_the_ledger_goes_on(payments: SandboxProcess) -> None:
    payments.v1("POST", "payment_intents", INTENT)
    payments.kill()
    with (payments.data / "payments.jsonl").open("ab") as file:
        file.write(b'{"rows":[{"seq":2')
    payments.start()
    payments.v1("POST", "payment_intents", INTENT)
    payments.kill()
    payments.start()
    assert [row["seq"] for row in payments.ledger()] == [1, 2]


def test_a_damaged_file_is_named_and_not_overwritten(payments: SandboxProcess) -> None:
    payments.kill()
    ledger = payments.data / "payments.jsonl"
    ledger.write_bytes(b"not json\n")
    ended = _run("payments", "--port", str(payments.port), "--data", str(payments.data))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert str(ledger) in ended.stderr
    assert ledger.read_bytes() == b"not json\n"


def test_messages_survive_a_kill(ports: Callable[[], int], tmp_path: Path) -> None:
    smtp = ports()
    mail = SandboxProcess("mail", ports(), tmp_path, ("--smtp-port", str(smtp))).start()
    try:
        _send(smtp)
        kept = mail.messages()
        mail.kill()
        mail.start()
        assert mail.messages() == kept
        _send(smtp)
        assert [row["seq"] for row in mail.messages()] == [1, 2]
    finally:
        mail.stop()


def test_a_sigterm_ends_both_cleanly_even_while_an_answer_is_held(ports: Callable[[], int], tmp_path: Path) -> None:
    payments = SandboxProcess("payments", ports(), tmp_path).start()
    payments.plan({"operation": "payment_intents.list", "fault": "hold", "delay_s": 60})
    with pytest.raises(TimeoutError):
        payments.v1("GET", "payment_intents", wait_s=0.3)
    mail = SandboxProcess("mail", ports(), tmp_path, ("--smtp-port", str(ports()))).start()
    assert (payments.stop(), mail.stop()) == (0, 0)


def test_a_taken_port_is_one_sentence_and_the_data_is_not_touched(payments: SandboxProcess, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    ended = _run("payments", "--port", str(payments.port), "--data", str(fresh))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert f"Port {payments.port} " in ended.stderr
    assert not fresh.exists()


def test_a_taken_smtp_port_is_one_sentence(payments: SandboxProcess, ports: Callable[[], int], tmp_path: Path) -> None:
    taken = str(payments.port)
    ended = _run("mail", "--port", str(ports()), "--smtp-port", taken, "--data", str(tmp_path / "fresh"))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert f"Port {taken} " in ended.stderr


def _run(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"sandbox.{name}", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)


def _send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as server:
        server.sendmail("shop@example.com", ["ada@example.com"], "Subject: hello\r\n\r\nhello\r\n")
