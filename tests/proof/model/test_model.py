"""Every decision of the saga under all that can go wrong with it, in memory; and samples of it on the real thing.

`python -m tests.proof.model` plays every plan; here the longest scenarios are sampled.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proof.model.exploration import explored, singles
from tests.proof.model.fates import FATES, TURN_FATES
from tests.proof.model.run import Run
from tests.proof.model.scenarios import ORDER, PRICE, SCENARIOS, TWO_OPERATORS, Scenario
from tests.proof.model.schedule import MAX_TURNS
from tests.support.harness import Harness
from tests.support.outside_view import OutsideView, new_id

# Which of a scenario's plans are played: every one, unless it stands here.
EVERY = {
    "completed with webhooks": 9,
    "card declined": 2,
    "3-D Secure": 9,
    "po box, validated by older code": 5,
    "mailbox refused": 2,
    "mailbox refused and ignored": 9,
    "refunds down": 16,
    "refunds down, resolved": 23,
    "labels down": 23,
    "stock down": 13,
    "approved": 5,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_order_keeps_every_rule_when_nothing_goes_wrong(name: str) -> None:
    assert Run(SCENARIOS[name], {}).play() == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_goes_wrong_once_wherever_it_does_breaks_no_rule(name: str) -> None:
    _, violations = explored(SCENARIOS[name], EVERY.get(name, 1))
    assert violations == []


@settings(derandomize=True, deadline=None, max_examples=120, database=None)
@given(
    st.sampled_from(sorted(SCENARIOS)),
    st.dictionaries(st.integers(0, 70), st.sampled_from([*FATES, *TURN_FATES]), min_size=2, max_size=5),
    st.sampled_from([0, 1, 3, MAX_TURNS]),
)
def test_whatever_goes_wrong_together_breaks_no_rule(name: str, plan: dict[int, str], late: int) -> None:
    assert Run(SCENARIOS[name], plan, late).play() == []


def quiet_trace(name: str) -> list[str]:
    """What happens in a scenario when nothing goes wrong."""
    quiet = Run(SCENARIOS[name], {})
    quiet.play()
    return quiet.trace


@pytest.mark.parametrize("name", ["refunds down", "stock down"])
def test_an_undo_that_arrives_after_its_order_was_parked_leaves_it_to_its_operator(name: str) -> None:
    trace = quiet_trace(name)
    first = trace.index("turn:release_inventory")
    begins = [number for number, moment in enumerate(trace) if number > first and moment == "orders.read"]
    for number in begins:
        assert Run(SCENARIOS[name], {number: "overdue"}, late=1).play() == [], number


@pytest.mark.parametrize("late", range(10))
@pytest.mark.parametrize(("name", "activity"), [("completed", "close_order"), ("mailbox refused", "cancel_shipment")])
def test_what_an_activity_of_a_terminated_saga_ends_or_undoes_is_what_the_next_saga_finds(
    name: str, activity: str, late: int
) -> None:
    """Activities are not terminated. The next saga has begun to go forward, and then the order ends, or is undone."""
    begins = quiet_trace(name).index(f"turn:{activity}")
    for number in (begins + 1, begins + 2):
        assert Run(SCENARIOS[name], {number: "overdue", number + 1: "terminate"}, late).play() == [], number


@pytest.mark.parametrize("step", ["create_shipment", "send_confirmation"])
def test_a_cancel_after_a_termination_takes_back_what_the_terminated_saga_did(step: str) -> None:
    terminated = quiet_trace("completed").index(f"turn:{step}")
    for number in range(terminated + 1, terminated + 20):
        assert Run(SCENARIOS["completed"], {terminated: "terminate", number: "cancel"}).play() == [], number


def outage(first: int, requests: int) -> dict[int, str]:
    """From there on so many requests fail, whatever they ask for. A turn of the saga counts as one of them."""
    return dict.fromkeys(range(first, first + requests), "down")


# As many requests as outlast every attempt of one activity, and of one or two more.
each_outage = pytest.mark.parametrize("requests", range(7, 16))


@each_outage
def test_an_order_that_was_charged_is_not_rejected_because_the_next_saga_cannot_validate_it(requests: int) -> None:
    terminated = quiet_trace("completed").index("turn:create_shipment")
    plan = {terminated: "terminate", **outage(terminated + 1, requests)}
    assert Run(SCENARIOS["completed"], plan).play() == []


@each_outage
def test_a_promised_cancel_is_kept_if_the_confirmation_fails_before_it_sees_the_cancel(requests: int) -> None:
    name = "mailbox refused and ignored"
    cancelled = quiet_trace(name).index("turn:send_confirmation")
    assert Run(SCENARIOS[name], {cancelled: "cancel", **outage(cancelled + 1, requests)}).play() == []


@each_outage
def test_an_order_whose_undos_are_all_resolved_waits_for_no_operator(requests: int) -> None:
    """The saga that was woken cannot read the resolution."""
    name = "refunds down, resolved"
    trace = quiet_trace(name)
    woken = len(trace) - trace[::-1].index("turn:refund_payment")
    assert Run(SCENARIOS[name], outage(woken, requests)).play() == []


@pytest.mark.parametrize("late", range(1, 4))
def test_the_first_undo_that_reaches_the_record_of_a_parked_order_leaves_it_to_its_operator(late: int) -> None:
    """No attempt of the undo could read the record, and the last one does so when the order is parked."""
    scenario = SCENARIOS["the last ones"]
    start = quiet_trace("the last ones").index("turn:reserve_inventory")
    plan = outage(start + 1, 40)
    unread = Run(scenario, plan)
    unread.play()
    attempts = [number for number, moment in enumerate(unread.trace) if moment == "turn:release_inventory"]
    closing = unread.trace.index("turn:close_order")
    plan = {**outage(start + 1, closing - start), attempts[2] + 1: "overdue"}
    assert Run(scenario, plan, late).play() == []


@pytest.mark.parametrize("late", range(14))
def test_an_order_that_ends_while_the_next_saga_begins_to_undo_it_is_not_undone(late: int) -> None:
    """The activity of a terminated saga completes it, and the next saga has a step that fails."""
    closing = quiet_trace("completed").index("turn:close_order")
    for first in range(closing + 4, closing + 8):
        plan = {closing + 1: "overdue", closing + 2: "terminate", **outage(first, 9)}
        assert Run(SCENARIOS["completed"], plan, late).play() == [], first


@pytest.mark.parametrize("late", range(2, 12))
def test_a_step_that_outlived_its_deadline_and_reads_that_its_order_is_undone_does_not_act(late: int) -> None:
    """The second attempt reads the record: the first goes by what the activity before it left."""
    scenario = SCENARIOS["mailbox refused"]
    first = quiet_trace("mailbox refused").index("labels.write!")
    tried_again = Run(scenario, {first: "down"})
    tried_again.play()
    second = tried_again.trace.index("turn:create_shipment", first)
    reads = tried_again.trace.index("orders.read", second)
    assert reads == second + 1
    assert Run(scenario, {first: "down", reads: "overdue"}, late).play() == []


@pytest.mark.parametrize("name", TWO_OPERATORS)
@pytest.mark.parametrize("late", [*range(8), MAX_TURNS])
def test_of_two_operators_who_act_on_one_undo_the_first_is_accepted(name: str, late: int) -> None:
    """Else the money goes back twice: by hand, as the evidence says, and by the provider that is asked again."""
    assert Run(TWO_OPERATORS[name], {}, late).play() == []


# The real thing

RULES = {"down": "error_before_commit", "lost": "drop_after_commit", "500": "error_after_commit"}
SAMPLED = ("completed", "card declined", "mailbox refused")
Sample = tuple[Scenario, dict[int, str], str]


def samples(count: int) -> list[Sample]:
    """Plans that the sandbox can carry out too: one fault, at the first call of its kind."""
    possible: list[Sample] = []
    for name in SAMPLED:
        scenario = SCENARIOS[name]
        trace = quiet_trace(name)
        for plan, _ in singles(scenario):
            [(number, fate)] = plan.items()
            moment = trace[number]
            provider = moment.startswith(("payment_intents.", "refunds.", "email."))
            if provider and fate in RULES and trace.index(moment) == number:
                possible.append((scenario, plan, moment.rstrip("!")))
    return random.Random(7).sample(possible, count)


@pytest.fixture
def outside(new_harness: Callable[..., Harness]) -> Iterator[OutsideView]:
    with new_harness(STEP_RETRY_SECONDS="3") as app, closing(app.start()) as outside:
        yield outside


def test_sampled_plans_end_on_the_real_thing_as_in_the_model(outside: OutsideView) -> None:
    sku = outside.new_sku(on_hand=100, price_minor=PRICE)
    orders = {new_id(): sample for sample in samples(6)}
    rules: dict[str, list[dict[str, Any]]] = {"payments": [], "mail": []}
    for order_id, (_, plan, moment) in orders.items():
        target, operation = ("mail", "email.send") if moment.startswith("email.") else ("payments", moment)
        fault = RULES[next(iter(plan.values()))]
        rules[target].append({"operation": operation, "fault": fault, "order_id": order_id, "times": 1})
    with outside.faults("payments", *rules["payments"]), outside.faults("mail", *rules["mail"]):
        for order_id, (scenario, _, _) in orders.items():
            outside.order(order_id, **{**scenario.body, "items": [{"sku": sku, "quantity": 3}]})
        for order_id in orders:
            outside.ended(order_id)
    for order_id, (scenario, plan, moment) in orders.items():
        run = Run(scenario, plan)
        assert run.play() == []
        assert observed(outside, order_id) == foretold(run), (plan, moment)


def observed(outside: OutsideView, order_id: str) -> Any:
    effects = outside.effects(order_id)
    shown = {**outside.view(order_id), "order_id": ORDER}
    view = {name: shown[name] for name in ("order_id", "status", "total", "steps", "failure", "compensations")}
    return view, effects.charged, effects.given_back, effects.label, effects.message_ids


def foretold(run: Run) -> Any:
    money = [run.order.stripe.amount(event) for event in ("payment_intent.succeeded", "refund.succeeded")]
    return run.output, *money, run.label, len(run.order.confirmations())
