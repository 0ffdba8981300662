"""Two requests of operators for one instance at the same time: each instance is processed once, and nothing is lost."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.devhost.support.entity_calls import becomes, signal
from tests.devhost.support.hosts import APPS, FEATURES, Devhost, until
from tests.devhost.support.provider_oracle import faults_after
from tests.support.servers import Azurite, FreePorts
from tests.support.storage_proxy import StorageProxy

Open = Callable[..., tuple[Devhost, StorageProxy]]
ANY_STATE = {"AzureFunctionsJobHost__extensions__durableTask__overridableExistingInstanceStates": "AnyState"}


@pytest.fixture
def open_host(azurite: Azurite, ports: FreePorts, tmp_path: Path) -> Iterator[Open]:
    """Makes a devhost whose requests to tables pass a proxy. In the end its hub is judged."""
    address = azurite.table.rsplit("/", 1)[0]
    with StorageProxy(ports(), address) as tables:

        @contextmanager
        def opened(app: Path, settings: dict[str, str]) -> Iterator[Devhost]:
            storage = azurite.connection_string.replace(address, tables.address)
            host = Devhost(storage, ports(), tmp_path, app, settings=settings)
            try:
                yield host.start()
                assert faults_after(host) == []
            finally:
                host.kill()

        hosts = []

        def make(app: Path = FEATURES, **settings: str) -> tuple[Devhost, StorageProxy]:
            hosts.append(opened(app, settings))
            return hosts[-1].__enter__(), tables

        yield make
        for each in hosts:
            each.__exit__(None, None, None)


def test_an_instance_that_is_rewound_twice_at_once_runs_its_failed_step_once_more(open_host: Open) -> None:
    host, tables = open_host()
    instance = host.begin("fragile", {"key": "twice", "times": 1})
    assert host.finished(instance)["runtimeStatus"] == "Failed"

    def rewind() -> int:
        return host.post(host.api(f"/instances/{instance}/rewind?reason=mended")).status

    with ThreadPoolExecutor() as threads:
        with tables.failing(r"^POST \S*\$batch.*Rewound", "hold_then_commit", times=1) as held:
            first = threads.submit(rewind)
            assert held.seen.wait(10)
            second = threads.submit(rewind)
            wait([second], timeout=1)  # it waits for the first; one that does not would be done by then
        assert first.result() == 202
        assert second.result() in (410, 500), "it is Running or Completed by then"
    until(lambda: host.status(instance)["runtimeStatus"] == "Completed")
    assert host.notes.count("fail_times twice") == 2


def test_of_two_starts_over_a_running_instance_one_stays(open_host: Open) -> None:
    host, tables = open_host(**ANY_STATE)
    host.begin("approval", None, "again")
    until(lambda: host.status("again")["runtimeStatus"] == "Running")
    with ThreadPoolExecutor() as threads:
        with tables.failing(r"^PUT \S*Instances\(PartitionKey='again'", "hold_answer", times=1) as held:
            first = threads.submit(host.begin_over_http, "approval/again", 600)
            assert held.done.wait(10)
            host.begin_over_http("approval/again", 1)
        first.result()
    until(lambda: host.status("again")["customStatus"] == "waiting")
    assert host.event("again", "answer", "once").status == 202
    assert host.finished("again")["output"] == "once"
    with pytest.raises(AssertionError, match="not within"):
        until(lambda: host.status("again")["output"] != "once", 2)


def test_a_signal_between_two_purges_of_its_entity_is_kept(open_host: Open) -> None:
    host, tables = open_host(APPS / "entities")
    signal(host, "account", "twice", "add", 1)
    becomes(host, "account", "twice", 1)

    def purge() -> int:
        return host.delete(host.api("/instances/@account@twice")).status

    asks = r"^GET \S*History\(\)\S*account%40twice"
    with ThreadPoolExecutor() as threads:
        with tables.failing(asks, "hold_then_commit", times=1) as one:
            first = threads.submit(purge)
            assert one.seen.wait(10)
            with tables.failing(asks, "hold_then_commit", times=1) as other:
                second = threads.submit(purge)
                one.lifted.set()
                assert other.seen.wait(10)
                assert first.result() == 200
                signalled = threads.submit(signal, host, "account", "twice", "add", 5)
                until(lambda: signalled.done() or signalled.running())
        assert second.result() == 200
        signalled.result()
    becomes(host, "account", "twice", 5, within_s=20)


def test_a_purge_of_many_leaves_an_instance_that_was_started_again_since_they_were_listed(open_host: Open) -> None:
    host, tables = open_host()
    for instance in ("old-1", "old-2"):
        host.run("plain", None, instance)
    with ThreadPoolExecutor() as threads:
        with tables.failing(r"^GET \S*History\(\)\S*old-1", "hold_then_commit", times=1) as held:
            purged = threads.submit(host.delete, host.api("/instances?createdTimeFrom=2020-01-01"))
            assert held.seen.wait(10)
            host.begin("approval", None, "old-2")
        assert purged.result().json() == {"instancesDeleted": 1}
    assert host.event("old-2", "answer", "still here").status == 202
    assert host.finished("old-2")["output"] == "still here"
