"""What was sent before a death or a cancel and is carried out long after it: the request that a network held back.

Here storage receives it only when its order has ended without it, or was promised to. It must be refused by what stands
in its place by then, and change nothing that the auditor would see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from devtools.audit.auditor import Auditor
from devtools.processes.http import fetch
from tests.support.harness import Harness
from tests.support.outside_view import OutsideView, new_id, wait_for
from tests.support.storage_proxy import Rule


class Audited(NamedTuple):
    """An app, and who judges what its orders do."""

    app: Harness
    auditor: Auditor


@pytest.fixture(scope="module")
def audited(new_harness: Callable[..., Harness]) -> Iterator[Audited]:
    with new_harness(UNDO_RETRY_SECONDS="1") as app:
        app.start().close()
        with closing(Auditor(app.urls)) as auditor:
            yield Audited(app, auditor)


def place(audited: Audited, order_id: str) -> None:
    with closing(OutsideView(audited.app.urls)) as outside:
        outside.order(order_id, items=[{"sku": outside.new_sku(on_hand=10), "quantity": 1}])
    audited.auditor.accepted(order_id)


def cancel(audited: Audited, order_id: str) -> int:
    answer = fetch(f"{audited.app.host}/api/orders/{order_id}/cancel", "POST")
    if answer.status == 202:
        audited.auditor.cancel_accepted(order_id)
    return answer.status


def ended(audited: Audited, order_id: str) -> dict[str, Any]:
    with closing(OutsideView(audited.app.urls)) as outside:
        return outside.ended(order_id, patience=60)


def die_and_end_without_it(audited: Audited, order_id: str, held: Rule) -> None:
    """The process dies with a request on its way, the next life honours a cancel, and then the request arrives."""
    place(audited, order_id)
    assert held.seen.wait(60)
    assert cancel(audited, order_id) == 202
    audited.app.kill()
    audited.app.start().close()
    assert ended(audited, order_id)["status"] == "cancelled"
    held.lifted.set()
    assert held.done.wait(60)


def test_a_reservation_that_arrives_after_its_release_is_refused(audited: Audited) -> None:
    order_id = new_id()
    with audited.app.tables.failing(f'batch.*"order:{order_id}".*"reserved"', "hold_then_commit", times=1) as held:
        die_and_end_without_it(audited, order_id, held)
    assert audited.auditor.violations() == []


def test_a_label_that_arrives_after_it_was_voided_is_refused(audited: Audited) -> None:
    order_id = new_id()
    with audited.app.blobs.failing(f"^PUT .*labels/{order_id}", "hold_then_commit", times=1) as held:
        die_and_end_without_it(audited, order_id, held)
    assert audited.auditor.violations() == []


def test_a_claim_that_arrives_after_a_cancel_is_lost(audited: Audited) -> None:
    """The claim of the confirmation was on its way when the customer cancelled: 202 was said, so no mail may go."""
    order_id = new_id()
    with audited.app.tables.failing(f'batch.*{order_id}.*"sending"', "hold_then_commit", times=1) as held:
        place(audited, order_id)
        assert held.seen.wait(60)
        assert cancel(audited, order_id) == 202
    assert ended(audited, order_id)["status"] == "cancelled"
    assert audited.auditor.violations() == []


def test_a_cancel_that_comes_while_the_mail_is_on_its_way_is_not_promised(audited: Audited) -> None:
    order_id = new_id()
    rule = {"operation": "email.send", "fault": "hold", "delay_s": 8, "order_id": order_id}
    with closing(OutsideView(audited.app.urls)) as outside, outside.faults("mail", rule):
        place(audited, order_id)
        wait_for(lambda: outside.fired("mail"), 60, "mail on its way")
        cancel(audited, order_id)
    ended(audited, order_id)
    assert audited.auditor.violations() == []
