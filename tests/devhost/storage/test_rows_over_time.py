"""The rows of an instance on its way: pending, suspended, resumed; what a second run of an id leaves of the first."""

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest
from azure.storage.blob import BlobServiceClient

from tests.devhost.support.hosts import APPS, Devhost, until
from tests.devhost.support.provider_oracle import Hub, judged
from tests.devhost.support.stored_layout import faults_of_pending, of_type
from tests.support.servers import Azurite, FreePorts
from tests.support.storage_proxy import StorageProxy

APP = APPS / "conformance"
LARGE = "x" * 40_000


@pytest.fixture(scope="module")
def tables(azurite: Azurite, ports: FreePorts) -> Iterator[StorageProxy]:
    """What devhost asks of the tables passes here, and can be held up."""
    with StorageProxy(ports(), azurite.table.rsplit("/", 1)[0]) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def host(
    azurite: Azurite, ports: FreePorts, tables: StorageProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Devhost]:
    storage = azurite.connection_string.replace(azurite.table.rsplit("/", 1)[0], tables.address)
    with judged(Devhost(storage, ports(), tmp_path_factory.mktemp("rows"), app=APP)) as shared:
        yield shared


@pytest.fixture
def hub(host: Devhost) -> Iterator[Hub]:
    with closing(Hub(host)) as hub:
        yield hub


def start(host: Devhost, orchestrator: str, instance: str, value: Any) -> None:
    assert host.post(host.api(f"/orchestrators/{orchestrator}/{instance}"), value).status == 202


def ask(host: Devhost, instance: str, verb: str, reason: str) -> None:
    assert host.post(host.api(f"/instances/{instance}/{verb}?reason={reason}")).status == 202


def test_a_started_instance_is_pending_and_has_no_history_until_its_first_turn_is_written(
    host: Devhost, hub: Hub, tables: StorageProxy
) -> None:
    with tables.failing(r"^POST \S*\$batch.*fresh", "hold_then_commit", times=1) as held:
        start(host, "plain", "fresh", {"a": 1})
        assert held.seen.wait(10)
        row = hub.instance("fresh")
        assert faults_of_pending(row) == []
        assert (row["RuntimeStatus"], row["Input"], row["Generation"]) == ("Pending", '{"a":1}', 0)
        assert row["LastUpdatedTime"] == row["CreatedTime"]
        assert hub.history("fresh") == []
        response = host.get(host.api("/instances/fresh?showHistory=true"))
        assert (response.status, response.json()["runtimeStatus"]) == (202, "Pending")
        assert "historyEvents" not in response.json()
    host.finished("fresh")
    assert hub.faults("fresh") == []
    assert hub.instance("fresh")["ExecutionId"] == row["ExecutionId"]


def test_the_reasons_of_a_suspension_and_of_its_end_stand_in_output(host: Devhost, hub: Hub) -> None:
    start(host, "two_names", "looked-at", None)
    until(lambda: "ExecutionStarted" in host.events("looked-at"))
    ask(host, "looked-at", "suspend", "look")
    row = hub.instance("looked-at")
    assert (row["RuntimeStatus"], row["Output"]) == ("Suspended", "look")
    assert hub.faults("looked-at") == []
    ask(host, "looked-at", "resume", "seen")
    until(lambda: hub.instance("looked-at")["RuntimeStatus"] == "Running")
    row = hub.instance("looked-at")
    assert (row["Output"], "CompletedTime" in row) == ("seen", False)
    assert hub.faults("looked-at") == []


def test_a_shorter_second_run_leaves_the_end_of_the_first_one_behind(host: Devhost, hub: Hub) -> None:
    start(host, "activities", "again", {"a": 1})
    host.finished("again")
    before, old = hub.instance("again"), hub.history("again")
    start(host, "silent", "again", None)
    until(lambda: host.status("again")["runtimeStatus"] == "Completed" and host.status("again")["name"] == "silent")
    row, rows = hub.instance("again"), hub.history("again")
    assert row["Generation"] == before["Generation"] + 1
    assert row["ExecutionId"] != before["ExecutionId"]
    assert not {"Input", "Output"} & row.keys()
    assert len(rows) == len(old)
    assert {each["ExecutionId"] for each in rows} == {row["ExecutionId"], before["ExecutionId"]}
    assert hub.faults("again") == []
    assert host.status("again", "?showHistory=true")["historyEvents"][0]["FunctionName"] == "silent"


