"""Each of the steps made to fail in turn, in each of the ways in which a step can fail; then the world compared.

Storage fails behind a proxy, payments and mail by the sandbox's faults: the app is the one that is deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from typing import Any

import pytest

from devtools.example_order import example_order
from devtools.processes.signals import wait_until
from tests.replay.oracle.walk import walk
from tests.replay.scenarios import ORDER_SAGA
from tests.replay.task_hub import histories
from tests.support.harness import Harness
from tests.support.outside_view import NOTHING, compensations, new_id, statuses
from tests.support.servers import Azurite
from tests.support.steps import STEPS, all_undone, undone_by

PRICE = 1000


@pytest.fixture(scope="module")
def harness(new_harness: Callable[..., Harness]) -> Iterator[Harness]:
    with new_harness() as app, closing(app.start()):
        yield app


Breaking = Callable[[Harness, str], AbstractContextManager[object]]


def payments(operation: str, fault: str, **more: Any) -> Breaking:
    return lambda harness, order_id: harness.outside.faults(
        "payments", {"operation": operation, "fault": fault, **more}
    )


def mail(fault: str, **more: Any) -> Breaking:
    rule = {"operation": "email.send", "fault": fault, **more}
    return lambda harness, order_id: harness.outside.faults("mail", {**rule, "order_id": order_id})


def reservation(fault: Any, times: int = 1_000_000) -> Breaking:
    return lambda harness, order_id: harness.tables.failing(f'batch.*"order:{order_id}".*"reserved"', fault, times)


def label(fault: Any, times: int = 1_000_000) -> Breaking:
    return lambda harness, order_id: harness.blobs.failing(f"^PUT .*labels/{order_id}", fault, times)


# One step, and what makes it fail for ever without having acted.
DOWN: dict[str, Breaking] = {
    "validate_order": payments("payment_methods.retrieve", "error_before_commit"),
    "reserve_inventory": reservation("lose_request"),
    "process_payment": payments("payment_intents.confirm", "error_before_commit"),
    "create_shipment": label("lose_request"),
    "send_confirmation": mail("error_before_commit"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_stays_down_is_undone_with_all_before_it(harness: Harness, step: str) -> None:
    outside, order_id = harness.outside, new_id()
    sku = outside.new_sku(on_hand=5)
    # What is down stays down for the undo too, until the customer has seen the step fail.
    with DOWN[step](harness, order_id):
        outside.order(order_id, items=[{"sku": sku, "quantity": 2}])
        failed = wait_until(lambda: statuses(outside.view(order_id))[step] in {"failed", "unknown"}, 60)
        assert failed, outside.view(order_id)
    view = outside.ended(order_id)
    assert compensations(view) == undone_by(step, own=True)
    assert view["status"] == ("rejected" if step == "validate_order" else "compensated")
    assert view["failure"]["step"] == step
    assert view["failure"]["reason"] in {"service_unavailable", "outcome_unknown"}
    assert outside.stock(sku) == (5, 0)
    effects = outside.effects(order_id)
    assert effects.net == 0
    assert effects.label in {None, "void"}
    assert effects.mails == effects.pushes == 0
    assert_charged_only_after(step, effects.charged)


def assert_charged_only_after(step: str, charged: int) -> None:
    assert charged == (2 * PRICE if STEPS.index(step) > STEPS.index("process_payment") else 0)


LOST: dict[str, tuple[str, Breaking]] = {
    "validate_order, the card's answer": (
        "validate_order",
        payments("payment_methods.retrieve", "drop_after_commit", times=1),
    ),
    "reserve_inventory, every answer of the store": ("reserve_inventory", reservation("lose_answer")),
    "process_payment, the intent's answer": (
        "process_payment",
        payments("payment_intents.create", "drop_after_commit", times=1),
    ),
    "process_payment, the intent's stored error": (
        "process_payment",
        payments("payment_intents.create", "error_after_commit", times=1),
    ),
    "process_payment, the charge's answer": (
        "process_payment",
        payments("payment_intents.confirm", "drop_after_commit", times=1),
    ),
    "process_payment, the charge's stored error": (
        "process_payment",
        payments("payment_intents.confirm", "error_after_commit", times=1),
    ),
    "create_shipment, the answers of a whole attempt": ("create_shipment", label("lose_answer", 3)),
    "send_confirmation, the mail's answer": ("send_confirmation", mail("drop_after_commit", times=1)),
}


@pytest.mark.parametrize("case", LOST)
def test_a_step_that_acted_and_lost_its_answer_acted_once(harness: Harness, case: str) -> None:
    step, breaking = LOST[case]
    outside, order_id = harness.outside, new_id()
    sku = outside.new_sku(on_hand=5)
    with breaking(harness, order_id):
        outside.order(order_id, items=[{"sku": sku, "quantity": 2}])
        view = outside.ended(order_id)
    assert view["status"] == "completed", view
    assert set(statuses(view).values()) == {"done"}
    assert outside.stock(sku) == (3, 0)
    effects = outside.effects(order_id)
    assert effects._replace(mails=1) == NOTHING._replace(
        charged=2 * PRICE, label="issued", mails=1, message_ids=1, pushes=1
    )
    # A mail whose answer was lost may have a copy, with the same Message-ID.
    assert effects.mails == (2 if step == "send_confirmation" else 1)
    assert outside.labels_of(order_id) == 1


UNDONE_LATE: dict[str, Breaking] = {
    "release_inventory": lambda harness, order_id: harness.tables.failing(
        f'batch.*"order:{order_id}".*"released"', "lose_answer", 3
    ),
    "refund_payment, its answer": payments("refunds.create", "drop_after_commit", times=1),
    "refund_payment, its stored error": payments("refunds.create", "error_after_commit", times=1),
    "refund_payment, before it acts": payments("refunds.create", "error_before_commit", times=2),
    "refund_payment, reading": payments("payment_intents.retrieve", "drop_before_commit", times=2),
    "cancel_shipment": lambda harness, order_id: harness.blobs.failing(
        f"^PUT .*labels/{order_id}.*x-ms-meta-status: void", "refuse", 5
    ),
}


@pytest.mark.parametrize("case", UNDONE_LATE)
def test_an_undo_that_fails_for_a_while_is_retried_and_undoes_once(harness: Harness, case: str) -> None:
    outside, order_id = harness.outside, new_id()
    sku = outside.new_sku(on_hand=5)
    customer = {**example_order()["customer"], "email": "ada@bounce.invalid"}
    with UNDONE_LATE[case](harness, order_id):
        outside.order(order_id, items=[{"sku": sku, "quantity": 2}], customer=customer)
        view = outside.ended(order_id)
    assert view["status"] == "compensated"
    assert compensations(view) == all_undone()
    assert outside.stock(sku) == (5, 0)
    assert outside.effects(order_id) == NOTHING._replace(charged=2 * PRICE, given_back=2 * PRICE, label="void")


def test_a_lost_decline_is_found_out_and_not_charged_again(harness: Harness) -> None:
    outside, order_id = harness.outside, new_id()
    rule = {"operation": "payment_intents.confirm", "fault": "drop_after_commit", "order_id": order_id, "times": 1}
    with outside.faults("payments", rule):
        outside.order(
            order_id, payment_method="pm_card_visa_chargeDeclined", items=[{"sku": outside.new_sku(), "quantity": 1}]
        )
        view = outside.ended(order_id)
    assert view["failure"] == {"step": "process_payment", "reason": "card_declined", "decline_code": "generic_decline"}
    assert [entry["event"] for entry in outside.ledger(order_id)].count("charge.failed") == 1
    assert outside.effects(order_id) == NOTHING


def test_a_charge_that_is_still_on_its_way_is_waited_for(harness: Harness) -> None:
    """The provider commits after our time-out: nothing may be decided before its outcome is known."""
    outside, order_id = harness.outside, new_id()
    sku = outside.new_sku(on_hand=5)
    rule = {"operation": "payment_intents.confirm", "fault": "hold_then_commit", "delay_s": 12, "times": 1}
    with outside.faults("payments", {**rule, "order_id": order_id}):
        outside.order(order_id, items=[{"sku": sku, "quantity": 1}])
        view = outside.ended(order_id)
    effects = outside.effects(order_id)
    if view["status"] == "completed":
        assert effects.net == PRICE
        assert outside.stock(sku) == (4, 0)
    else:
        assert view["status"] == "compensated"
        assert effects.net == 0
        assert outside.stock(sku) == (5, 0)


def test_every_history_of_these_failures_is_one_that_the_real_host_would_walk(
    harness: Harness, azurite: Azurite
) -> None:
    """The oracle numbers what the saga called as the extension does, and finds the ids that the SDK gave."""
    stored = histories(azurite.connection_string, harness.hub)
    assert len(stored) >= len(STEPS)
    assert {
        order_id: walk(history, ORDER_SAGA) for order_id, history in stored.items() if walk(history, ORDER_SAGA)
    } == {}
