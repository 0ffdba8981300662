"""The pages and files that the app serves itself: static, anonymous, without data.

Everything comes from this app: no inline code, no other origin, so that a strict Content-Security-Policy holds.
Swagger UI is the published package swagger-ui-dist, unchanged, under `static/swagger-ui` with its licence.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import azure.functions as func

from edge.problems import Problem

STATIC = Path(__file__).with_name("static")
# Swagger UI's style sheet draws its icons from `data:` URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
HTML, JSON = "text/html", "application/json"
# What `GET /api/docs/{asset}` serves: nothing else of the folder, and no path.
DOCS_ASSETS = {
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "docs.js": ("docs.js", "text/javascript"),
}

DASHBOARD_ASSETS = {
    "dashboard.css": ("dashboard.css", "text/css"),
    "dashboard.js": ("dashboard.js", "text/javascript"),
    "order.js": ("order.js", "text/javascript"),
    "actions.js": ("actions.js", "text/javascript"),
    "page.js": ("page.js", "text/javascript"),
    "stock.js": ("stock.js", "text/javascript"),
}


def api_document(text: str) -> func.HttpResponse:
    """The OpenAPI document."""
    return _answer(text.encode(), JSON, "no-cache")


def docs() -> func.HttpResponse:
    """The page on which the API can be read and tried."""
    return _answer(_file("docs.html"), HTML, "no-cache")


def docs_asset(req: func.HttpRequest) -> func.HttpResponse:
    """One file of that page; 404 for any other name."""
    return _asset(DOCS_ASSETS, req)


def dashboard() -> func.HttpResponse:
    """The operators' page: a shell, which asks for its data with a key of its own."""
    return _answer(_file("dashboard.html"), HTML, "no-cache")


def dashboard_asset(req: func.HttpRequest) -> func.HttpResponse:
    """One file of that page; 404 for any other name."""
    return _asset(DASHBOARD_ASSETS, req)


def _asset(assets: Mapping[str, tuple[str, str]], req: func.HttpRequest) -> func.HttpResponse:
    found = assets.get(req.route_params["asset"])
    if found is None:
        return Problem(404, "There is no such file.").response()
    return _answer(_file(found[0]), found[1], "public, max-age=3600")


def _answer(body: bytes, kind: str, caching: str) -> func.HttpResponse:
    return func.HttpResponse(body, mimetype=kind, charset="utf-8", headers={**SAFE, "Cache-Control": caching})


@cache
def _file(name: str) -> bytes:
    return (STATIC / name).read_bytes()
