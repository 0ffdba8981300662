"""Batches of operations as host.json sets them: how large, how many at once, with or without rollback."""

from collections.abc import Callable

from tests.devhost.support.entity_calls import becomes, open_gate, signal, state
from tests.devhost.support.hosts import APPS, Devhost, until

Hosts = Callable[..., Devhost]
APP = APPS / "entities"


def test_a_batch_is_as_large_as_host_json_says(new_host: Hosts) -> None:
    limits = {
        "AzureFunctionsJobHost__extensions__durableTask__maxEntityOperationBatchSize": "2",
        "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentEntityFunctions": "1",
    }
    host = new_host(app=APP, settings=limits).start()
    operations = [("write", "a"), ("write", "b"), ("at_gate", "long"), ("write", "c")]
    host.run("signals", [["Journal", "batches", operation, value] for operation, value in operations])
    until(lambda: "begins batches long" in host.notes)
    assert state(host, "journal", "batches") == ["a", "b"]
    open_gate(host, "batches")
    becomes(host, "journal", "batches", ["a", "b", "long", "c"])
    for key in ("one", "two"):
        signal(host, "journal", key, "slowly", 0.3)
    becomes(host, "journal", "one", [0.3])
    becomes(host, "journal", "two", [0.3])
    assert [line.split()[0] for line in host.notes] == ["begins", "ends"] * 3


def test_a_batch_without_a_limit_is_all_that_waits(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    host.run("signals", [["Journal", "all", *operation] for operation in (("write", "a"), ("at_gate", "long"))])
    until(lambda: "begins all long" in host.notes)
    assert state(host, "journal", "all") is None
    open_gate(host, "all")
    becomes(host, "journal", "all", ["a", "long"])


def test_entities_do_not_wait_for_each_other(new_host: Hosts) -> None:
    host = new_host(app=APP).start()
    for key in ("one", "two"):
        signal(host, "journal", key, "at_gate", "long")
    until(lambda: len(host.notes) == 2)
    assert sorted(host.notes) == ["begins one long", "begins two long"]
    for key in ("one", "two"):
        open_gate(host, key)
        becomes(host, "journal", key, ["long"])


def test_without_rollback_a_failed_operation_leaves_what_it_changed(new_host: Hosts) -> None:
    setting = "AzureFunctionsJobHost__extensions__durableTask__rollbackEntityOperationsOnExceptions"
    host = new_host(app=APP, settings={setting: "false"}).start()
    ended = host.run("calls", [["account", "left", "add", -9], ["account", "left", "add", 1]])
    assert ended["output"] == ["failed: -9 is below zero", "failed: -8 is below zero"]
    assert state(host, "account", "left") == -8
