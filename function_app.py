"""Every trigger of the app, in reading order: the public edge, the saga, its activities.

There are no rules here. A trigger passes its handler what it needs. Services are built on first use, so importing this
module reads no setting and opens nothing. An activity's function name is its name in the history.
"""

import asyncio
import functools
import json
import logging
import os
import threading
from functools import partial
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.functions.decorators.function_app import FunctionBuilder

import bootstrap
from activities import closing, inventory, notification, payment, shipping, validation
from activities.runner import run
from api import health as health_edge
from api import inventory as inventory_edge
from api import labels, operators, overview, pages, tracking, trail, webhooks
from api import orders as orders_edge
from api.document import openapi
from api.document.requests_file import text_of as requests_file_of
from api.problems import respond
from api.sagas import start_saga, status_of, wake_saga
from models.errors import Unavailable
from models.messages import CloseTask, StepTask, UndoTask
from orchestrators.order_saga import order_saga
from reconciliation.sweep import Sagas, sweep
from services import data_folder, settings

# These clients log each request with its URL and headers, at INFO.
for chatty in ("azure", "stripe", "urllib3"):
    logging.getLogger(chatty).setLevel(logging.WARNING)

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

_building = threading.Lock()
_built: bootstrap.Services | None = None


def startup_faults() -> list[str]:
    """One sentence for each setting that is missing or wrong. devhost calls this before it serves."""
    return settings.faults(os.environ)


def services() -> bootstrap.Services:
    """The one set of services of this process. Raises Unavailable while settings are wrong or storage is away."""
    global _built  # noqa: PLW0603  # the one cached object of the process
    with _building:
        if _built is None:
            faults = settings.faults(os.environ)
            if faults:
                raise Unavailable(" ".join(faults))
            _built = bootstrap.build(os.environ)
        return _built


def last_sweep() -> dict[str, object] | None:
    """The last report of the sweep. Raises Unavailable when storage does not answer."""
    return services().sweeps.last()


# The public edge.


@app.route(route="orders", methods=["POST"])
@app.durable_client_input(client_name="client")
async def place_order(req: func.HttpRequest, client) -> func.HttpResponse:
    return await respond(services, lambda its: orders_edge.place(req, client, its.orders, its.limits, its.tracking))


@app.route(route="orders", methods=["GET"])
async def list_orders(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: orders_edge.list_orders(req, its.order_index))


