"""The sandbox's files, damaged or on a full disk: one sentence that names the file, and a ledger that stays whole."""

import resource
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.faults import Faults
from sandbox.ledger import Damaged, JsonLines, Ledger, NotKept
from sandbox.payments.state import Books
from tests.contracts.sandbox.sandbox_process import ROOT, SandboxProcess, call

INTENT = {"amount": "12900", "currency": "gbp", "payment_method": "pm_card_visa", "metadata[order_id]": "o"}
COMMITS = [
    *("", "{}", "[]", "7", "null", "hello", "[" * 100_000, '{"rows": 7}', '{"rows": [7]}'),
    *('{"rows": [], "objects": 7}', '{"rows": [], "objects": [{}]}', '{"rows": [], "objects": []}'),
]


@pytest.mark.parametrize("line", COMMITS)
def test_a_line_that_is_no_commit_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "payments.jsonl"
    path.write_text('{"rows": [], "objects": [], "answer": null, "time": 1}\n' + line + "\n")
    with pytest.raises(Damaged, match=r"Line 2 of \S+payments.jsonl is damaged: move the file away to begin anew"):
        Books(Ledger(path))


@pytest.mark.parametrize("line", ["{}", "[]", "null", "7", '{"rule": 0}', '{"rules": [{"x": 1}], "seed": 1}', "hello"])
def test_a_line_that_is_no_plan_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "payments-faults.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(Damaged, match=r"Line 1 of \S+payments-faults.jsonl is damaged"):
        Faults(path, ["payment_intents.create"])


@contextmanager
def full_beyond(size: int) -> Iterator[None]:
    """A disk that takes so many bytes a file, for this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 5])
def test_a_line_that_does_not_fit_is_taken_back_whole(tmp_path: Path, room: int) -> None:
    lines = JsonLines(tmp_path / "ledger.jsonl")
    lines.append({"n": 1})
    whole = lines.path.read_bytes()
    with full_beyond(len(whole) + room), pytest.raises(NotKept, match=r"ledger.jsonl cannot be written \("):
        lines.append({"n": 2})
    assert lines.path.read_bytes() == whole
    lines.append({"n": 3})
    rows: list[object] = []
    JsonLines(lines.path).recall(rows.append)
    assert rows == [{"n": 1}, {"n": 3}]


def test_a_commit_that_is_not_kept_has_no_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with full_beyond(3), pytest.raises(NotKept):
        ledger.commit([{"event": "lost"}])
    assert ledger.rows == []
    assert [row["seq"] for row in ledger.commit([{"event": "kept"}])] == [1]


def test_a_plan_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults.jsonl", ["email.send"])
    faults.replace({"seed": 5})
    with full_beyond(3), pytest.raises(NotKept):
        faults.replace({"seed": 6})
    assert faults.plan["seed"] == 5
    assert Faults(tmp_path / "faults.jsonl", ["email.send"]).plan["seed"] == 5


@pytest.fixture
def payments(ports: Callable[[], int], tmp_path: Path) -> Iterator[SandboxProcess]:
    process = SandboxProcess("payments", ports(), tmp_path)
    yield process.start()
    process.stop()


def limit_files(process: SandboxProcess, size: int) -> None:
    assert process.process is not None
    resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
def test_a_payment_that_cannot_be_kept_is_503_and_goes_through_under_the_same_key_later(
    payments: SandboxProcess,
) -> None:
    limit_files(payments, 10)
    refused = payments.v1("POST", "payment_intents", INTENT, key="o:pay")
    assert (refused.status, refused.error["type"]) == (503, "api_error")
    assert str(payments.data / "payments.jsonl") in refused.error["message"]
    assert payments.plan({"operation": "payment_intents.list", "fault": "refuse"}).status == 503
    assert payments.ledger() == []
    limit_files(payments, resource.RLIM_INFINITY)
    taken = payments.v1("POST", "payment_intents", INTENT, key="o:pay")
    assert (taken.status, "idempotent-replayed" in taken.headers) == (200, False)
    payments.kill()
    payments.start()
    assert payments.events("o") == ["payment_intent.created"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
def test_a_mail_that_cannot_be_kept_is_refused_for_now(ports: Callable[..., int], tmp_path: Path) -> None:
    port = ports(2)
    mail = SandboxProcess("mail", port, tmp_path, ("--smtp-port", str(port + 1))).start()
    try:
        limit_files(mail, 10)
        with smtplib.SMTP("127.0.0.1", port + 1) as client, pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("a@shop.example", "b@example.com", "Subject: x\r\n\r\ny")
        assert refused.value.smtp_code == 452
        assert mail.messages() == []
    finally:
        mail.stop()


@pytest.mark.parametrize("name", ["payments.jsonl", "payments-faults.jsonl"])
def test_a_folder_in_the_place_of_a_file_ends_the_start_with_one_sentence(
    ports: Callable[[], int], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    result = started(tmp_path, ports())
    assert f"The sandbox cannot keep its data: {tmp_path / name} cannot be used (Is a directory)" in result


def test_a_data_folder_that_is_a_file_ends_the_start_with_one_sentence(
    ports: Callable[[], int], tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("")
    assert f"The sandbox cannot keep its data: {tmp_path / 'data'} cannot be used (" in started(
        tmp_path / "data", ports()
    )


def started(data: Path, port: int) -> str:
    """What it says when it cannot start: one sentence and status 1."""
    command = [sys.executable, "-m", "sandbox.payments", "--port", str(port), "--data", str(data)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def test_health_answers_while_nothing_can_be_kept(payments: SandboxProcess) -> None:
    assert call("GET", f"{payments.url}/sandbox/health").status == 200
