"""Each activity and each undo, called directly over the app's own adapters on a world in memory.

What a saga makes of them is in test_order_saga.py. What happens when the world fails is in
tests/proof/model/test_model.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from activities.closing import close_order
from activities.inventory import release_inventory, reserve_inventory
from activities.notification import send_confirmation
from activities.payment import process_payment, refund_payment
from activities.shipping import cancel_shipment, create_shipment
from activities.validation import Policy, validate_order
from models.errors import Conflict, OutcomeUnknown, Refused
from models.messages import CloseTask, Left, OrderFinal, OrderUndoing, StepCancelled, StepDone, StepTask, UndoTask
from models.order_record import Change, OrderRecord, park, request_cancel, request_retry, resolve
from models.order_request import Evidence, Reason
from models.view import CompensationView, Failure, fresh_view
from reconciliation.sweep import parked_view
from tests.support.shop_in_memory import TRACKING, ShopInMemory
from tests.support.steps import STEPS, UNDO, up_to
from tests.unit.orders import request

ORDER, SKU, PRICE = "order-1", "CRUNCHY-ARMCHAIR", 12900
FAILURE = Failure(step="send_confirmation", reason="recipient_rejected")


class Activities(ShopInMemory):
    """One order, and each activity of the saga by its name. Five armchairs are in stock, and two are ordered."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.put(SKU, on_hand=5, price_minor=PRICE)
        self.orders.accept(ORDER, request(**changes))

    def do(self, step: str, left: Left | None = None) -> Any:
        task = StepTask(order_id=ORDER, operation_id=f"{ORDER}:{step}", left=left)
        calls: dict[str, Any] = {
            "validate_order": lambda: validate_order(
                task, self.orders, self.stock, self.payments, Policy(frozenset({"GB"}), None, 3600)
            ),
            "reserve_inventory": lambda: reserve_inventory(task, self.orders, self.stock),
            "process_payment": lambda: process_payment(task, self.orders, self.payments),
            "create_shipment": lambda: create_shipment(task, self.orders, self.labels),
            "send_confirmation": lambda: send_confirmation(task, self.orders, self.mail, self.push, TRACKING),
        }
        return calls[step]()

    def undo(self, step: str) -> Any:
        task = UndoTask(order_id=ORDER, operation_id=f"{ORDER}:{step}", failure=FAILURE)
        calls: dict[str, Any] = {
            "reserve_inventory": lambda: release_inventory(task, self.orders, self.stock),
            "process_payment": lambda: refund_payment(task, self.orders, self.payments),
            "create_shipment": lambda: cancel_shipment(task, self.orders, self.labels),
        }
        return calls[step]()

    def close(self, status: Any, *parked: str, attention: int = 0) -> Any:
        view = fresh_view(ORDER, status)
        view.compensations = [CompensationView(name=name, status="failed") for name in parked]
        task = CloseTask(order_id=ORDER, outcome=view, attention=attention)
        return close_order(task, self.orders, self.stock, self.mail, self.push, links=TRACKING)

    def after(self, step: str) -> Activities:
        """Every step up to this one is done."""
        for each in up_to(step):
            assert self.do(each).kind == "done"
        return self

    def before(self, step: str) -> Activities:
        return self.after(up_to(step)[-2]) if step != STEPS[0] else self

    def look(self) -> dict[str, Any]:
        """What the world has of the order."""
        shelf = self.stock.find(SKU)
        assert shelf is not None
        return {
            "reserved": shelf.item.reserved,
            "on_hand": shelf.item.on_hand,
            "charged": self.stripe.amount("payment_intent.succeeded"),
            "refunded": self.stripe.amount("refund.succeeded"),
            "label": self.blobs.status(ORDER),
            "mails": [mail.key for mail in self.mail.accepted],
            "pushes": len(self.push.accepted),
        }


NOTHING = Activities().look()
EFFECTS: dict[str, dict[str, Any]] = {
    "validate_order": {},
    "reserve_inventory": {"reserved": 2},
    "process_payment": {"charged": 2 * PRICE},
    "create_shipment": {"label": "issued"},
    "send_confirmation": {"mails": [f"{ORDER}.confirmation"], "pushes": 1},
}
# By the step that an undo takes back: what changes then, what the undo leaves if the step never ran, and how the step's
# effect would come late.
UNDONE: dict[str, dict[str, Any]] = {
    "reserve_inventory": {"reserved": 0},
    "process_payment": {"refunded": 2 * PRICE},
    "create_shipment": {"label": "void"},
}
TOMBSTONES: dict[str, dict[str, Any]] = {
    "reserve_inventory": {},
    "process_payment": {},
    "create_shipment": {"label": "void"},
}
LATE: dict[str, Callable[[Activities, OrderRecord], object]] = {
    "reserve_inventory": lambda shop, order: shop.stock.reserve(ORDER, order.lines),
    "process_payment": lambda shop, order: shop.payments.confirm(ORDER, str(shop.orders.read(ORDER).payment_intent_id)),
    "create_shipment": lambda shop, order: shop.labels.issue(order),
}
each_step = pytest.mark.parametrize("step", STEPS)
each_undo = pytest.mark.parametrize("step", UNDO)


