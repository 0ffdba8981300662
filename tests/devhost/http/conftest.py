"""Instances of the conformance app in each state, for requests of the Durable API."""

import pytest

from tests.devhost.support.hosts import Devhost, until


@pytest.fixture(scope="module")
def ended(host: Devhost) -> dict[str, str]:
    """An instance in each state that has an end, by state."""
    ids = {"Completed": "is-completed", "Failed": "is-failed", "Terminated": "is-terminated"}
    for (state, instance), name in zip(ids.items(), ("plain", "fails", "two_names"), strict=True):
        host.begin(name, {"a": 1}, instance)
        if state == "Terminated":
            host.post(host.api(f"/instances/{instance}/terminate?reason=enough"))
        assert host.finished(instance)["runtimeStatus"] == state
    return ids


@pytest.fixture
def running(host: Devhost) -> str:
    """An instance that waits for events."""
    instance = host.begin("two_names")
    until(lambda: host.status(instance)["runtimeStatus"] == "Running")
    return instance


@pytest.fixture(scope="module")
def listed(host: Devhost) -> list[str]:
    """Five instances of one prefix: four that have completed, one that runs."""
    ids = [f"listed-{number}" for number in range(5)]
    for instance in ids[:4]:
        host.run("plain", {"n": instance}, instance)
    host.begin("two_names", None, ids[4])
    until(lambda: host.status(ids[4])["runtimeStatus"] == "Running")
    return ids