@app.route(route="orders/{order_id}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def get_order(req: func.HttpRequest, client) -> func.HttpResponse:
    return await respond(services, lambda its: orders_edge.show(req, client, its.orders))


@app.route(route="orders/{order_id}/events", methods=["GET"])
async def list_events(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: trail.show(req, its.orders))


@app.route(route="orders/{order_id}/label", methods=["GET"])
async def get_label(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: labels.show(req, its.orders, its.labels))


@app.route(route="orders/{order_id}/timeline", methods=["GET"])
@app.durable_client_input(client_name="client")
async def get_timeline(req: func.HttpRequest, client) -> func.HttpResponse:
    return await respond(services, lambda its: overview.order_timeline(req, client, its.orders))


@app.route(route="orders/{order_id}/cancel", methods=["POST"])
@app.durable_client_input(client_name="client")
async def cancel_order(req: func.HttpRequest, client) -> func.HttpResponse:
    return await respond(services, lambda its: operators.cancel(req, client, its.orders))


@app.route(route="orders/{order_id}/approval", methods=["POST"])
@app.durable_client_input(client_name="client")
async def decide_approval(req: func.HttpRequest, client) -> func.HttpResponse:
    return await respond(services, lambda its: operators.approve(req, client, its.orders))


@app.route(route="orders/{order_id}/compensations/{compensation}/retry", methods=["POST"])
@app.durable_client_input(client_name="client")
async def retry_compensation(req: func.HttpRequest, client) -> func.HttpResponse:
    return await respond(services, lambda its: operators.retry(req, client, its.orders, its.limits))


@app.route(route="orders/{order_id}/compensations/{compensation}/resolve", methods=["POST"])
@app.durable_client_input(client_name="client")
async def resolve_compensation(req: func.HttpRequest, client) -> func.HttpResponse:
    return await respond(services, lambda its: operators.resolve(req, client, its.orders, its.limits))


@app.route(route="orders/{order_id}/personal-data", methods=["DELETE"])
async def erase_personal_data(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: operators.erase(req, its.orders, its.labels))


@app.route(route="webhooks/stripe", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def stripe_webhook(req: func.HttpRequest, client) -> func.HttpResponse:
    return await respond(
        services,
        lambda its: webhooks.receive(
            req,
            client,
            orders=its.orders,
            events=its.events,
            signatures=its.signatures,
            reconciler=its.reconciler,
        ),
    )


@app.route(route="inventory", methods=["GET"])
async def list_inventory(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: inventory_edge.list_all(req, its.stock))


@app.route(route="inventory/{sku}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_inventory(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: inventory_edge.show(req, its.stock))


@app.route(route="inventory/{sku}", methods=["PUT"])
async def put_inventory(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: inventory_edge.put(req, its.stock))


@app.route(route="inventory/{sku}/holders", methods=["GET"])
async def get_holders(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: inventory_edge.holders(req, its.stock, its.order_index))


@app.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    faults = startup_faults() + data_folder.faults(os.environ)
    providers, stripe_key = settings.providers(os.environ), settings.kind_of_stripe_key(os.environ)
    return await health_edge.report(faults, providers, stripe_key, last_sweep)


# The customer's page, behind a link of its own.


@app.route(route="track/{order_id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def track_order(req: func.HttpRequest, client) -> func.HttpResponse:
    return tracking.discreet(await respond(services, lambda its: tracking.show(req, client, its.orders, its.tracking)))


@app.route(route="track/{order_id}/cancel", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def cancel_tracked_order(req: func.HttpRequest, client) -> func.HttpResponse:
    return tracking.discreet(
        await respond(services, lambda its: tracking.cancel(req, client, its.orders, its.tracking))
    )


# The dashboard: a page without data, and the routes that it calls.


@app.route(route="dashboard", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def dashboard(req: func.HttpRequest) -> func.HttpResponse:
    return pages.dashboard()


@app.route(route="dashboard/{asset}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def dashboard_asset(req: func.HttpRequest) -> func.HttpResponse:
    return pages.dashboard_asset(req)


@app.route(route="operations/overview", methods=["GET"])
async def get_overview(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: overview.show(req, its.order_index))


@app.route(route="operations/counts", methods=["GET"])
async def get_counts(req: func.HttpRequest) -> func.HttpResponse:
    return await respond(services, lambda its: overview.counts(req, its.sweeps.ended))


# The documents of the API: static, anonymous, without data.


@functools.cache
def described_api() -> dict[str, Any]:
    """The OpenAPI document of the HTTP triggers of this module."""
    functions = [each.build(app.auth_level) for each in globals().values() if isinstance(each, FunctionBuilder)]
    triggers = [trigger for each in functions if (trigger := openapi.trigger_of(each)) is not None]
    return openapi.document(triggers)


@functools.cache
def api_document() -> str:
    """The OpenAPI document as JSON."""
    return json.dumps(described_api(), indent=2, ensure_ascii=False)


# `/api` itself: the host serves no empty route, so this one is an optional parameter of no characters.
@app.route(route="{ignored:maxlength(0)?}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def front_page(req: func.HttpRequest) -> func.HttpResponse:
    return pages.front(req, described_api()["paths"])


@app.route(route="openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def openapi_document(req: func.HttpRequest) -> func.HttpResponse:
    return pages.api_document(api_document())


@app.route(route="requests.http", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def requests_file(req: func.HttpRequest) -> func.HttpResponse:
    return pages.requests_file(requests_file_of(described_api()))


@app.route(route="docs", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def api_docs(req: func.HttpRequest) -> func.HttpResponse:
    return pages.docs()


@app.route(route="docs/{asset}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def api_docs_asset(req: func.HttpRequest) -> func.HttpResponse:
    return pages.docs_asset(req)


# The sweep: starts sagas that were never started, and mends what no longer agrees.


@app.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%")
@app.durable_client_input(client_name="client")
async def sweep_orders(timer: func.TimerRequest, client) -> None:
    its = await asyncio.to_thread(services)
    sagas = Sagas(
        partial(status_of, client), partial(start_saga, client, limits=its.limits), partial(wake_saga, client)
    )
    await sweep(its.reconciler, sagas, its.sweeps)


# The saga.


app.orchestration_trigger(context_name="context")(order_saga)


# Its activities, do and undo side by side.


@app.activity_trigger(input_name="task")
def validate_order(task: dict) -> dict:
    return run(
        services,
        StepTask,
        task,
        lambda its, task: validation.validate_order(
            task, its.orders, its.stock, its.payments, its.policy, alerts=its.alerts
        ),
    )


@app.activity_trigger(input_name="task")
def reserve_inventory(task: dict) -> dict:
    return run(services, StepTask, task, lambda its, task: inventory.reserve_inventory(task, its.orders, its.stock))


@app.activity_trigger(input_name="task")
def release_inventory(task: dict) -> dict:
    return run(services, UndoTask, task, lambda its, task: inventory.release_inventory(task, its.orders, its.stock))


@app.activity_trigger(input_name="task")
def process_payment(task: dict) -> dict:
    return run(services, StepTask, task, lambda its, task: payment.process_payment(task, its.orders, its.payments))


@app.activity_trigger(input_name="task")
def refund_payment(task: dict) -> dict:
    return run(services, UndoTask, task, lambda its, task: payment.refund_payment(task, its.orders, its.payments))


@app.activity_trigger(input_name="task")
def create_shipment(task: dict) -> dict:
    return run(services, StepTask, task, lambda its, task: shipping.create_shipment(task, its.orders, its.labels))


@app.activity_trigger(input_name="task")
def cancel_shipment(task: dict) -> dict:
    return run(services, UndoTask, task, lambda its, task: shipping.cancel_shipment(task, its.orders, its.labels))


@app.activity_trigger(input_name="task")
def send_confirmation(task: dict) -> dict:
    return run(
        services,
        StepTask,
        task,
        lambda its, task: notification.send_confirmation(task, its.orders, its.mailer, its.push, its.tracking),
    )


@app.activity_trigger(input_name="task")
def close_order(task: dict) -> dict:
    return run(
        services,
        CloseTask,
        task,
        lambda its, task: closing.close_order(
            task, its.orders, its.stock, its.mailer, its.push, links=its.tracking, alerts=its.alerts
        ),
    )