def test_each_step_and_each_undo_is_tried_here() -> None:
    assert set(EFFECTS) == set(STEPS)
    assert UNDONE.keys() == TOMBSTONES.keys() == LATE.keys() == UNDO.keys()


@each_step
def test_a_step_has_its_effect_and_no_other(step: str) -> None:
    shop = Activities().before(step)
    before = shop.look()
    assert shop.do(step).kind == "done"
    assert shop.look() == {**before, **EFFECTS[step]}


@each_step
def test_a_step_that_is_called_again_changes_nothing(step: str) -> None:
    shop = Activities().after(step)
    before = shop.look()
    assert shop.do(step).kind == "done"
    assert shop.look() == before


@each_step
def test_a_step_honours_a_cancel_before_it_acts(step: str) -> None:
    shop = Activities().before(step)
    shop.orders.change(ORDER, request_cancel)
    before = shop.look()
    assert isinstance(shop.do(step), StepCancelled)
    assert shop.look() == before


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_step_that_comes_after_its_order_s_undo_began_lets_everything_be_undone(step: str) -> None:
    shop = Activities().before(step)
    shop.undo("create_shipment")
    before = shop.look()
    assert shop.do(step) == OrderUndoing(total=shop.orders.read(ORDER).total, failure=FAILURE)
    assert shop.look() == before


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_step_that_comes_after_the_end_of_its_order_returns_that_end(step: str) -> None:
    shop = Activities().after("send_confirmation")
    ended = shop.close("completed")
    before = shop.look()
    assert shop.do(step) == ended
    assert shop.look() == before


@each_undo
def test_an_undo_that_comes_after_the_end_of_its_order_takes_nothing_back(step: str) -> None:
    shop = Activities().after("send_confirmation")
    ended = shop.close("completed")
    before = shop.look()
    assert shop.undo(step) == ended
    assert shop.look() == before


@each_step
def test_a_step_of_today_leaves_its_facts_to_the_next_one_and_has_the_same_effect(step: str) -> None:
    shop = Activities().before(step)
    before = shop.look()
    done = shop.do(step, Left(etag=shop.orders.read(ORDER).etag))
    assert isinstance(done, StepDone) and done.left is not None
    # The push goes out with the write that says `sent`, which is the next activity's.
    assert shop.look() == {**before, **EFFECTS[step], "pushes": before["pushes"]}


@each_undo
def test_an_undo_takes_back_its_step_and_nothing_else(step: str) -> None:
    shop = Activities().after(step)
    before = shop.look()
    assert shop.undo(step).kind == "done"
    assert shop.look() == {**before, **UNDONE[step]}


@each_undo
def test_an_undo_that_is_called_again_changes_nothing(step: str) -> None:
    shop = Activities().after(step)
    shop.undo(step)
    before = shop.look()
    assert shop.undo(step).kind == "done"
    assert shop.look() == before


@each_undo
def test_an_undo_whose_step_never_ran_takes_nothing_and_leaves_what_refuses_a_late_one(step: str) -> None:
    shop = Activities().before(step)
    before = shop.look()
    order = shop.orders.read(ORDER)
    assert shop.undo(step).kind == "done"
    assert shop.look() == {**before, **TOMBSTONES[step]}
    with pytest.raises((Refused, OutcomeUnknown)):
        LATE[step](shop, order)
    assert shop.look() == {**before, **TOMBSTONES[step]}


@each_undo
def test_an_undo_that_an_operator_has_resolved_does_not_act(step: str) -> None:
    shop = Activities().after(step)
    shop.undo("create_shipment")  # the undoing has begun
    shop.close("needs_attention", UNDO[step], attention=1)
    evidence = Evidence(by="ada", reason="done by hand", reference="count of today")
    shop.orders.change(ORDER, resolve, UNDO[step], evidence)
    before = shop.look()
    assert shop.undo(step).resolved is True
    assert shop.look() == before


def test_the_end_of_a_good_order_sells_what_was_reserved() -> None:
    shop = Activities().after("send_confirmation")
    before = shop.look()
    assert isinstance(shop.close("completed"), OrderFinal)
    assert shop.look() == {**before, "reserved": 0, "on_hand": 3}
    assert shop.orders.read(ORDER).state == "completed"
    assert shop.close("completed") == shop.close("completed")
    assert shop.look() == {**before, "reserved": 0, "on_hand": 3}


def test_an_order_whose_cancel_was_promised_is_never_completed() -> None:
    """With CONFIRMATION_FAILURE=ignore a saga completes an order whose confirmation has failed before its claim."""
    shop = Activities().before("send_confirmation")
    shop.orders.change(ORDER, request_cancel)
    before = shop.look()
    assert isinstance(shop.close("completed"), StepCancelled)
    assert shop.look() == before
    assert shop.orders.read(ORDER).state == "running"


