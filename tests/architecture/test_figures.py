"""Figures that the code fixes, as the documents print them: how many, how often, how long.

FIGURES has for each document pieces of it, with `{}` for each figure, and the figures as the code has them. A figure
may be printed as a word: 5 or five, 5 or fifth.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from api import orders as orders_edge
from api import paging
from api.problems import MAX_BODY_BYTES
from devhost import worker_protocol
from devhost.entities import entity_storage
from devhost.execution import executor
from devhost.orchestration import checkpoint
from devhost.worker import extended_sessions
from devhost.worker_host import supervisor, worker
from devtools.bench import volume
from devtools.bench.real_orders import long_run
from devtools.processes.ports import PORTS_IN_A_ROW
from models.messages import SAGA_VERSION, Limits
from models.order_request import OrderRequest
from models.states import STEP_NAMES, UNDOES
from reconciliation import sweep
from services import settings, stripe_payments, stripe_webhooks
from services.tables import bounded_reads, order_index
from tests.e2e.outcomes import test_storage_calls as storage_calls
from tests.proof import __main__ as proof
from tests.proof import test_mutants
from tests.proof.crashes import test_concurrency
from tests.support.documents import ROOT, text_of

WORDS = {
    2: ("two", "second"),
    3: ("three", "third"),
    4: ("four", "fourth"),
    5: ("five", "fifth"),
    6: ("six", "sixth"),
    7: ("seven", "seventh"),
    10: ("ten", "tenth"),
    20: ("twenty", "twentieth"),
    50: ("fifty", "fiftieth"),
}
REQUEST = OrderRequest.model_json_schema()
ITEM, ADDRESS = REQUEST["$defs"]["Item"]["properties"], REQUEST["$defs"]["Address"]["properties"]


def history(name: str) -> list[dict[str, Any]]:
    (file,) = (ROOT / "tests" / "replay" / "histories").glob(f"{name}.*.json")
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return rows


COMPLETED = history(f"{SAGA_VERSION}-completed")
TURN, ACTIVITY = 12, 4
TURNS, ACTIVITIES = (sum(row["EventType"] == kind for row in COMPLETED) for kind in (TURN, ACTIVITY))
STEPS, UNDOS, BEFORE_THE_202 = len(STEP_NAMES), len(UNDOES), 2
LONGEST_APPROVAL_S = 6 * 24 * 3600


def minutes(seconds: float) -> float:
    return seconds / 60


FIGURES: dict[str, dict[str, tuple[float, ...]]] = {
    "README.md": {
        "ports P to P+{}": (PORTS_IN_A_ROW - 1,),
        "The saga calls {} steps": (STEPS,),
        "an order that was undone: {} steps forward, {} undos in reverse": (STEPS, UNDOS),
        "calls {} activities in this order": (STEPS,),
    },
    "docs/http-api.md": {
        "`items`: 1 to {} lines": (REQUEST["properties"]["items"]["maxItems"],),
        "a whole number from {} to {}": (ITEM["quantity"]["minimum"], ITEM["quantity"]["maximum"]),
        "A text has at most {} characters": (ADDRESS["city"]["maxLength"],),
        "the body at most {} KiB": (MAX_BODY_BYTES / 1024,),
        "older than {} minutes": (minutes(stripe_webhooks.TOLERANCE_S),),
    },
    "docs/operations.md": {
        "the last {} days": (orders_edge.DEFAULT_DAYS,),
        "`top` (1 to {}, by default {})": (paging.MAX_PAGE, orders_edge.DEFAULT_PAGE),
        "At most {} days are listed": (orders_edge.MAX_DAYS,),
        "the saga of the order died {} times": (sweep.MAX_HEALINGS,),
    },
    "docs/glossary.md": {
        "one order: {} steps": (STEPS,),
    },
    "docs/order-saga.svg": {
        "calls {} activities in order": (STEPS,),
        "Of these, {} have an undo": (UNDOS,),
        "the {} steps": (STEPS,),
    },
    "docs/architecture.md": {
        "the saga calls {} steps": (STEPS,),
        "after {} starts it parks": (sweep.MAX_HEALINGS,),
        "the history has {} rows": (len(COMPLETED),),
    },
    "docs/deploy.md": {
        "{} for a completed order: 1 HTTP request": (1 + TURNS + ACTIVITIES,),
        "{} turns of the orchestrator, {} activities": (TURNS, ACTIVITIES),
    },
    "docs/scale.md": {
        "These are {} requests, {} of them before the 202": (len(storage_calls.COMPLETED), BEFORE_THE_202),
        "A declined order makes {}, and so does one that is cancelled": (storage_calls.UNDONE,),
        "page of one final state | {}": (order_index.MOST_ROWS_A_PAGE,),
        "{} unfinished, and 50 of today": (order_index.MOST_UNFINISHED,),
        "{} unfinished with their records, {} reservations": (sweep.LIMIT, bounded_reads.MOST_ROWS),
        "{} entries of today that are counted": (order_index.COUNT_READS * bounded_reads.MOST_ROWS,),
    },
    "docs/testing.md": {
        "{} orders over {} units": (test_concurrency.ORDERS, sum(test_concurrency.UNITS.values())),
        "From {} orders on, it also demands at least {} kills": (proof.LARGE, proof.KILLS_OF_A_LARGE_RUN),
    },
    "docs/decisions/0003-own-retry-loop.md": {
        "Steps are retried for {} seconds": (Limits().step_retry_s,),
        "Undos are retried for {} minutes": (minutes(Limits().undo_retry_s),),
    },
    "docs/decisions/0008-deadlines-by-task-any.md": {
        "has {} rows where": (len(COMPLETED),),
        "the first version's had {}": (len(history("completed")),),
    },
    "docs/decisions/0039-what-is-left-to-the-next-write.md": {
        "makes {} requests to storage, {} of them before its 202": (len(storage_calls.COMPLETED), BEFORE_THE_202),
    },
    "docs/decisions/0022-sweep-and-its-bounds.md": {
        "left alone for {} seconds": (sweep.GRACE.total_seconds(),),
        "Unfinished orders, {} a run": (sweep.LIMIT,),
        "one of the last {} days": (sweep.DAYS,),
        "{} rows of the stock": (bounded_reads.MOST_ROWS,),
        "older than {} minutes, {} a run": (minutes(sweep.RESERVED_FOR.total_seconds()), sweep.LIMIT),
        "started again {} times": (sweep.MAX_HEALINGS,),
    },
    "docs/decisions/0028-host-and-worker-process.md": {
        "whose worker died {} times": (supervisor.MAX_DEATHS,),
    },
    "docs/decisions/0032-extended-sessions-and-speculative-turns.md": {
        "first {} of each orchestrator, and then of each {}": (executor.PROVED_FIRST, executor.PROVED_EACH),
    },
    "docs/decisions/0036-mutants.md": {
        "at most {} lines": (test_mutants.MOST_LINES,),
    },
    "docs/devhost.md": {
        "its activities make {} calls through Azure's SDKs": (len(storage_calls.COMPLETED),),
        "first {} executions of an orchestrator and of each {}": (executor.PROVED_FIRST, executor.PROVED_EACH),
        "after {} idle seconds": (extended_sessions.KEPT_FOR_S,),
        "The old one has {} seconds to finish": (worker.FINISH_WITHIN_S,),
        "{} threads for orchestrators": (worker_protocol.ORCHESTRATOR_THREADS,),
    },
}


@pytest.mark.parametrize(
    ("document", "printed"), [(name, printed) for name, rows in FIGURES.items() for printed in rows]
)
def test_a_figure_of_a_document_is_the_code_s(document: str, printed: str) -> None:
    text, figures = " ".join(text_of(document).split()), FIGURES[document][printed]
    ways = itertools.product(*map(written, figures))
    assert any(printed.format(*words) in text for words in ways), f"the code has {figures}"


def written(number: float) -> tuple[str, ...]:
    assert number == int(number)
    return (f"{int(number):,}", str(int(number)), *WORDS.get(int(number), ()))


# What is not a number of the code, or not one that stands in a name of its own.


def test_the_documents_name_the_versions_of_python_that_the_workflow_runs() -> None:
    matrix = re.search(r"python: (\[.*\])", text_of(".github/workflows/ci.yml"))
    assert matrix is not None
    *first, last = json.loads(matrix[1])
    printed = f"Python {', '.join(first)} or {last}"
    for document in ("README.md", "CONTRIBUTING.md", "docs/deploy.md"):
        assert printed in " ".join(text_of(document).split())


def test_an_approval_waits_six_days_at_most() -> None:
    good = {setting.name: setting.example for setting in settings.SETTINGS}
    for seconds, faults in {LONGEST_APPROVAL_S: 0, LONGEST_APPROVAL_S + 1: 1}.items():
        assert len(settings.faults({**good, "APPROVAL_DEADLINE": str(seconds)})) == faults
    for document in ("docs/settings.md", "docs/decisions/0009-approval-belongs-to-one-total.md"):
        assert "six days" in text_of(document)


def test_the_version_of_stripe_s_api_is_the_sent_one() -> None:
    assert f"`{stripe_payments.API_VERSION}`" in text_of("docs/decisions/0017-stripe-api-version-is-pinned.md")


def test_the_payments_of_a_run_of_the_sweep_are_those_of_two_hours() -> None:
    hours = sweep.PAYMENTS_WINDOW.total_seconds() / 3600
    assert hours == 2
    assert "Captured payments of the last two hours" in text_of("docs/decisions/0022-sweep-and-its-bounds.md")


def test_the_row_of_a_running_instance_is_a_quarter_of_a_second_late_at_most() -> None:
    assert checkpoint.LATE_ROW_S == entity_storage.LATE_ROW_S == 0.25
    assert "by a quarter of a second at most" in text_of("docs/devhost.md")


def test_an_orchestrator_has_a_minute_to_its_next_yield() -> None:
    assert supervisor.TURN_WITHIN_S == 60
    assert "An orchestrator has a minute to its next `yield`" in " ".join(text_of("docs/devhost.md").split())


def test_the_long_run_is_as_long_as_it_is_said_to_be() -> None:
    assert (long_run.ORDERS, long_run.FIRST, long_run.MEMORY_FACTOR) == (5000, 500, 1.2)
    assert sum(kind.end == "completed" for kind in long_run.MIX) == 8 and len(long_run.MIX) == 10
    text = " ".join(text_of("docs/scale.md").split())
    assert "five thousand real orders, eight of ten good ones" in text
    assert "after the first five hundred" in text and "above 1.2 times" in text


def test_the_volume_run_is_as_large_as_it_is_said_to_be() -> None:
    assert (volume.ORDERS, volume.ORDERS_AMONG_KILLS) == (5000, 2000)
    text = " ".join(text_of("docs/devhost.md").split())
    assert "runs five thousand trivial orders" in text and "two thousand among random kills" in text


def test_the_speed_that_the_readme_names_is_what_the_bench_printed() -> None:
    scale, readme = text_of("docs/scale.md"), " ".join(text_of("README.md").split())
    alone, many = (re.search(rf"one line +{at} +([\d.]+) / [\d.]+ +[\d.]+ +(\d+) / ", scale) for at in (1, 16))
    assert alone is not None and many is not None
    assert f"an order takes {alone[2]} ms alone, and with 16 at once {float(many[1]):.0f} orders a second end" in readme
