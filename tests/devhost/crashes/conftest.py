"""A devhost that tests stop at its writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devhost.support.crash_points import ProxiedDevhost
from tests.devhost.support.hosts import FEATURES, Devhost
from tests.support.servers import Azurite, FreePorts
from tests.support.storage_proxy import StorageProxy


@pytest.fixture
def proxied(
    request: pytest.FixtureRequest, azurite: Azurite, ports: FreePorts, tmp_path: Path
) -> Iterator[ProxiedDevhost]:
    """It serves the app that the module names as APP, or the features app."""
    answered: list[str] = []
    address = azurite.table.rsplit("/", 1)[0]
    app = getattr(request.module, "APP", FEATURES)
    with StorageProxy(ports(), address, answered) as tables:
        host = Devhost(azurite.connection_string.replace(address, tables.address), ports(), tmp_path, app)
        try:
            yield ProxiedDevhost(host.start(), tables, answered)
        finally:
            host.kill()