def test_an_order_that_is_being_undone_is_not_completed_by_what_still_runs_of_an_earlier_saga() -> None:
    shop = Activities().after("send_confirmation")
    shop.undo("create_shipment")
    before = shop.look()
    assert isinstance(shop.close("completed"), OrderUndoing)
    assert shop.look() == before
    assert shop.orders.read(ORDER).state == "compensating"


@pytest.mark.parametrize("step", STEPS[1:])
def test_an_order_that_ran_is_not_rejected_because_a_later_saga_could_not_validate_it(step: str) -> None:
    shop = Activities().before(step)
    before = shop.look()
    assert isinstance(shop.close("rejected"), OrderUndoing)
    assert (shop.look(), shop.orders.read(ORDER).state) == (before, "running")


def test_a_validation_says_whether_an_earlier_saga_may_have_charged_or_shipped() -> None:
    shop = Activities()
    assert [shop.do("validate_order").resumed for _ in range(2)] == [None, None]
    shop.do("reserve_inventory")
    shop.do("process_payment")
    assert shop.do("validate_order").resumed is True


def test_an_order_that_is_completed_without_its_confirmation_can_no_longer_be_cancelled() -> None:
    shop = Activities().before("send_confirmation")
    expected = {**shop.look(), "reserved": 0, "on_hand": 3}
    sell = shop.stock.sell

    def cancelled_meanwhile(order_id: str, **options: Any) -> None:
        with pytest.raises(Conflict):
            shop.orders.change(ORDER, request_cancel)
        sell(order_id, **options)

    with patch.object(shop.stock, "sell", cancelled_meanwhile):
        assert shop.close("completed").outcome["status"] == "completed"
    assert shop.look() == expected


def test_an_order_that_was_parked_before_its_validation_is_undone_with_nothing_to_give_back() -> None:
    shop = Activities()
    shop.orders.change(ORDER, park, parked_view(shop.orders.read(ORDER)).as_json())
    shop.orders.change(ORDER, request_retry, "refund_payment", Reason(by="ada", reason="once more"))
    assert isinstance(shop.do("validate_order"), OrderUndoing)
    for step in UNDO:
        assert shop.undo(step).kind == "done"
    assert shop.close("compensated").outcome["status"] == "compensated"
    assert shop.look() == {**NOTHING, "label": "void"}


@pytest.mark.parametrize("state", ["needs_attention", "compensating"])
def test_an_order_that_older_code_parked_before_its_validation_only_goes_backwards(state: str) -> None:
    shop = Activities()
    shop.orders.change(ORDER, lambda record: Change("parked", {"state": state}))
    assert isinstance(shop.do("validate_order"), OrderUndoing)


def test_the_end_of_an_undone_order_is_mailed_once() -> None:
    shop = Activities().after("process_payment")
    undone = [step for step in reversed(up_to("process_payment")) if step in UNDO]
    expected = {**shop.look(), "mails": [f"{ORDER}.farewell"]}
    for step in undone:
        shop.undo(step)
        expected |= UNDONE[step]
    for _ in range(2):
        shop.close("compensated")
    assert [mail.key for mail in shop.mail.accepted] == [f"{ORDER}.farewell"]
    assert shop.look() == expected


def test_an_order_that_is_parked_sends_no_mail_and_can_be_retried() -> None:
    shop = Activities().after("process_payment")
    shop.undo("reserve_inventory")
    shop.close("needs_attention", "refund_payment", attention=1)
    assert shop.look()["mails"] == []
    retried = shop.orders.change(ORDER, request_retry, "refund_payment", Reason(by="ada", reason="Stripe is back"))
    assert retried.state == "compensating"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"items": [{"sku": SKU, "quantity": 6}]}, "out_of_stock"),
        ({"items": [{"sku": "NOBODY-SELLS-THIS", "quantity": 1}]}, "unknown_sku"),
        ({"shipping_address__country": "FR"}, "country_not_served"),
    ],
)
def test_validation_refuses_before_anything_has_happened(changes: dict[str, Any], reason: str) -> None:
    shop = Activities(**changes)
    with pytest.raises(Refused, match=reason):
        shop.do("validate_order")
    assert shop.look() == NOTHING
    assert shop.orders.read(ORDER).lines == ()


def test_a_card_that_is_declined_leaves_no_money_taken() -> None:
    shop = Activities(payment_method="pm_card_visa_chargeDeclined").before("process_payment")
    before = shop.look()
    with pytest.raises(Refused, match="card_declined"):
        shop.do("process_payment")
    assert before["charged"] == 0
    assert shop.look() == before


def test_a_mailbox_that_does_not_exist_refuses_the_confirmation() -> None:
    shop = Activities(customer__email="ada@bounce.invalid").before("send_confirmation")
    with pytest.raises(Refused, match="recipient_rejected"):
        shop.do("send_confirmation")
    assert shop.look()["mails"] == []
