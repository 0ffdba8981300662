"""Two products that the tests of cancel, approval, operators, sweep and webhooks share for a session.

`shop` is the whole product with limits that a test can wait for. `harness` is the app on devhost with its storage
behind proxies, so that storage can be held and refused; its sweep does not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from devtools.processes.ports import PORTS_IN_A_ROW
from tests.support.harness import Harness
from tests.support.outside_view import OutsideView
from tests.support.product import Product
from tests.support.servers import FreePorts


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
def shop(shop_product: Product) -> Iterator[OutsideView]:
    with closing(OutsideView(shop_product.urls)) as outside:
        yield outside


@pytest.fixture(scope="session")
def harness(new_harness: Callable[..., Harness]) -> Iterator[Harness]:
    with new_harness(UNDO_RETRY_SECONDS="1") as app, closing(app.start()):
        yield app
