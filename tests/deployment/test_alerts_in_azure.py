"""Each alert asks for what the app really logs, and has its entry in the runbook."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.azure_types.templates import resources, templates
from models.errors import Unavailable
from models.messages import Limits
from models.operations.order_list import IndexEntry, standing_of
from orchestrators import steps
from reconciliation import sweep
from tests.proof.model.test_sweep_in_memory import SweptShop, saga
from tests.support.documents import ROOT, text_of

ALERTS = templates()["app/alerts.bicep"]
RULES: list[dict[str, Any]] = ALERTS.variables["alerts"]
METRICS = [each.body["name"] for each in resources() if each.type == "Microsoft.Insights/metricAlerts"]
QUERIES = {rule["name"]: rule["query"] for rule in RULES}
REPORTS = ("orders", "sweeps")
MINUTE = timedelta(minutes=1)


def taken_apart(report: str, line: str) -> dict[str, int] | None:
    """What KQL makes of a logged line: `startswith`, then `parse … with *` and texts with columns between them."""
    query = ALERTS.variables[report]
    start, pattern = re.search(r'startswith "(.*?)"', query), re.search(r"parse message with \* (.*)", query)
    assert start and pattern
    parts = re.findall(r'"(.*?)"|(\w+):long', pattern[1])
    expression = "".join(re.escape(text) if text else rf"(?P<{column}>-?\d+)" for text, column in parts)
    found = re.search(expression + "$", line) if line.startswith(start[1]) else None
    return {name: int(value) for name, value in found.groupdict().items()} if found else None


def logged(shop: SweptShop, caplog: pytest.LogCaptureFixture, report: str) -> dict[str, int]:
    """What a run of the sweep logs, as the alert's query reads it."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        shop.sweep()
    (found,) = [each for line in caplog.messages if (each := taken_apart(report, line)) is not None]
    return found


def test_a_shop_without_orders_is_reported_too(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(SweptShop(), caplog, "orders") == {"unfinished": 0, "parked": 0, "waiting": 0, "oldest": 0}
    assert logged(SweptShop(), caplog, "sweeps") == {"payments": 0, "unmended": 0, "failed": 0}


def test_a_parked_order_is_reported_by_each_run_until_it_is_repaired(caplog: pytest.LogCaptureFixture) -> None:
    shop = SweptShop()
    parked = shop.ended(shop.running("order-1"), "needs_attention", "refund_payment", attention=1)
    assert [logged(shop, caplog, "orders")["parked"] for _ in range(2)] == [1, 1]
    shop.ended(parked, "compensated")
    assert logged(shop, caplog, "orders") == {"unfinished": 0, "parked": 0, "waiting": 0, "oldest": 0}


def test_the_age_of_the_oldest_order_is_reported_and_one_that_waits_for_a_person_has_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = SweptShop()
    for order_id, age in (("order-1", 90 * MINUTE), ("order-2", MINUTE)):
        shop.running(order_id, age)
        shop.order_rows[order_id, "order"]["ChangedAt"] = datetime.now(UTC) - age
        shop.sagas[order_id] = saga("running")
    assert 5400 <= logged(shop, caplog, "orders")["oldest"] < 5460
    oldest = shop.orders.find("order-1")
    assert oldest is not None
    shop.ended(oldest, "needs_attention", "refund_payment", attention=1)
    assert 60 <= logged(shop, caplog, "orders")["oldest"] < 120


def test_an_order_that_goes_on_after_its_approval_is_as_old_as_its_approval() -> None:

    now = datetime.now(UTC)
    resumed = IndexEntry("open", "1:a", "a", "running", (), now - timedelta(days=3), since=now - MINUTE)
    waiting = IndexEntry("open", "2:b", "b", "awaiting_approval", (), now - timedelta(days=5))
    assert standing_of([resumed, waiting], now) == (2, 0, 1, 60)


def test_a_payment_without_an_order_is_reported_by_each_run(caplog: pytest.LogCaptureFixture) -> None:
    shop = SweptShop()
    shop.paid = [("nobodys-order", "pi_1")]
    assert [logged(shop, caplog, "sweeps")["payments"] for _ in range(2)] == [1, 1]


def test_what_the_sweep_cannot_mend_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    shop = SweptShop()
    shop.running("order-1")
    asked: Any = shop.get_status

    async def nobody(order_id: str) -> Any:
        await asyncio.sleep(0)
        raise ConnectionError(asked, order_id)

    shop.get_status = nobody  # type: ignore[method-assign]
    assert logged(shop, caplog, "sweeps")["unmended"] == 1


def test_a_part_of_the_sweep_that_fails_is_reported_and_the_reports_go_on(caplog: pytest.LogCaptureFixture) -> None:
    shop = SweptShop()

    def unreadable(_: datetime) -> Any:
        raise Unavailable("the index does not answer")

    shop.index.standing = unreadable  # type: ignore[assignment, method-assign]
    assert logged(shop, caplog, "sweeps") == {"payments": 0, "unmended": 0, "failed": 1}


def test_each_query_reads_columns_of_its_report() -> None:
    columns = {report: set(re.findall(r"(\w+):long", ALERTS.variables[report])) for report in REPORTS}
    for query in QUERIES.values():
        report = re.match(r"\$\{(\w+)\}", query)
        named = set(re.findall(r"(?:timestamp, |max\(|min\(|\+ )(\w+)", query)) - {"timestamp"}
        assert named <= columns[report[1]] if report else not named
        assert re.search(r"\bvalue = ", query), "the rule compares the column `value`"


def test_each_function_of_a_query_is_one_of_the_app() -> None:
    named = {name for query in QUERIES.values() for name in re.findall(r'\bname == "(\w+)"', query)}
    source = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(source) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)}
    assert named == {"sweep_orders", "stripe_webhook"} and named <= functions