def test_each_generation_has_an_execution_of_its_own_under_the_same_row(host: Devhost, hub: Hub) -> None:
    start(host, "forgets_events", "generations", None)
    until(lambda: of_type(hub.history("generations"), "ExecutionStarted"))
    (first,) = of_type(hub.history("generations"), "ExecutionStarted")
    host.event("generations", "go", 1)
    host.finished("generations")
    (second,) = of_type(hub.history("generations"), "ExecutionStarted")
    row = hub.instance("generations")
    assert first["ExecutionId"] != second["ExecutionId"] == row["ExecutionId"]
    assert (row["Input"], row["Generation"]) == ('"\\"again\\""', 0)
    assert row["CreatedTime"] == second["_Timestamp"] > first["_Timestamp"]
    assert hub.faults("generations") == []


LOST = {
    "the first start": (r"^POST \S*Instances.*lost", 0),
    "a second start": (r"^PUT \S*Instances\(PartitionKey='lost'", 1),
}


@pytest.mark.parametrize("what", LOST)
def test_a_start_whose_answer_is_lost_is_made_once_and_accepted(
    host: Devhost, hub: Hub, tables: StorageProxy, what: str
) -> None:
    pattern, generation = LOST[what]
    if generation:
        host.finished("lost")
    with tables.failing(pattern, "lose_answer", times=1) as lost:
        start(host, "silent", "lost", None)
    assert lost.done.is_set()
    until(lambda: hub.instance("lost")["RuntimeStatus"] == "Completed")
    assert hub.instance("lost")["Generation"] == generation
    assert hub.faults("lost") == []


def test_a_purge_whose_answer_is_lost_takes_every_row(host: Devhost, hub: Hub, tables: StorageProxy) -> None:
    start(host, "activities", "gone", {"a": 1})
    host.finished("gone")
    with tables.failing(r"^POST \S*\$batch.*DELETE \S*History\(PartitionKey='gone'", "lose_answer", times=1) as lost:
        response = host.delete(host.api("/instances/gone"))
    assert lost.done.is_set()
    assert (response.status, response.json()) == (200, {"instancesDeleted": 1})
    assert hub.history("gone") == host.rows("Instances", "gone") == []


def test_every_large_text_is_a_gzip_blob_whose_name_shows_where_it_belongs(host: Devhost, hub: Hub) -> None:
    instance = host.begin("large_payloads", LARGE, "larger")
    until(lambda: "TaskCompleted" in host.events(instance))
    assert host.event(instance, "large", LARGE).status == 202
    host.finished(instance)
    with BlobServiceClient.from_connection_string(host.storage, api_version="2021-12-02") as service:
        container = service.get_container_client(f"{host.hub.lower()}-largemessages")
        names = [str(name) for name in container.list_blob_names(name_starts_with="larger/")]
        texts = [gzip.decompress(container.download_blob(name).readall()).decode() for name in names]
    shape = re.compile(r"larger/history-([0-9A-F]{16}|)-(\w+)-[0-9a-f]{8}-(\w+)\.json\.gz")
    matches = [shape.fullmatch(name) for name in names]
    assert all(matches), names
    # The first one is of the row that was inserted at the start: it has no key yet.
    kinds = sorted((match[2], match[3], bool(match[1])) for match in matches if match)
    assert kinds == [
        ("EventRaised", "Input", True),
        ("ExecutionCompleted", "Result", True),
        ("ExecutionStarted", "Input", True),
        ("Input", "Input", False),
        ("SubOrchestrationInstanceCompleted", "Result", True),
        ("SubOrchestrationInstanceCreated", "Input", True),
        ("TaskCompleted", "Result", True),
        ("TaskScheduled", "Input", True),
    ]
    assert all(LARGE in text for text in texts)
    row = hub.instance("larger")
    assert all(row[column].startswith("http") and "larger/history-" in row[column] for column in ("Input", "Output"))
    assert hub.faults("larger") == []


@pytest.mark.parametrize("instance", ["100%", "%25", "a+b c", "é&b=c", "%2525"])
def test_the_large_texts_of_an_id_that_a_url_escapes_are_purged(host: Devhost, instance: str) -> None:
    in_url = quote(instance, safe="")
    assert host.post(host.api(f"/orchestrators/large_payloads/{in_url}"), json.dumps(LARGE)).status == 202
    with BlobServiceClient.from_connection_string(host.storage, api_version="2021-12-02") as service:
        texts = service.get_container_client(f"{host.hub.lower()}-largemessages").list_blob_names
        until(lambda: list(texts(name_starts_with=f"{instance}/")))
        assert host.post(host.api(f"/instances/{in_url}/terminate"), None).status == 202
        host.finished(in_url)
        assert host.delete(host.api(f"/instances/{in_url}")).json() == {"instancesDeleted": 1}
        assert list(texts(name_starts_with=f"{instance}/")) == []
