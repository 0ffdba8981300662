"""Two products that the tests of cancel, approval, operators, sweep and webhooks share for a session.

`shop` is the whole product with limits that a test can wait for. `stage` is the app on devhost with its storage behind
proxies, so that storage can be held and refused; its sweep does not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from devtools.processes.ports import PORTS_IN_A_ROW
from tests.e2e.app_on_devhost import AppOnDevhost, Stage, proxies
from tests.e2e.world import World
from tests.support.product import Product
from tests.support.servers import Azurite, FreePorts, Sandbox


@pytest.fixture(scope="session")
def shop_product(ports: FreePorts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Orders above 500.00 wait for an approval, undos give up after seconds, and the sweep is always about."""
    product = Product(
        tmp_path_factory.mktemp("shop"),
        ports(PORTS_IN_A_ROW),
        APPROVAL_THRESHOLD_MINOR="50000",
        APPROVAL_DEADLINE="20",
        UNDO_RETRY_SECONDS="1",
        SWEEP_SCHEDULE="*/2 * * * * *",
    )
    try:
        yield product.start()
    finally:
        product.end()


@pytest.fixture(scope="session")
def shop(shop_product: Product) -> Iterator[World]:
    with closing(World(shop_product.urls)) as world:
        yield world


@pytest.fixture(scope="session")
def stage(
    ports: FreePorts, azurite: Azurite, sandbox_processes: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    tables, blobs = proxies(ports, azurite)
    log = tmp_path_factory.mktemp("stage") / "devhost.log"
    with tables, blobs:
        app = AppOnDevhost(ports(1), tables, blobs, sandbox_processes, log, UNDO_RETRY_SECONDS="1")
        try:
            with closing(app.start()) as world:
                yield Stage(world, tables, blobs, app)
        finally:
            app.stop()
