"""The composition root: the one place where adapters meet their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from activities.validation import Policy
from models.messages import Limits
from models.tracking import Tracking
from reconciliation.sweep import Reconciler
from services import storage
from services.alert_webhook import AlertWebhook
from services.blob_labels import BlobLabels
from services.notification_hub import NotificationHub
from services.settings import comma_separated, public_origin, values
from services.smtp_mail import SmtpMail
from services.stripe_payments import StripePayments
from services.stripe_webhooks import StripeSignatures, TableEvents
from services.tables.order_index import OrderIndex
from services.tables.sweep_reports import SweepReports
from services.tables.table_orders import TableOrders
from services.tables.table_stock import TableStock


class Services(NamedTuple):
    """Everything that the triggers pass to handlers and activities."""

    orders: TableOrders
    order_index: OrderIndex
    stock: TableStock
    payments: StripePayments
    labels: BlobLabels
    mailer: SmtpMail
    push: NotificationHub | None
    events: TableEvents
    signatures: StripeSignatures
    reconciler: Reconciler
    sweeps: SweepReports
    policy: Policy
    limits: Limits
    tracking: Tracking
    alerts: AlertWebhook | None


def build(env: Mapping[str, str]) -> Services:
    """Build the adapters. The settings must have no faults. Creates missing tables. Raises Unavailable."""
    value = values(env)
    account = storage.connect(env)
    push, threshold = value["PUSH_CONNECTION"], value["APPROVAL_THRESHOLD_MINOR"]
    index_table = storage.open_table(account, "orderindex")
    index = OrderIndex(index_table)
    orders = TableOrders(storage.open_table(account, "orders"), index)
    stock = TableStock(storage.open_table(account, "stock"))
    payments = StripePayments(value["STRIPE_API_KEY"], value["STRIPE_API_BASE"])
    origin, url = public_origin(env), value["ALERT_WEBHOOK_URL"]
    alerts = AlertWebhook(url, value["ALERT_WEBHOOK_SECRET"], origin) if url else None
    return Services(
        orders=orders,
        order_index=index,
        stock=stock,
        payments=payments,
        labels=BlobLabels(account.blobs.get_container_client("labels")),
        mailer=SmtpMail(value["SMTP_URL"], value["MAIL_FROM"]),
        push=NotificationHub(push) if push else None,
        events=TableEvents(storage.open_table(account, "stripeevents")),
        signatures=StripeSignatures(value["STRIPE_WEBHOOK_SECRET"]),
        reconciler=Reconciler(orders, index, payments, stock, alerts),
        sweeps=SweepReports(index_table),
        policy=Policy(
            ships_to=frozenset(comma_separated(value["SHIPS_TO"])),
            approval_threshold_minor=int(threshold) if threshold else None,
            approval_deadline_s=float(value["APPROVAL_DEADLINE"]),
        ),
        limits=Limits.model_validate(
            {
                "step_retry_s": value["STEP_RETRY_SECONDS"],
                "undo_retry_s": value["UNDO_RETRY_SECONDS"],
                "confirmation_failure": value["CONFIRMATION_FAILURE"],
            }
        ),
        tracking=Tracking(tuple(comma_separated(value["TRACKING_SECRET"])), float(value["TRACKING_DAYS"]), origin),
        alerts=alerts,
    )
