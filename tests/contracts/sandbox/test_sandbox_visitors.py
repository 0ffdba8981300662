"""What the sandbox takes from whom: programs on this machine, no page of another site, and no kill of a stranger."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.contracts.sandbox.sandbox_process import JSON, SandboxProcess, call
from tests.support.servers import FreePorts

CONFIRM = "payment_intents.confirm"


@pytest.fixture(scope="module")
def sandboxes(ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SandboxProcess]]:
    """Both processes, called by one name besides the loopback ones."""
    data, smtp = tmp_path_factory.mktemp("visited"), ports()
    allowed = ("--allow-host", "sandbox.example")
    processes = {
        "payments": SandboxProcess("payments", ports(), data, allowed),
        "mail": SandboxProcess("mail", ports(), data, (*allowed, "--smtp-port", str(smtp))),
    }
    try:
        yield {name: it.start() for name, it in processes.items()}
    finally:
        for it in processes.values():
            it.stop()


PATHS = ["/sandbox/health", "/sandbox/faults", "/v1/payment_intents", "/orders/messages", "/nothing"]


@pytest.mark.parametrize("name", ["payments", "mail"])
def test_only_loopback_names_and_allowed_ones_are_answered(sandboxes: dict[str, SandboxProcess], name: str) -> None:
    for path in PATHS:
        for host in ("evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", ""):
            assert call("GET", sandboxes[name].url + path, headers={"Host": host}).status == 421
        for host in ("localhost", "[::1]:1", "sandbox.example", "Sandbox.Example:443"):
            assert call("GET", sandboxes[name].url + path, headers={"Host": host}).status != 421


@pytest.mark.parametrize("name", ["payments", "mail"])
def test_a_page_of_another_site_is_forbidden_everything(sandboxes: dict[str, SandboxProcess], name: str) -> None:
    url = sandboxes[name].url
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        for path in PATHS:
            for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
                assert call(method, url + path, b"", {**JSON, **foreign}).status == 403
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert call("GET", f"{url}/sandbox/faults", headers=navigation).status == 200
    assert call("DELETE", f"{url}/sandbox/faults", headers=navigation).status == 403
    assert call("GET", f"{url}/sandbox/faults", headers={"Origin": url}).status == 200


@pytest.mark.parametrize("name", ["payments", "mail"])
def test_a_plan_is_declared_as_json(sandboxes: dict[str, SandboxProcess], name: str) -> None:
    url = f"{sandboxes[name].url}/sandbox/faults"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""):
        assert call("PUT", url, b"{}", {"Content-Type": kind}).status == 415
    for kind in ("application/json", "Application/JSON; charset=utf-8", "application/plan+json"):
        assert call("PUT", url, b"{}", {"Content-Type": kind}).status == 200
    assert call("PUT", url, b"{}").status == 415
    assert call("PUT", url, b"").status == 400


def test_stripes_own_calls_stay_forms(sandboxes: dict[str, SandboxProcess]) -> None:
    created = sandboxes["payments"].v1(
        "POST", "payment_intents", {"amount": "100", "currency": "gbp", "payment_method_types[]": "card"}
    )
    assert created.status == 200, created.body


def test_a_page_cannot_speak_smtp(sandboxes: dict[str, SandboxProcess]) -> None:
    """Mail servers take commands a line at a time, so the lines of a form's body would be some."""
    mail = sandboxes["mail"]
    heads = [f"X-{number}: browsers send a dozen of these" for number in range(8)]
    commands = ["EHLO x", "MAIL FROM:<a@example.com>", "RCPT TO:<b@example.com>", "DATA", "Subject: x", "", "x", "."]
    with socket.create_connection(("127.0.0.1", int(mail.options[-1])), timeout=10) as connection:
        connection.sendall("\r\n".join(["POST / HTTP/1.1", *heads, "", *commands, ""]).encode())
        while connection.recv(4096):
            """Until it is closed."""
    assert mail.messages() == []


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that the sandbox's parent has not started: its own parent has gone, and init is its parent now."""
    waiting = (
        "subprocess.Popen([sys.executable, '-c', 'input()'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"
    )
    command = [sys.executable, "-c", f"import subprocess, sys; print({waiting}.pid)"]
    reading, writing = os.pipe()
    started = subprocess.run(command, stdin=reading, stdout=subprocess.PIPE, text=True, check=True)
    os.close(reading)
    try:
        yield int(started.stdout)
    finally:
        os.close(writing)


def test_a_plan_that_would_kill_somebody_elses_process_is_refused(
    sandboxes: dict[str, SandboxProcess], stranger: int
) -> None:
    payments = sandboxes["payments"]
    for pid in (stranger, os.getpid(), os.getppid()):
        reply = payments.plan({"operation": CONFIRM, "fault": "kill_after_commit", "kill_pid": pid})
        assert (reply.status, "a process that the product started" in reply.json()["error"]) == (400, True)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert payments.plan({"operation": CONFIRM, "fault": "kill_after_commit", "kill_pid": child.pid}).status == 200
        assert payments.plan({"operation": CONFIRM, "fault": "kill_after_commit", "kill_pid": 2**70}).status == 200
    finally:
        child.communicate(b"\n")


def test_a_number_that_was_given_to_a_stranger_since_the_plan_is_not_killed(
    ports: FreePorts, tmp_path: Path, stranger: int
) -> None:
    """The plan that the file has kept names it; the plan was set when the number was a child's."""
    rule: dict[str, Any] = {
        "operation": "payment_methods.retrieve",
        "fault": "kill_after_commit",
        "order_id": None,
        "times": None,
    }
    rule |= {"probability": 1.0, "delay_s": 0.0, "kill_pid": stranger}
    tmp_path.joinpath("payments-faults.jsonl").write_text(json_line({"seed": 7, "rules": [rule]}))
    payments = SandboxProcess("payments", ports(), tmp_path).start()
    try:
        assert payments.v1("GET", "payment_methods/pm_card_visa").status == 200
        assert psutil.Process(stranger).status() != psutil.STATUS_ZOMBIE
    finally:
        payments.stop()


def json_line(content: object) -> str:
    return json.dumps(content) + "\n"
