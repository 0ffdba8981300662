"""Entities through kills of devhost: each operation that was acknowledged is applied exactly once."""

import contextlib
import http.client
import random
import threading
from collections.abc import Callable

import pytest

from tests.devhost.support.entity_calls import becomes, open_gate, signal, state
from tests.devhost.support.hosts import APPS, Devhost, until

Hosts = Callable[..., Devhost]
APP = APPS / "entities"


def test_signals_answered_with_202_survive_a_kill_at_once(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    signal(host, "journal", "kept", "slowly", 0.5)
    until(lambda: "begins kept 0.5" in host.notes)
    for text in ("a", "b"):
        signal(host, "journal", "kept", "write", text)
    signal(host, "account", "new", "add", 1)
    host.kill()
    host.start()
    becomes(host, "journal", "kept", [0.5, "a", "b"])
    becomes(host, "account", "new", 1)
    assert "unfinished" not in host.log


def test_a_call_in_flight_is_answered_after_a_kill(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    caller = host.begin("calls", [["Journal", "in-flight", "slowly", 0.5]])
    until(lambda: "begins in-flight 0.5" in host.notes)
    host.kill()
    host.start()
    assert host.finished(caller)["output"] == [["journal", "in-flight", 1]]
    assert state(host, "journal", "in-flight") == [0.5]


def test_an_unfinished_entity_does_not_keep_a_stop_waiting(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    signal(host, "journal", "stopped", "at_gate", "long")
    until(lambda: "begins stopped long" in host.notes)
    assert host.stop() == 0, "within fifteen seconds, as stop() wants it"


def test_what_waits_for_a_function_that_is_gone_stays(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    signal(host, "journal", "waiting", "at_gate", "long")
    until(lambda: "begins waiting long" in host.notes)
    host.kill()
    host.settings["AzureWebJobs.journal_function.Disabled"] = "true"
    host.start()
    until(lambda: "The waiting operations of @journal@waiting are kept." in host.log)
    host.kill()
    del host.settings["AzureWebJobs.journal_function.Disabled"]
    host.start()
    open_gate(host, "waiting")
    becomes(host, "journal", "waiting", ["long"])


WORKLOAD = 111_111
CLIENT_SIGNAL = 1_000_000


def test_no_operation_is_lost_or_applied_twice_whenever_devhost_dies(new_host: Hosts) -> None:
    """Many orchestrations signal and call, clients signal, and devhost dies at random moments."""
    host = new_host(app=APP).start()
    moments = random.Random(0)
    instances, answered = [], 0
    for _ in range(8):
        for number in range(3):
            instances.append(host.begin("workload", f"key-{number}"))
        answered += signals_until_killed(host, moments.uniform(0.0, 0.4))
        host.start()
    ends = [host.finished(instance)["runtimeStatus"] for instance in instances]
    assert ends == ["Completed"] * len(instances), host.log
    for number in range(3):
        becomes(host, "account", f"key-{number}", WORKLOAD * 8)
    clients = state(host, "account", "clients") or 0
    assert answered <= clients <= answered + 8  # the last one before each kill may have had no answer
    assert "Traceback" not in host.log


def signals_until_killed(host: Devhost, seconds: float) -> int:
    """Signal an entity from a client, kill devhost after so many seconds; how many signals were answered with 202."""
    answered = 0
    killer = threading.Timer(seconds, host.kill)
    killer.start()
    with contextlib.suppress(OSError, http.client.HTTPException):
        while host.post(host.api("/entities/account/clients?op=add"), "1").status == 202:
            answered += 1
    killer.join()
    return answered


def test_a_caller_that_waits_goes_on_with_the_entity_after_a_kill(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    instance = host.begin("waits_between", "between")
    becomes(host, "account", "between", 1)
    until(lambda: "EventRaised" in host.events(instance))
    host.kill()
    host.start()
    assert host.event(instance, "go", "on").status == 202
    assert host.finished(instance)["output"] == 2


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_kept_for_a_sender_goes_when_it_has_ended(new_host: Hosts, killed: bool) -> None:
    host = new_host(app=APP).start()
    host.run("calls", [["account", "forgetful", "add", 1]])
    if killed:
        host.kill()
        host.start()
    signal(host, "account", "forgetful", "add", 1)
    wanted = '{"exists":true,"state":"2","sorter":{}}'
    until(lambda: host.rows("Instances", "@account@forgetful")[0].get("Input") == wanted)
