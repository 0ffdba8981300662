"""What was sent before a death or a cancel and is carried out long after it: the request that a network held back.

Here storage receives it only when its order has ended without it. It must be refused by what the undo left in its
place, and change nothing that an auditor would see.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

import dev
from tests.e2e.app_on_devhost import AppOnDevhost, proxies
from tests.e2e.storage_proxy import Rule, StorageProxy
from tests.e2e.world import NOTHING, Effects, World, new_id, wait_for
from tests.servers import Azurite, FreePorts, Sandbox

ON_HAND, PRICE = 10, 1000


@pytest.fixture(scope="module")
def stage(
    ports: FreePorts, azurite: Azurite, sandbox_processes: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[AppOnDevhost, StorageProxy, StorageProxy]]:
    tables, blobs = proxies(ports, azurite)
    log = tmp_path_factory.mktemp("late") / "devhost.log"
    with tables, blobs:
        app = AppOnDevhost(ports(1), tables, blobs, sandbox_processes, log, UNDO_RETRY_SECONDS="1")
        app.start().close()
        try:
            yield app, tables, blobs
        finally:
            app.stop()


Stage = tuple[AppOnDevhost, StorageProxy, StorageProxy]


def cancelled_while_it_is_held(app: AppOnDevhost, held: Rule, order_id: str) -> dict[str, Any]:
    """The process dies with the request on its way; its next life honours the cancel. Returns how the order ended."""
    with closing(World(app.urls)) as world:
        assert held.seen.wait(30)
        assert world.post(f"/api/orders/{order_id}/cancel", None).status == 202
    app.kill()
    with closing(app.start()) as world:
        return world.ended(order_id)


def place(app: AppOnDevhost, order_id: str) -> str:
    with closing(World(app.urls)) as world:
        sku = world.new_sku(ON_HAND, PRICE)
        world.order(order_id, items=[{"sku": sku, "quantity": 1}])
    return sku


def remains(app: AppOnDevhost, order_id: str, sku: str) -> tuple[Effects, tuple[int, int]]:
    with closing(World(app.urls)) as world:
        return world.effects(order_id), world.stock(sku)


def test_a_reservation_that_arrives_after_its_release_is_refused(stage: Stage) -> None:
    app, tables, _blobs = stage
    order_id = new_id()
    with tables.failing(f'batch.*"order:{order_id}".*"reserved"', "hold_then_commit", times=1) as held:
        sku = place(app, order_id)
        assert cancelled_while_it_is_held(app, held, order_id)["status"] == "cancelled"
        held.lifted.set()
        assert held.done.wait(30)
    assert remains(app, order_id, sku) == (NOTHING, (ON_HAND, 0))


def test_a_label_that_arrives_after_it_was_voided_is_refused(stage: Stage) -> None:
    app, _tables, blobs = stage
    order_id = new_id()
    with blobs.failing(f"^PUT .*labels/{order_id}", "hold_then_commit", times=1) as held:
        sku = place(app, order_id)
        assert cancelled_while_it_is_held(app, held, order_id)["status"] == "cancelled"
        held.lifted.set()
        assert held.done.wait(30)
    undone = NOTHING._replace(charged=PRICE, given_back=PRICE, label="void")
    assert remains(app, order_id, sku) == (undone, (ON_HAND, 0))


def test_a_claim_that_arrives_after_a_cancel_is_lost(stage: Stage) -> None:
    """The claim of the confirmation was on its way when the customer cancelled: 202 was said, so no mail may go."""
    app, tables, _blobs = stage
    order_id = new_id()
    with closing(World(app.urls)) as world:
        with tables.failing(f'batch.*{order_id}.*"sending"', "hold_then_commit", times=1) as held:
            sku = place(app, order_id)
            assert held.seen.wait(30)
            assert world.post(f"/api/orders/{order_id}/cancel", None).status == 202
        assert world.ended(order_id)["status"] == "cancelled"
    undone = NOTHING._replace(charged=PRICE, given_back=PRICE, label="void")
    assert remains(app, order_id, sku) == (undone, (ON_HAND, 0))


def test_a_cancel_that_comes_while_the_mail_is_on_its_way_is_not_promised(stage: Stage) -> None:
    app, _tables, _blobs = stage
    order_id = new_id()
    with closing(World(app.urls)) as world:
        rule = {"operation": "email.send", "fault": "hold", "delay_s": 2, "order_id": order_id}
        with world.faults("mail", rule):
            sku = place(app, order_id)
            faults = f"{world.urls['mail']}/sandbox/faults"
            wait_for(lambda: dev.fetch(faults).json()["fired"] == [1], 30, "mail on its way")
            answer = world.post(f"/api/orders/{order_id}/cancel", None)
            view = world.ended(order_id)
    assert (answer.status, view["status"]) == (409, "completed")
    done = NOTHING._replace(charged=PRICE, label="issued", mails=1, message_ids=1, pushes=1)
    assert remains(app, order_id, sku) == (done, (ON_HAND - 1, 0))
