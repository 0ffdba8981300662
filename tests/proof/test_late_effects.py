"""What was sent before a death or a cancel and is carried out long after it: the request that a network held back.

Here storage receives it only when its order has ended without it, or was promised to. It must be refused by what stands
in its place by then, and change nothing that the auditor would see.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from devtools.audit.auditor import Auditor
from devtools.processes.http import fetch
from tests.e2e.app_on_devhost import AppOnDevhost, proxies
from tests.e2e.storage_proxy import Rule, StorageProxy
from tests.e2e.world import World, new_id, wait_for
from tests.support.servers import Azurite, FreePorts, Sandbox


class Stage(NamedTuple):
    app: AppOnDevhost
    tables: StorageProxy
    blobs: StorageProxy
    auditor: Auditor


@pytest.fixture(scope="module")
def stage(
    ports: FreePorts, azurite: Azurite, sandbox_processes: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    tables, blobs = proxies(ports, azurite)
    log = tmp_path_factory.mktemp("late") / "devhost.log"
    with tables, blobs:
        app = AppOnDevhost(ports(1), tables, blobs, sandbox_processes, log, UNDO_RETRY_SECONDS="1")
        app.start().close()
        try:
            with closing(Auditor(app.urls)) as auditor:
                yield Stage(app, tables, blobs, auditor)
        finally:
            app.stop()


def place(stage: Stage, order_id: str) -> None:
    with closing(World(stage.app.urls)) as world:
        world.order(order_id, items=[{"sku": world.new_sku(on_hand=10), "quantity": 1}])
    stage.auditor.accepted(order_id)


def cancel(stage: Stage, order_id: str) -> int:
    answer = fetch(f"{stage.app.host}/api/orders/{order_id}/cancel", "POST")
    if answer.status == 202:
        stage.auditor.cancel_accepted(order_id)
    return answer.status


def ended(stage: Stage, order_id: str) -> dict[str, Any]:
    with closing(World(stage.app.urls)) as world:
        return world.ended(order_id, patience=60)


def die_and_end_without_it(stage: Stage, order_id: str, held: Rule) -> None:
    """The process dies with a request on its way, the next life honours a cancel, and then the request arrives."""
    place(stage, order_id)
    assert held.seen.wait(60)
    assert cancel(stage, order_id) == 202
    stage.app.kill()
    stage.app.start().close()
    assert ended(stage, order_id)["status"] == "cancelled"
    held.lifted.set()
    assert held.done.wait(60)


def test_a_reservation_that_arrives_after_its_release_is_refused(stage: Stage) -> None:
    order_id = new_id()
    with stage.tables.failing(f'batch.*"order:{order_id}".*"reserved"', "hold_then_commit", times=1) as held:
        die_and_end_without_it(stage, order_id, held)
    assert stage.auditor.violations() == []


def test_a_label_that_arrives_after_it_was_voided_is_refused(stage: Stage) -> None:
    order_id = new_id()
    with stage.blobs.failing(f"^PUT .*labels/{order_id}", "hold_then_commit", times=1) as held:
        die_and_end_without_it(stage, order_id, held)
    assert stage.auditor.violations() == []


def test_a_claim_that_arrives_after_a_cancel_is_lost(stage: Stage) -> None:
    """The claim of the confirmation was on its way when the customer cancelled: 202 was said, so no mail may go."""
    order_id = new_id()
    with stage.tables.failing(f'batch.*{order_id}.*"sending"', "hold_then_commit", times=1) as held:
        place(stage, order_id)
        assert held.seen.wait(60)
        assert cancel(stage, order_id) == 202
    assert ended(stage, order_id)["status"] == "cancelled"
    assert stage.auditor.violations() == []


def test_a_cancel_that_comes_while_the_mail_is_on_its_way_is_not_promised(stage: Stage) -> None:
    order_id = new_id()
    rule = {"operation": "email.send", "fault": "hold", "delay_s": 8, "order_id": order_id}
    with closing(World(stage.app.urls)) as world, world.faults("mail", rule):
        place(stage, order_id)
        wait_for(lambda: world.fired("mail"), 60, "mail on its way")
        cancel(stage, order_id)
    ended(stage, order_id)
    assert stage.auditor.violations() == []
