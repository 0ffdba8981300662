"""Stripe's API on 127.0.0.1, until SIGTERM: `python -m sandbox.payments --port 12111 --data DIR`."""

import argparse
import socket

from aiohttp import web

from sandbox import process
from sandbox.faults import Faults
from sandbox.ledger import JsonObject, Ledger
from sandbox.payments.http_api import Edge, operations
from sandbox.payments.idempotency import Till
from sandbox.payments.state import Announce, Books
from sandbox.payments.webhooks import Webhooks

WEBHOOK_TOGETHER = "--webhook-url and --webhook-secret go together."


def parsed() -> argparse.Namespace:
    parser = process.arguments("sandbox.payments", "Stripe's API for laptops and tests.")
    parser.add_argument(
        "--search-lag",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="seconds by which the search lags (default 60)",
    )
    parser.add_argument("--webhook-url", help="the receiver of signed webhooks (default: none are sent)")
    parser.add_argument("--webhook-secret", help="the secret that signs them (whsec_...)")
    options = parser.parse_args()
    if bool(options.webhook_url) != bool(options.webhook_secret):
        parser.error(WEBHOOK_TOGETHER)
    return options


def built(options: argparse.Namespace) -> web.Application:
    routes = operations(options.search_lag)
    ledger = Ledger(options.data / "payments.jsonl")
    faults = Faults(options.data / "payments-faults.jsonl", routes)
    books = Books(ledger)
    app = process.application(options.allow_host)
    process.control_edge(app, "/sandbox/ledger", ledger, faults)
    Edge(Till(books, _announcer(app, books, options)), faults, routes).serve(app)
    return app


def _announcer(app: web.Application, books: Books, options: argparse.Namespace) -> Announce:
    if not options.webhook_url:
        return _announce_nothing
    webhooks = Webhooks(options.webhook_url, options.webhook_secret)
    app.cleanup_ctx.append(webhooks.live)
    return lambda rows: webhooks.announce(books, rows)


def _announce_nothing(_rows: list[JsonObject]) -> None:
    """Send no webhooks, because no receiver was named."""


async def serve(options: argparse.Namespace, on: socket.socket) -> None:
    app = built(options)
    print(f"payments: http://127.0.0.1:{options.port}, data in {options.data}", flush=True)
    await process.serve_until_stopped(app, on)


def main() -> None:
    options = parsed()
    on = process.listen(options.port)
    process.run(lambda: serve(options, on))


if __name__ == "__main__":
    main()