@pytest.mark.parametrize("file", ["host.json", "host.dts.json"])
def test_the_host_leaves_out_no_request_and_logs_what_the_sweep_reports(file: str) -> None:
    told = json.loads((ROOT / file).read_text(encoding="utf-8"))["logging"]
    assert "Request" in told["applicationInsights"]["samplingSettings"]["excludedTypes"].split(";")
    levels = {
        category: level for category, level in told["logLevel"].items() if "Function.sweep_orders".startswith(category)
    }
    assert told["logLevel"]["default"] == "Information" and levels == {}


@pytest.mark.remedy(
    "Raise the threshold of oldest-order-too-old in infra/app/alerts.bicep, and its hour in docs/deploy.md."
)
def test_an_order_is_too_old_only_when_it_has_been_retried_for_as_long_as_it_may() -> None:
    named = [step for step in vars(steps).values() if isinstance(step, steps.Step)]
    limits = Limits()
    forwards = sum(limits.step_retry_s + step.deadline_s for step in named)
    backwards = sum(limits.undo_retry_s + step.deadline_s for step in named if step.undo)
    (rule,) = (rule for rule in RULES if rule["name"] == "oldest-order-too-old")
    assert forwards + backwards < rule["threshold"]
    hours = rule["threshold"] / 3600
    assert f"for more than {'an hour' if hours == 1 else f'{hours:g} hours'}." in " ".join(
        text_of("docs/deploy.md").split()
    )


def test_a_payment_without_an_order_is_looked_at_more_often_than_it_is_forgotten() -> None:
    """The sweep forgets it, so the alert must not close itself."""
    (rule,) = (rule for rule in RULES if rule["name"] == "payment-without-order")
    assert rule["closesItself"] is False
    assert rule["window"] == "PT1H" and timedelta(hours=1) < sweep.PAYMENTS_WINDOW
    assert [each["name"] for each in RULES if not each["closesItself"]] == [rule["name"]]


def test_each_alert_has_its_entry_in_the_runbook_and_each_entry_its_alert() -> None:
    runbook = text_of("docs/deploy.md").partition("\n## Runbook\n")[2].partition("\n## ")[0]
    entries = dict(re.findall(r"^### ([\w-]+)\n\n(.*?)(?=^### |\Z)", runbook, re.MULTILINE | re.DOTALL))
    assert sorted(entries) == sorted([*QUERIES, *METRICS])
    for name, text in entries.items():
        assert [part for part in ("It means", "Look at", "Do") if f"**{part}**" not in text] == [], name
