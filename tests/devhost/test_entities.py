"""Entities: called and signalled from everywhere, kept in the provider's rows, each operation applied exactly once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devhost.hosts import Devhost, until
from tests.servers import Azurite, FreePorts

Hosts = Callable[..., Devhost]
APP = Path(__file__).parent / "apps" / "entities"


@pytest.fixture(scope="module", params=["warm", "replaying"])
def host(
    request: pytest.FixtureRequest, azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Devhost]:
    """A devhost that serves the entities app, once with executions kept warm and once replaying each turn."""
    arguments = ("--full-replays",) if request.param == "replaying" else ()
    folder = tmp_path_factory.mktemp("entities")
    shared = Devhost(azurite.connection_string, ports(), folder, app=APP, arguments=arguments)
    try:
        yield shared.start()
    finally:
        shared.kill()


def state(host: Devhost, name: str, key: str) -> Any:
    """The state of an entity over plain HTTP; None when there is none."""
    reply = host.get(host.api(f"/entities/{name}/{key}"))
    assert reply.status in (200, 404)
    return reply.json if reply.status == 200 else None


def becomes(host: Devhost, name: str, key: str, wanted: Any, within_s: float = 60) -> None:
    until(lambda: state(host, name, key) == wanted, within_s, lambda: f"{state(host, name, key)}\n{host.log}")


def signal(host: Devhost, name: str, key: str, operation: str, given: Any = None) -> None:
    """Through the SDK's client."""
    reply = host.post(f"/api/signal/{name}/{key}/{operation}", given)
    assert reply.status == 202, reply.text


def test_an_orchestrator_calls_an_entity_and_has_its_result(host: Devhost) -> None:
    operations = [["Journal", "Mixed Case", "write", text] for text in ("a", "b")]
    ended = host.run("calls", operations)
    assert ended["output"] == [["journal", "Mixed Case", 1], ["journal", "Mixed Case", 2]]
    assert state(host, "JOURNAL", "Mixed%20Case") == ["a", "b"]
    sent = [row for row in host.rows("History", ended["instanceId"]) if row.get("EventType", "").startswith("Event")]
    assert [row["EventType"] for row in sent] == ["EventSent", "EventRaised"] * 2
    assert [row["EventId"] for row in sent if row["EventType"] == "EventSent"] == [0, 1]
    assert sent[0]["InstanceId"] == "@journal@Mixed Case"
    assert sent[1]["Name"] in sent[0]["Input"]


def test_a_failed_operation_raises_in_its_caller_and_changes_nothing(host: Devhost) -> None:
    add = ("account", "failing", "add")
    ended = host.run("calls", [[*add, 5], [*add, -9], [*add, 1], ["account", "failing", "unstorable", None]])
    assert ended["output"][:3] == [5, "failed: -4 is below zero", 6]
    assert ended["output"][3].startswith("failed: ")
    assert state(host, "account", "failing") == 6
