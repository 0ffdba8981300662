"""The data folder of a running product: whose it is, a disk without room, and a store that vanished."""

import resource
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from devtools.processes.identity import start_time
from tests.support.product import Product


def test_the_data_folder_belongs_to_its_user_alone(product: Product) -> None:
    product.final_view(product.order().json()["id"])
    paths = [path for path in (product.data, *product.data.rglob("*")) if path.exists()]
    open_to_others = [path for path in paths if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    assert len(paths) > 20
    assert open_to_others == []


def test_a_product_without_room_takes_no_order_and_says_why_in_its_health(
    new_product: Callable[..., Product],
) -> None:
    """Then Azurite cannot save; it is said, and all are stopped in order with status 0."""
    free = shutil.disk_usage(Path.home()).free // 1_000_000
    product = new_product(DEVHOST_MIN_FREE_MB=str(free + 1_000_000)).start()
    refused = product.order()
    assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
    health = product.get("/api/health")
    assert (health.status, health.headers["Retry-After"]) == (503, "5")
    assert "MB free and needs" in health.json()["detail"]
    assert str(product.data) not in health.body.decode() + refused.body.decode()
    assert product.get("/api/inventory/LAST-LAMP").status == 200

    pids = product.pids
    if sys.platform == "linux":
        resource.prlimit(pids["azurite"], resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        with TableServiceClient.from_connection_string(product.urls["storage_connection_string"]) as service:
            service.create_table("late")
    assert product.stop() == 0
    assert "Everything is stopped." in product.output()
    assert [pid for pid in pids.values() if start_time(pid)] == []
    if sys.platform == "linux":
        assert f"Azurite could not save {product.data}/azurite/__azurite_db_table__.json (is the disk full" in (
            product.output()
        )


@pytest.mark.parametrize("change", ["vanished", "damaged"])
def test_a_store_that_is_not_what_it_was_is_said(new_product: Callable[..., Product], change: str) -> None:
    product = new_product("--no-host").start()
    assert product.stop() == 0
    database = product.data / "azurite" / "__azurite_db_table__.json"
    if change == "vanished":
        database.unlink()
        product.start()
        assert f"{database} is missing, although this folder has been in use since" in product.output()
    else:
        database.write_bytes(database.read_bytes()[:-50])
        product.launch()
        assert product.ended() == 1
        assert f"dev.py: Azurite cannot read {database}, which is damaged: put a copy of it back" in product.output()
        assert "Traceback" not in product.output()
