"""The settings of the app.

`SETTINGS` is the only list of them: local.settings.json.example, docs/settings.md, the start-up check and the health
answer are held to it. They are read when `faults` is called and when bootstrap.py builds the adapters, never at import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from models.delivery_address import COUNTRIES
from services import storage
from services.addresses import is_loopback, parse_http
from services.notification_hub import parse_connection
from services.smtp_mail import parse_sender, parse_smtp_url


class Setting(NamedTuple):
    """One row: `example` points at the local sandbox, `default` holds in its absence (None: it must be set).

    `fault` returns what is wrong with a value, as the end of a sentence that begins with the setting's name.
    """

    name: str
    example: str
    default: str | None
    meaning: str
    fault: Callable[[str], str | None] = lambda value: None


def _http_address(value: str) -> str | None:
    try:
        parse_http(value)
    except ValueError as fault:
        return f"{fault}."
    return None


def _countries(value: str) -> str | None:
    if not comma_separated(value):
        return "names no country."
    strangers = sorted(set(comma_separated(value)) - COUNTRIES)
    return f"has codes that are not ISO 3166 alpha-2: {', '.join(strangers)}." if strangers else None


def _seconds(value: str) -> str | None:
    try:
        return None if 0 < float(value) < 1e9 else "must be above 0 seconds, and finite."
    except ValueError:
        return "must be a number of seconds."


def _approval_deadline(value: str) -> str | None:
    """A durable timer lasts six days at most on Azure Storage; a longer one cannot be cancelled in SDK 1.7."""
    return _seconds(value) or ("must be at most 518400 seconds, six days." if float(value) > 518_400 else None)


def _minor_units(value: str) -> str | None:
    return None if value.isascii() and value.isdigit() else "must be a whole number of minor units, or empty."


def _threads(value: str) -> str | None:
    return None if value.isascii() and value.isdigit() and int(value) > 0 else "must be a whole number, at least 1."


def _schedule(value: str) -> str | None:
    return None if len(value.split()) == 6 else "must have six fields: second, minute, hour, day, month, weekday."


def _policy(value: str) -> str | None:
    return None if value in {"compensate", "ignore"} else "must be compensate or ignore."


def _stripe_key(value: str) -> str | None:
    return None if STRIPE_KEY.fullmatch(value) else "must be a secret key of Stripe (sk_… or rk_…), and nothing else."


def _secret(value: str) -> str | None:
    return None if len(value) >= SHORTEST_SECRET else f"must have at least {SHORTEST_SECRET} characters."


def _tracking_secrets(value: str) -> str | None:
    short = any(len(secret) < SHORTEST_SECRET for secret in comma_separated(value))
    return f"must hold secrets of at least {SHORTEST_SECRET} characters." if short else None


def _tracking_days(value: str) -> str | None:
    try:
        return None if 0 < float(value) <= 3650 else "must be above 0 days, and at most 3650."
    except ValueError:
        return "must be a number of days."


def _parsed(parse: Callable[[str], object]) -> Callable[[str], str | None]:
    def fault(value: str) -> str | None:
        try:
            parse(value)
        except ValueError as error:  # its sentence begins with the setting's name already
            return f"{str(error).partition(' ')[2]}."
        return None

    return fault


SHORTEST_SECRET = 16
STRIPE_KEY = re.compile("(sk|rk)_[A-Za-z0-9_]+")
SANDBOX_PUSH = (
    "Endpoint=http://127.0.0.1:8025;SharedAccessKeyName=sandbox;SharedAccessKey=sandbox-push-key;EntityPath=orders"
)

SETTINGS = (
    Setting("FUNCTIONS_WORKER_RUNTIME", "python", "python", "The host's own: the language of this app."),
    Setting(
        "PYTHON_THREADPOOL_THREAD_COUNT",
        "32",
        "",
        "The host's own: how many activities a worker runs at once, 32 in production. "
        "Empty: four more than the machine has cores, so that orders wait for each other's payments.",
        _threads,
    ),
    Setting(
        storage.SETTING,
        "UseDevelopmentStorage=true",
        None,
        "The storage account: a connection string, or `AzureWebJobsStorage__accountName` to use an identity, or in its "
        "place `AzureWebJobsStorage__blobServiceUri`, `__queueServiceUri` and `__tableServiceUri`.",
    ),
    Setting("STRIPE_API_KEY", "sk_test_sandbox", None, "Stripe's secret key.", _stripe_key),
    Setting(
        "STRIPE_API_BASE",
        "http://127.0.0.1:12111",
        "https://api.stripe.com",
        "The address of Stripe's API.",
        _http_address,
    ),
    Setting(
        "SMTP_URL",
        "smtp://127.0.0.1:1025",
        None,
        "The mail server: `smtp[s]://[user:password@]host[:port]`, user and password percent-encoded. The port is 465 "
        "for smtps and 25 for smtp. Azure closes port 25 for most subscriptions: name 587 there.",
        _parsed(parse_smtp_url),
    ),
    Setting("MAIL_FROM", "orders@shop.example", None, "The sender of confirmations.", _parsed(parse_sender)),
    Setting(
        "PUSH_CONNECTION",
        SANDBOX_PUSH,
        "",
        "The Notification Hub: its connection string with `EntityPath=<hub>`. Empty: no push.",
        _parsed(parse_connection),
    ),
    Setting("SHIPS_TO", "GB,IE,DE,FR,PL,GR,UA,US", None, "Countries served, ISO 3166 alpha-2.", _countries),
    Setting(
        "CONFIRMATION_FAILURE",
        "compensate",
        "compensate",
        "When the confirmation cannot be sent: `compensate` undoes the order, `ignore` leaves it completed.",
        _policy,
    ),
    Setting(
        "APPROVAL_THRESHOLD_MINOR",
        "",
        "",
        "Orders with a total above this many minor units wait for an approval. Empty: none does. "
        "It is one number for every currency: 20000 is 200.00 GBP, 20000 JPY and 20.000 KWD.",
        _minor_units,
    ),
    Setting(
        "APPROVAL_DEADLINE",
        "259200",
        "259200",
        "How many seconds an order waits for its approval before it is refused, at most six days.",
        _approval_deadline,
    ),
    Setting(
        "STRIPE_WEBHOOK_SECRET",
        "whsec_sandbox",
        "",
        "The signing secret of Stripe's webhooks (`whsec_…`). Empty: every webhook is refused.",
    ),
    Setting(
        "SWEEP_SCHEDULE",
        "0 * * * * *",
        None,
        "When the sweep runs: six fields, seconds first.",
        _schedule,
    ),
    Setting(
        "TRACKING_SECRET",
        "sandbox-tracking-secret",
        "",
        "The secrets that sign customers' tracking links, with commas between them: the first signs, each verifies. "
        "Empty: no links.",
        _tracking_secrets,
    ),
    Setting("TRACKING_DAYS", "30", "30", "How many days after acceptance a tracking link is valid.", _tracking_days),
    Setting(
        "PUBLIC_URL",
        "",
        "",
        "The address of the app for customers and operators, such as `https://orders.shop.example`. "
        "Empty: the host's own name, `WEBSITE_HOSTNAME`.",
        _http_address,
    ),
    Setting(
        "ALERT_WEBHOOK_URL",
        "http://127.0.0.1:8025/sandbox/alerts",
        "",
        "The receiver of alerts: a POST when an order is parked and when an approval waits. Empty: no alerts.",
        _http_address,
    ),
    Setting(
        "ALERT_WEBHOOK_SECRET",
        "sandbox-alert-secret",
        "",
        "The secret that signs alerts, at least 16 characters. Needed with ALERT_WEBHOOK_URL.",
        _secret,
    ),
    Setting("STEP_RETRY_SECONDS", "30", "30", "How long a step's faults are retried before the undo.", _seconds),
    Setting(
        "UNDO_RETRY_SECONDS",
        "900",
        "900",
        "How long an undo's faults are retried before the order is `needs_attention`.",
        _seconds,
    ),
)


def faults(env: Mapping[str, str]) -> list[str]:
    """One sentence for each setting that is missing or wrong. Names settings, never their values."""
    wrong = storage.faults(env) + [fault for setting in SETTINGS if (fault := _fault(setting, env))]
    if env.get("ALERT_WEBHOOK_URL") and not env.get("ALERT_WEBHOOK_SECRET"):
        wrong.append("ALERT_WEBHOOK_SECRET is not set: alerts to ALERT_WEBHOOK_URL are signed with it.")
    return wrong


def _fault(setting: Setting, env: Mapping[str, str]) -> str | None:
    if setting.name == storage.SETTING:
        return None
    value = env.get(setting.name) or setting.default
    if value is None:
        return f"{setting.name} is not set. {setting.meaning}"
    fault = setting.fault(value) if value else None
    return f"{setting.name} {fault}" if fault else None


def public_origin(env: Mapping[str, str]) -> str:
    """The app's address for the outside, from the settings only: a caller can send any Host header.

    Empty if neither PUBLIC_URL nor WEBSITE_HOSTNAME, which the host sets, is set.
    """
    if chosen := env.get("PUBLIC_URL"):
        address = parse_http(chosen)
        return f"{address.scheme}://{address.origin}{address.path}"
    name = env.get("WEBSITE_HOSTNAME", "")
    if not name:
        return ""
    return f"{'http' if is_loopback(name.rpartition(':')[0] or name) else 'https'}://{name}"


def providers(env: Mapping[str, str]) -> dict[str, str]:
    """Whether each provider is configured, for the health answer. No values."""

    def shown(name: str) -> str:
        return "configured" if env.get(name) else "not configured"

    return {
        "storage": "unchecked",
        "payments": shown("STRIPE_API_KEY"),
        "mail": shown("SMTP_URL"),
        "push": shown("PUSH_CONNECTION"),
    }


def kind_of_stripe_key(env: Mapping[str, str]) -> str:
    """`live`, `test` or `none`. A key that is not marked as a test key counts as live: it charges real cards."""
    key = env.get("STRIPE_API_KEY") or ""
    if not key:
        return "none"
    return "test" if key.startswith(("sk_test_", "rk_test_")) else "live"


def values(env: Mapping[str, str]) -> dict[str, str]:
    """Each setting's value, or its default, or an empty text."""
    return {setting.name: env.get(setting.name) or setting.default or "" for setting in SETTINGS}


def comma_separated(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
