"""Devhosts for tests: one shared by a module, or as many as a test likes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.devhost.hosts import Devhost
from tests.servers import Azurite, FreePorts


@pytest.fixture(scope="module")
def host(azurite: Azurite, ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devhost]:
    """A devhost that serves the features app for a whole module. Do not stop it."""
    shared = Devhost(azurite.connection_string, ports(), tmp_path_factory.mktemp("devhost"))
    try:
        yield shared.start()
    finally:
        shared.kill()


@pytest.fixture
def new_host(azurite: Azurite, ports: FreePorts, tmp_path: Path) -> Iterator[Callable[..., Devhost]]:
    """Makes devhosts of a test's own, not yet started: `new_host(settings={...}, app=...)`."""
    made: list[Devhost] = []

    def make(**options: object) -> Devhost:
        folder = tmp_path / f"devhost-{len(made)}"
        folder.mkdir()
        made.append(Devhost(azurite.connection_string, ports(), folder, **options))  # type: ignore[arg-type]
        return made[-1]

    try:
        yield make
    finally:
        for each in made:
            if each.process and each.process.poll() is None:
                each.kill()
