"""The shop's own receiver of alerts: `POST /sandbox/alerts` stores an alert, `GET /sandbox/alerts` lists them."""

import json

from aiohttp import web

from sandbox.ledger import Ledger

SIGNATURE = "Order-Saga-Signature"


def serve(app: web.Application, ledger: Ledger) -> None:
    async def take(request: web.Request) -> web.Response:
        try:
            alert = json.loads(await request.read())
        except ValueError:
            return web.json_response({"error": "The body must be JSON."}, status=400)
        ledger.commit([{"signature": request.headers.get(SIGNATURE, ""), "alert": alert}])
        return web.json_response({"received": True})

    async def rows(_request: web.Request) -> web.Response:
        return web.json_response(ledger.rows)

    app.router.add_post("/sandbox/alerts", take)
    app.router.add_get("/sandbox/alerts", rows)
