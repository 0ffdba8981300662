"""The cost of a million orders in docs/scale.md: each row is its count times its price, and the last is their sum."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.architecture.test_figures import ACTIVITIES, TURNS
from tests.e2e.outcomes.test_storage_calls import COMPLETED
from tests.support.documents import rows, text_of

MILLION = 1_000_000
WEBHOOK_CALLS, WEBHOOKS = 2, 1
# What the Azure Storage provider asks for at a start, in a turn and for an activity: tables and queues.
START, TURN, ACTIVITY = (2, 1), (3, 2), (0, 4)


def costs() -> Iterator[tuple[str, list[float], float, list[float]]]:
    """What is used, how much before and now, the price of one, and what it costs a day before and now."""
    for name, before, now, price, *a_day in rows("docs/scale.md", "An order uses"):
        if name != "in all":
            dollars, units = re.fullmatch(r"\$([\d.]+) for ([\d,]+)", price).groups()  # type: ignore[union-attr]
            each = float(dollars) / int(units.replace(",", ""))
            yield name, [float(before), float(now)], each, [float(cell.strip("$")) for cell in a_day]


def test_each_row_is_its_count_times_its_price() -> None:
    for name, counts, price, a_day in costs():
        assert [round(count * price * MILLION, 2) for count in counts] == a_day, name


def test_the_last_row_is_the_sum() -> None:
    (whole,) = (row for row in rows("docs/scale.md", "An order uses") if row[0] == "in all")
    sums = [round(sum(column), 2) for column in zip(*(a_day for *_, a_day in costs()), strict=True)]
    assert [float(cell.strip("$")) for cell in whole[-2:]] == sums
    assert f"about USD {sums[-1]:.0f}" in text_of("docs/deploy.md")


def test_the_counts_are_those_of_an_order() -> None:
    now = [counts[-1] for _, counts, *_ in costs()]
    blobs = sum("labels" in call for call in COMPLETED)
    tables, queues = (
        start + TURNS * turn + ACTIVITIES * activity
        for start, turn, activity in zip(START, TURN, ACTIVITY, strict=True)
    )
    executions = 1 + TURNS + ACTIVITIES + WEBHOOKS
    assert now[:5] == [len(COMPLETED) - blobs + WEBHOOK_CALLS, blobs, tables, queues, executions]
    text = " ".join(text_of("docs/scale.md").split())
    assert f"{len(COMPLETED) + WEBHOOK_CALLS} of the app, {tables + queues} of the provider" in text
    assert f"function executions: {executions - WEBHOOKS}, and {WEBHOOKS} webhook" in text
    assert f"The provider's {tables + queues} requests" in text
    assert f"Each of {TURNS} turns takes" in text and f"({TURNS * sum(TURN)})" in text
    assert f"Each of {ACTIVITIES} activities is sent" in text and f"({ACTIVITIES * sum(ACTIVITY)})" in text
    assert f"about {tables + queues} of Durable Functions" in " ".join(text_of("docs/deploy.md").split())
