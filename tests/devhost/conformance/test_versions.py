"""Versions of orchestrations: host.json's defaultVersion, the client's, and the one that a caller names."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.devhost.support.hosts import APPS, Devhost
from tests.devhost.support.provider_oracle import Hub, judged
from tests.devhost.support.stored_layout import of_type
from tests.support.servers import Azurite, FreePorts

APP = APPS / "conformance"
SETTING = "AzureFunctionsJobHost__extensions__durableTask__defaultVersion"


@pytest.fixture(scope="module")
def host(azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devhost]:
    """A devhost whose host.json has a default version."""
    folder = tmp_path_factory.mktemp("versions")
    settings = {SETTING: "1.2"}
    with judged(Devhost(azurite.connection_string, ports(), folder, app=APP, settings=settings)) as shared:
        yield shared


def test_an_instance_has_the_version_of_host_json_or_the_one_that_its_starter_names(host: Devhost) -> None:
    assert host.run("versions", instance_id="by-default")["output"] == ["1.2", "1.2", "9.9"]
    assert host.post(host.api("/orchestrators/versions/by-query?version=3.4")).status == 202
    assert host.finished("by-query")["output"] == ["3.4", "1.2", "9.9"]
    started = host.post("/api/call/start_new", {"orchestration_function_name": "version_of", "version": "5.6"})
    assert host.finished(started.json()["answer"])["output"] == "5.6"


def test_the_rows_say_which_version_a_child_and_its_caller_have(host: Devhost) -> None:
    assert host.post(host.api("/orchestrators/versions/caller?version=3.4")).status == 202
    host.finished("caller")
    with closing(Hub(host)) as hub:
        created = of_type(hub.history("caller"), "SubOrchestrationInstanceCreated")
        assert [row["Version"] for row in created] == ["1.2", "9.9"]
        for row in created:
            (started,) = of_type(hub.history(row["InstanceId"]), "ExecutionStarted")
            assert started["Version"] == hub.instance(row["InstanceId"])["Version"] == row["Version"]
            assert json.loads(started["ParentInstance"])["Version"] == "3.4"


def test_a_generation_and_a_restart_keep_the_version(host: Devhost) -> None:
    assert host.post(host.api("/orchestrators/two_generations/kept?version=3.4")).status == 202
    host.finished("kept")
    again = host.post(host.api("/instances/kept/restart")).json()["id"]
    host.finished(again)
    with closing(Hub(host)) as hub:
        assert [hub.instance(each)["Version"] for each in ("kept", again)] == ["3.4", "3.4"]
