"""What `dev.py doctor` looks at: one function for each line, or few lines, of its report.

Each check asks the deployment and says what it finds. None of them changes anything: the one POST is an event without a
signature, which the app refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from devtools.api_client import KEY_VARIABLE
from devtools.doctor.deployment import Deployment, members
from devtools.places import ROOT
from devtools.trouble import Trouble

DURABLE_API = "/runtime/webhooks/durabletask/instances?top=1"
FIRST_ORDER, FIRST_SKU = "/api/orders?top=1", "/api/inventory?top=1"


class Level(StrEnum):
    """How bad a finding is. Only a fault makes the exit status 1."""

    OK = "ok"
    NOTE = "note"
    FAULT = "FAULT"


class Finding(NamedTuple):
    subject: str
    level: Level
    sentence: str


class CheckContext(NamedTuple):
    """`health` is the content of the health answer, `list_status` the status of the list of orders with the key."""

    deployment: Deployment
    health: dict[str, Any]
    list_status: int

    @property
    def has_faults(self) -> bool:
        """While health has faults, most other requests are 503: their checks then say nothing new."""
        return bool(self.health.get("faults"))


Check = Callable[[CheckContext], Iterator[Finding]]


def is_closed(status: int) -> bool:
    """Whether a route asks for a key (401, 403), or sends its visitor to a sign-in."""
    return status in {401, 403} or 300 <= status < 400


def check_context(deployment: Deployment) -> CheckContext:
    """The deployment with its health answer. Raises Trouble for one that does not answer, or is another app."""
    answer = deployment.ask("/api/health")
    health = members(answer)
    if answer.status_code not in {200, 503} or not isinstance(health.get("providers"), dict):
        raise Trouble(
            f"{deployment.to.origin} answered GET /api/health with {answer.status_code} and no report of its health: "
            "is --url right, and does a sign-in keep monitors out?"
        )
    return CheckContext(deployment, health, deployment.ask(FIRST_ORDER, with_key=True).status_code)


def settings_and_storage(context: CheckContext) -> Iterator[Finding]:
    faults = context.health.get("faults") or []
    for fault in faults:
        yield Finding("health", Level.FAULT, str(fault))
    if not faults:
        yield Finding("health", Level.OK, "Storage answers, and no setting is missing or wrong.")
    if context.health["providers"].get("push") == "not configured":
        yield Finding("push", Level.NOTE, "PUSH_CONNECTION is empty, so no push messages are sent.")


def stripe_key(context: CheckContext) -> Iterator[Finding]:
    kind = context.health.get("stripe_key")
    if kind == "live":
        yield Finding("payments", Level.OK, "The Stripe key is a live one: cards are charged.")
    if kind == "test":
        yield Finding("payments", Level.NOTE, "The Stripe key is a test key: no card is charged.")


def last_sweep(context: CheckContext) -> Iterator[Finding]:
    if context.has_faults:
        return
    sweep = context.health.get("sweep")
    if not sweep:
        yield Finding("sweep", Level.NOTE, "The sweep has not run yet. It runs on SWEEP_SCHEDULE: look again later.")
    elif since := sweep.get("not_well_since"):
        sentence = f"Since {since} each run has left something that it could not settle. The log names it."
        yield Finding("sweep", Level.FAULT, sentence)
    else:
        yield Finding("sweep", Level.OK, f"Its last run, at {sweep.get('at')}, settled all that it found.")


def same_api(context: CheckContext) -> Iterator[Finding]:
    ours = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    answer = context.deployment.ask("/api/openapi.json")
    if answer.status_code != 200:
        yield Finding("API", Level.FAULT, f"GET /api/openapi.json answered {answer.status_code}.")
    elif members(answer) == ours:
        yield Finding("API", Level.OK, "It is the API of this checkout.")
    else:
        yield Finding("API", Level.NOTE, "It differs from docs/openapi.json: another commit is deployed.")


def keys(context: CheckContext) -> Iterator[Finding]:
    """Strangers must not read orders, nor steer the orchestrations that carry them."""
    for subject, path in (("orders", FIRST_ORDER), ("Durable API", DURABLE_API)):
        status = context.deployment.ask(path).status_code
        if is_closed(status):
            yield Finding(subject, Level.OK, "A request without a key is refused.")
        elif status == 200 and context.deployment.to.is_local:
            yield Finding(subject, Level.NOTE, "No key is asked for, as on every development host.")
        elif status == 200:
            yield Finding(subject, Level.FAULT, f"GET {path} needs no key: anybody can read the orders.")
        elif not context.has_faults:
            yield Finding(subject, Level.FAULT, f"GET {path} without a key answered {status} and not 401.")


def own_key(context: CheckContext) -> Iterator[Finding]:
    status = context.list_status
    if is_closed(status) and context.deployment.to.key:
        yield Finding("key", Level.FAULT, "The deployment refuses this function key.")
    elif is_closed(status):
        sentence = f"Stock and waiting orders were not looked at: that takes --key, or {KEY_VARIABLE}."
        yield Finding("key", Level.NOTE, sentence)
    elif status != 200 and not context.has_faults:
        yield Finding("key", Level.FAULT, f"GET {FIRST_ORDER} answered {status}.")


def stock(context: CheckContext) -> Iterator[Finding]:
    if context.list_status != 200:
        return
    answer = context.deployment.ask(FIRST_SKU, with_key=True)
    if answer.status_code != 200:
        yield Finding("stock", Level.FAULT, f"GET {FIRST_SKU} answered {answer.status_code}.")
    elif members(answer).get("items"):
        yield Finding("stock", Level.OK, "There are articles to sell.")
    else:
        yield Finding("stock", Level.FAULT, "There is no article, so each order is rejected: PUT /api/inventory/{sku}.")


def waiting_orders(context: CheckContext) -> Iterator[Finding]:
    if context.list_status != 200:
        return
    answer = context.deployment.ask("/api/operations/overview", with_key=True)
    waiting = members(answer).get("needs_you")
    if answer.status_code != 200 or waiting is None:
        yield Finding("decisions", Level.FAULT, f"GET /api/operations/overview answered {answer.status_code}.")
    elif waiting:
        orders = "1 order waits" if len(waiting) == 1 else f"{len(waiting)} orders wait"
        sentence = f"{orders} for a person: {context.deployment.to.origin}/api/dashboard."
        yield Finding("decisions", Level.NOTE, sentence)
    else:
        yield Finding("decisions", Level.OK, "No order waits for a person.")


def webhooks(context: CheckContext) -> Iterator[Finding]:
    """Stripe has no function key and signs in nowhere. An event without its signature must be refused with 400."""
    status = context.deployment.ask("/api/webhooks/stripe", method="POST", body={}).status_code
    if status == 400:
        yield Finding("webhooks", Level.OK, "Stripe reaches the app, which refuses an event without a signature.")
    elif not context.has_faults:
        sentence = (
            f"An event without a signature was answered with {status} and not with 400: Stripe's events are lost."
        )
        yield Finding("webhooks", Level.FAULT, sentence)


def tracking_page(context: CheckContext) -> Iterator[Finding]:
    """Customers have no key either. A wrong link is the app's own 404, as a page."""
    answer = context.deployment.ask("/api/track/doctor?token=none")
    if answer.status_code == 404 and "html" in answer.headers.get("content-type", ""):
        yield Finding("tracking", Level.OK, "Customers reach the tracking page.")
    elif not context.has_faults:
        sentence = f"GET /api/track answered {answer.status_code}: customers do not reach the tracking page."
        yield Finding("tracking", Level.FAULT, sentence)


CHECKS: tuple[Check, ...] = (
    settings_and_storage,
    stripe_key,
    last_sweep,
    same_api,
    keys,
    own_key,
    stock,
    waiting_orders,
    webhooks,
    tracking_page,
)
