"""Names that are stored, or known outside: a name may be added here, and never changed.

Orders in flight have them in their histories and rows, clients in their code, deployments in their settings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.bench.real_orders.counting import TABLES
from devtools.bench.real_orders.filling import places
from models.states import CLOSE_ORDER, COMPENSATION_NAMES, STEP_NAMES
from tests.support.documents import rows

ROOT = Path(__file__).resolve().parents[2]
NAMES = {
    "functions": """
        order_saga validate_order reserve_inventory release_inventory process_payment refund_payment create_shipment
        cancel_shipment send_confirmation close_order sweep_orders
    """,
    "routes": """
        orders orders/{order_id} orders/{order_id}/events orders/{order_id}/label orders/{order_id}/timeline
        orders/{order_id}/cancel orders/{order_id}/approval orders/{order_id}/compensations/{compensation}/retry
        orders/{order_id}/compensations/{compensation}/resolve orders/{order_id}/personal-data webhooks/stripe inventory
        inventory/{sku} inventory/{sku}/holders health track/{order_id} track/{order_id}/cancel dashboard
        operations/overview operations/counts openapi.json requests.http docs
    """,
    "settings": """
        AzureWebJobsStorage STRIPE_API_KEY STRIPE_API_BASE SMTP_URL MAIL_FROM PUSH_CONNECTION SHIPS_TO
        CONFIRMATION_FAILURE APPROVAL_THRESHOLD_MINOR APPROVAL_DEADLINE STRIPE_WEBHOOK_SECRET SWEEP_SCHEDULE
        TRACKING_SECRET TRACKING_DAYS PUBLIC_URL ALERT_WEBHOOK_URL ALERT_WEBHOOK_SECRET STEP_RETRY_SECONDS
        UNDO_RETRY_SECONDS
    """,
    "tables and containers": "orders orderindex stock stripeevents labels",
    "columns of an order": """
        State BodyHash AcceptedAt EndedAt Request Lines PaymentIntentId PaymentWake ChargedMinor RefundId RefundedMinor
        Goods TrackingNumber Confirmation Farewell CancelRequested Approval Undoing Resolved Attention Healed
        AlertClaimed AlertSent Outcome Compensation By Reason Reference
    """,
    "audit events": """
        accepted payment_intent_opened payment_unknown payment_charged payment_refunded label_issued
        confirmation_claimed confirmation_sent farewell_claimed compensating closed parked saga_started_again
        cancel_requested approval_expired approval_asked_again running compensation_retry_requested
        compensation_resolved personal_data_erased alert_claimed alert_sent
    """,
    "events, keys and Message-IDs": """
        decision: attention: payment: :confirm :refund .confirmation .farewell order: sku: audit: webhook:
    """,
}


def _literals(*rooms: str) -> Iterator[str]:
    """Every text in the code of these files and rooms, the constant parts of f-strings included."""
    for room in rooms:
        files = [ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py")
        for file in files:
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node.name


TEXTS = set(_literals("function_app.py", "bootstrap.py", "services", "models", "activities", "orchestrators", "api"))


def listed(kind: str) -> set[str]:
    return set(NAMES[kind].split())


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in NAMES for name in sorted(listed(kind))])
def test_a_name_that_is_stored_or_sent_is_still_there(kind: str, name: str) -> None:
    assert name in TEXTS, f"{name} ({kind}) is stored or known outside: rename what is in the code only, and keep it"


def test_each_activity_is_listed_here() -> None:
    assert {*STEP_NAMES, *COMPENSATION_NAMES, CLOSE_ORDER} <= listed("functions")


def test_each_table_is_in_every_list_of_tables() -> None:
    opened = set(re.findall(r'open_table\(account, "(\w+)"\)', (ROOT / "bootstrap.py").read_text(encoding="utf-8")))
    assert opened == listed("tables and containers") - {"labels"} == set(TABLES)
    assert opened <= {cells[0].strip("`") for cells in rows("docs/operations.md", "Table")}
    of_an_order = opened - {"stripeevents"}
    assert of_an_order <= {place.table for place in places("order-1")}
