"""An activity that outlives its deadline counts as unknown: the saga goes on, and the late effect is harmless.

The label's store holds every request to issue one for longer than the step's 20 seconds, and then does them all.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from tests.support.harness import Harness
from tests.support.outside_view import NOTHING, compensations, new_id, wait_for
from tests.support.steps import undone_by
from tests.support.storage_proxy import Rule

# The step's own 20 seconds, and not the 47 after which the storage client itself would have given up.
PATIENCE = 40


def held_label(harness: Harness, order_id: str) -> AbstractContextManager[Rule]:
    return harness.blobs.failing(f"^PUT .*labels/{order_id}.*x-ms-meta-status: issued", "hold_then_commit")


def test_a_label_that_outlives_its_deadline_is_found_out_and_comes_late_without_harm(harness: Harness) -> None:
    """One order goes forward, the other is cancelled meanwhile; both wait for the same 20 seconds."""
    outside, forward, cancelled = harness.outside, new_id(), new_id()
    sku = outside.new_sku()
    lines = [{"sku": sku, "quantity": 1}]
    with held_label(harness, forward) as held, held_label(harness, cancelled) as late:
        outside.order(forward, items=lines)
        outside.order(cancelled, items=lines)
        wait_for(lambda: all(outside.effects(it).charged for it in (forward, cancelled)), 60, "charges")
        assert held.seen.wait(60)
        assert late.seen.wait(60)
        assert outside.cancel(cancelled).status == 202
        # The cancelled one is undone while its label is still on its way.
        assert outside.becomes(cancelled, "cancelled", PATIENCE)["compensations"]
        wait_for(lambda: outside.tables.scheduled(forward).count("create_shipment") == 2, PATIENCE, "second attempt")
        assert outside.label(forward) is None
        for order_id in (forward, cancelled):
            assert "TaskFailed" not in {row["EventType"] for row in outside.tables.history(order_id)}
        assert outside.label(cancelled) == "void"
    assert outside.ended(forward)["status"] == "completed"
    assert outside.effects(forward) == NOTHING._replace(charged=1000, label="issued", mails=1, message_ids=1, pushes=1)
    assert outside.labels_of(forward) == 1
    assert late.done.wait(60), "the late label never came"
    assert compensations(outside.ended(cancelled)) == undone_by("create_shipment", own=True)
    assert outside.effects(cancelled) == NOTHING._replace(charged=1000, given_back=1000, label="void")
    assert outside.stock(sku) == (9, 0)
