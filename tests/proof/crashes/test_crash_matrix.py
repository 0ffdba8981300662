"""The crash matrix: each step and each undo, killed before it commits, after it, and after its answer.

Cells that share a moment share a death: every order runs into a barrier of its own, and when all stand at theirs,
devhost is killed by SIGKILL. A second row of the same orders is cancelled at the barrier, just before the kill. So what
is tried is (each step, each undo) x (three moments) x (goes on, is cancelled), in three lives of one devhost.

- before the commit: the request is lost, again and again;
- after the commit: the provider has done it, and its answer never comes. Storage cannot stand still there, because one
  process writes stock one order at a time: a whole attempt hears no answer, and what the next one finds is not written;
- after the answer: the activity's result is known, and its history row is held on its way to storage.

Where the providers can kill (`kill_after_commit`), the life "after the commit" ends by a provider's hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from devtools.audit.auditor import Auditor
from devtools.example_order import example_order
from devtools.processes.http import fetch
from tests.support.harness import Harness
from tests.support.outside_view import NOTHING, Effects, OutsideView, compensations, new_id, wait_for
from tests.support.steps import ALL_UNDOS, STEPS, undos_after
from tests.support.storage_proxy import Fault

PRICE = 1000
COMPLETED = NOTHING._replace(charged=PRICE, label="issued", mails=1, message_ids=1, pushes=1)
BOUNCES = {"customer": {**example_order()["customer"], "email": "ada@bounce.invalid"}}
DECLINED = {"payment_method": "pm_card_visa_chargeDeclined"}
MOMENTS = ("before_its_commit", "after_its_commit", "after_its_answer")
LOST: dict[str, tuple[Fault, int]] = {
    "before_its_commit": ("lose_request", 1_000_000),
    "after_its_commit": ("lose_answer", 3),  # all that one attempt hears: the client sends three times
}
UNANSWERED: dict[str, dict[str, Any]] = {
    "before_its_commit": {"fault": "drop_before_commit"},
    "after_its_commit": {"fault": "hold", "delay_s": 30},
}


class Barrier(NamedTuple):
    """Where an order is stopped: an operation of "payments" or "mail", or a request to "tables" or "blobs" (a pattern
    with `{id}`). `next_row` is in the history batch that follows its answer. `cancellable`: a cancel at it is taken.
    `undoes`: what the order will have undone, in that order; `changes`: of the example order.
    """

    target: str
    operation: str
    next_row: str
    cancellable: bool = False
    undoes: tuple[str, ...] = ()
    changes: Mapping[str, Any] = {}


def _scheduled(activity: str) -> str:
    return f'"Name": ?"{activity}"'


FOLLOWING = {**dict(pairwise((*STEPS, "close_order"))), **dict(pairwise((*ALL_UNDOS, "close_order")))}


def _next(activity: str) -> str:
    """The row of the call that follows."""
    return _scheduled(FOLLOWING[activity])


BARRIERS = {
    "validate_order": Barrier(
        "tables", 'batch.*"{id}".*"State": ?"running"', _next("validate_order"), cancellable=True
    ),
    "reserve_inventory": Barrier(
        "tables", 'batch.*"order:{id}".*"reserved"', _next("reserve_inventory"), cancellable=True
    ),
    "process_payment-open": Barrier("payments", "payment_intents.create", _next("process_payment"), cancellable=True),
    "process_payment-confirm": Barrier(
        "payments", "payment_intents.confirm", _next("process_payment"), cancellable=True
    ),
    "process_payment-decline": Barrier(
        "payments",
        "payment_intents.confirm",
        _scheduled(undos_after("process_payment")[0]),
        cancellable=True,
        undoes=tuple(undos_after("process_payment")),
        changes=DECLINED,
    ),
    "create_shipment": Barrier(
        "blobs", "^PUT .*labels/{id}.*x-ms-meta-status: issued", _next("create_shipment"), cancellable=True
    ),
    "send_confirmation": Barrier("mail", "email.send", _next("send_confirmation")),
    "close_order": Barrier("tables", 'batch.*"order:{id}".*"sold"', "ExecutionCompleted"),
    "cancel_shipment": Barrier(
        "blobs",
        "^PUT .*labels/{id}.*x-ms-meta-status: void",
        _next("cancel_shipment"),
        undoes=ALL_UNDOS,
        changes=BOUNCES,
    ),
    "refund_payment": Barrier("payments", "refunds.create", _next("refund_payment"), undoes=ALL_UNDOS, changes=BOUNCES),
    "release_inventory": Barrier(
        "tables", 'batch.*"order:{id}".*"released"', _next("release_inventory"), undoes=ALL_UNDOS, changes=BOUNCES
    ),
}
CELLS = [(name, cancelled) for name in BARRIERS for cancelled in (False, True)]


class Lived(NamedTuple):
    """How one order came through a death."""

    view: dict[str, Any]
    effects: Effects
    cancel: int | None


class DeathReport(NamedTuple):
    """One death and what came after: by cell, and what the auditor found. `last` is the order that the provider's
    own kill stopped.
    """

    orders: dict[tuple[str, bool], Lived]
    violations: list[str]
    last: Lived | None


class Matrix:
    """One devhost that is killed once a moment."""

    def __init__(self, app: Harness) -> None:
        self._app = app
        self._proxies = {"tables": app.tables, "blobs": app.blobs}
        self._lives: dict[str, DeathReport] = {}
        self._rules: dict[str, list[dict[str, Any]]] = {}

    def life(self, moment: str) -> DeathReport:
        if moment not in self._lives:
            self._lives[moment] = self._live(moment)
        return self._lives[moment]

    def _live(self, moment: str) -> DeathReport:
        orders = {cell: new_id() for cell in CELLS}
        last = new_id() if moment == "after_its_commit" else None
        with closing(self._app.start()) as outside:
            sku = outside.new_sku(on_hand=50, price_minor=PRICE)
            with ExitStack() as barriers:
                reached = self._set_up(barriers, outside, moment, orders)
                # Providers last: an order stands at one only until its client's time-out, ten seconds.
                for place in (self._proxies, ("payments", "mail")):
                    cells = [cell for cell in CELLS if BARRIERS[cell[0]].target in place]
                    for cell in cells:
                        _place(outside, sku, orders[cell], BARRIERS[cell[0]].changes)
                    wait_for(partial(_all, [reached[cell] for cell in cells]), 45, f"order at each of {moment}")
                cancels = {cell: outside.cancel(orders[cell]).status for cell in CELLS if cell[1]}
                self._die(outside, sku, last)
        self._app.sandbox.clear_faults()
        with closing(self._app.start()) as outside:
            lived = {cell: _lived(outside, order_id, cancels.get(cell)) for cell, order_id in orders.items()}
            last_lived = _lived(outside, last, None) if last else None
            findings = _audited(self._app, [*orders.values(), *([last] if last else [])], sku)
        self._app.stop()
        return DeathReport(lived, findings, last_lived)

    def _set_up(
        self, barriers: ExitStack, outside: OutsideView, moment: str, orders: dict[tuple[str, bool], str]
    ) -> dict[tuple[str, bool], Callable[[], object]]:
        """Every barrier, and for each whether its order stands there."""
        rules: dict[str, list[dict[str, Any]]] = {"payments": [], "mail": []}
        reached: dict[tuple[str, bool], Callable[[], object]] = {}
        for cell, order_id in orders.items():
            barrier = BARRIERS[cell[0]]
            stands: list[Callable[[], object]] = []
            if moment == "after_its_answer" or (moment == "after_its_commit" and barrier.target in self._proxies):
                pattern = f"batch.*{order_id}.*{barrier.next_row}"
                stands.append(barriers.enter_context(self._proxies["tables"].failing(pattern, "hold")).seen.is_set)
            if moment in LOST and barrier.target in self._proxies:
                proxy, pattern = self._proxies[barrier.target], barrier.operation.replace("{id}", order_id)
                stands.append(barriers.enter_context(proxy.failing(pattern, *LOST[moment])).seen.is_set)
            elif moment in UNANSWERED and barrier.target in rules:
                stands.append(_fired(outside, barrier.target, len(rules[barrier.target])))
                rules[barrier.target].append(
                    {"operation": barrier.operation, "order_id": order_id, **UNANSWERED[moment]}
                )
            reached[cell] = partial(_all, stands)
        self._rules = rules
        for target, each in rules.items():
            if each:
                self._app.sandbox.faults(target, each)
        return reached

    def _die(self, outside: OutsideView, sku: str, last: str | None) -> None:
        if last is None:
            self._app.kill()
            return
        killing = {
            "operation": "payment_intents.confirm",
            "fault": "kill_after_commit",
            "order_id": last,
            "kill_pid": self._app.pid,
        }
        self._app.sandbox.faults("payments", [*self._rules["payments"], killing])
        _place(outside, sku, last, {})
        self._app.wait_for_death()


def _place(outside: OutsideView, sku: str, order_id: str, changes: Mapping[str, Any]) -> None:
    outside.order(order_id, items=[{"sku": sku, "quantity": 1}], **changes)


def _all(conditions: list[Callable[[], object]]) -> bool:
    return all(condition() for condition in conditions)


def _fired(outside: OutsideView, target: str, number: int) -> Callable[[], object]:
    return lambda: fetch(f"{outside.urls[target]}/sandbox/faults").json()["fired"][number]


def _lived(outside: OutsideView, order_id: str, cancel: int | None) -> Lived:
    return Lived(outside.ended(order_id), outside.effects(order_id), cancel)


def _audited(app: Harness, orders: list[str], sku: str) -> list[str]:
    with closing(Auditor(app.urls)) as auditor:
        auditor.stocked(sku, 50)
        for order_id in orders:
            auditor.accepted(order_id)
        return auditor.violations()


@pytest.fixture(scope="module")
def matrix(new_harness: Callable[..., Harness]) -> Iterator[Matrix]:
    settings = {
        "STEP_RETRY_SECONDS": "60",
        "UNDO_RETRY_SECONDS": "60",
        "PYTHON_THREADPOOL_THREAD_COUNT": "48",  # an order at its barrier keeps a thread
    }
    with new_harness(**settings) as app:
        yield Matrix(app)


@pytest.mark.parametrize("cancelled", [False, True], ids=["goes_on", "cancelled"])
@pytest.mark.parametrize("barrier", BARRIERS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_death_at(matrix: Matrix, moment: str, barrier: str, cancelled: bool) -> None:
    lived = matrix.life(moment).orders[barrier, cancelled]
    status = _expected_status(BARRIERS[barrier], cancelled)
    assert lived.view["status"] == status, lived
    assert _without_copies(lived.effects, barrier) == _expected_effects(status, lived.effects), lived
    if cancelled:
        assert lived.cancel == (202 if status == "cancelled" else 409)
    if status == "compensated":
        assert compensations(lived.view) == [(name, "done") for name in BARRIERS[barrier].undoes]


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_each_death_all_witnesses_agree(matrix: Matrix, moment: str) -> None:
    assert matrix.life(moment).violations == []


def test_a_provider_that_kills_when_it_has_charged_charges_once(matrix: Matrix) -> None:
    last = matrix.life("after_its_commit").last
    assert last is not None
    assert (last.view["status"], last.effects) == ("completed", COMPLETED)


def _expected_status(barrier: Barrier, cancelled: bool) -> str:
    if cancelled and barrier.cancellable:
        return "cancelled"
    return "compensated" if barrier.undoes else "completed"


def _without_copies(effects: Effects, barrier: str) -> Effects:
    """A mail may have copies, and a push may be lost, exactly where the process died while sending."""
    if barrier == "send_confirmation":
        return effects._replace(mails=min(effects.mails, 1), pushes=1 if effects.pushes <= 1 else effects.pushes)
    return effects


def _expected_effects(status: str, effects: Effects) -> Effects:
    """What is undone leaves as much charged as given back, and no label that is valid."""
    if status == "completed":
        return COMPLETED
    assert effects.charged in {0, PRICE}
    assert effects.label in {None, "void"}
    return NOTHING._replace(charged=effects.charged, given_back=effects.charged, label=effects.label)
