"""Devhosts for tests: one shared by a module, or as many as a test likes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.devhost.support.hosts import FEATURES, Devhost
from tests.devhost.support.provider_oracle import faults_after, judged
from tests.support.servers import Azurite, FreePorts


@pytest.fixture(scope="module")
def host(
    request: pytest.FixtureRequest, azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Devhost]:
    """A devhost for a whole module. It serves the app that the module names as APP, or the features app.

    Do not stop it. In the end all that the module's tests have left in its hub is judged, see provider_oracle.py.
    """
    folder = tmp_path_factory.mktemp("devhost")
    app = getattr(request.module, "APP", FEATURES)
    with judged(Devhost(azurite.connection_string, ports(), folder, app=app)) as shared:
        yield shared


@pytest.fixture
def new_host(azurite: Azurite, ports: FreePorts, tmp_path: Path) -> Iterator[Callable[..., Devhost]]:
    """Makes devhosts of a test's own, not yet started: `new_host(settings={...}, app=...)`.

    In the end the hubs of those that still serve are judged, see provider_oracle.py.
    """
    hosts: list[Devhost] = []

    def make(**options: object) -> Devhost:
        folder = tmp_path / f"devhost-{len(hosts)}"
        folder.mkdir()
        hosts.append(Devhost(azurite.connection_string, ports(), folder, **options))  # type: ignore[arg-type]
        return hosts[-1]

    try:
        yield make
        alive = [each for each in hosts if each.process and each.process.poll() is None]
        # The code of an app that was edited meanwhile is not the code that ran.
        lasting = [each for each in alive if "--watch" not in each.arguments]
        assert [fault for each in lasting for fault in faults_after(each)] == []
    finally:
        for each in hosts:
            if each.process and each.process.poll() is None:
                each.kill()
