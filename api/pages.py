"""Static pages and files: anonymous, without data.

There is no inline code and no other origin, so a strict Content-Security-Policy can be set.
Swagger UI is the published package swagger-ui-dist, unchanged, under `static/swagger-ui` with its licence.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import azure.functions as func

from api.problems import Problem

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
NAME = "Order saga"
# The links of the front page: path and description.
LINKS = {
    "dashboard": ("/api/dashboard", "the orders, to watch and to operate"),
    "docs": ("/api/docs", "the API document, with a form for each request"),
    "openapi": ("/api/openapi.json", "the API document for programs"),
    "health": ("/api/health", "whether the service can take orders"),
    "requests": ("/api/requests.http", "a request for each route, for editors that can send them"),
}
# The files of `GET /api/docs/{asset}`. Nothing else of the folder is served.
DOCS_ASSETS = {
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "front.css": ("front.css", "text/css"),
    "docs.js": ("docs.js", "text/javascript"),
}

DASHBOARD_ASSETS = {
    "dashboard.css": ("dashboard.css", "text/css"),
    "dashboard.js": ("dashboard.js", "text/javascript"),
    "order.js": ("order.js", "text/javascript"),
    "actions.js": ("actions.js", "text/javascript"),
    "page.js": ("page.js", "text/javascript"),
    "stock.js": ("stock.js", "text/javascript"),
    "track.css": ("track.css", "text/css"),
}


def api_document(text: str) -> func.HttpResponse:
    """The OpenAPI document."""
    return _answer(text.encode(), JSON, "no-cache")


def front(req: func.HttpRequest, served: Collection[str]) -> func.HttpResponse:
    """Links to the paths that are served: a page, or JSON for a client that prefers it."""
    links = {name: path for name, (path, _) in LINKS.items() if path in served}
    if prefers_json(req.headers.get("Accept", "")):
        body, kind = json.dumps({"name": NAME, "links": links}, indent=2).encode(), JSON
    else:
        items = "\n".join(f'    <li><a href="{path}">{name}</a>: {LINKS[name][1]}</li>' for name, path in links.items())
        body, kind = _file("front.html").replace(b"<!-- links -->", items.encode()), HTML
    return _answer(body, kind, "no-cache", Vary="Accept")


def requests_file(text: str) -> func.HttpResponse:
    return _answer(text.encode(), "text/plain", "no-cache")


def docs() -> func.HttpResponse:
    """The page on which the API can be read and tried."""
    return _answer(_file("docs.html"), HTML, "no-cache")


def docs_asset(req: func.HttpRequest) -> func.HttpResponse:
    """One file of that page; 404 for any other name."""
    return _asset(DOCS_ASSETS, req, "public, max-age=3600")


def dashboard() -> func.HttpResponse:
    """The operators' page, without data: it requests its data with a function key."""
    return _answer(_file("dashboard.html"), HTML, "no-cache")


def dashboard_asset(req: func.HttpRequest) -> func.HttpResponse:
    """One file of that page; 404 for any other name."""
    return _asset(DASHBOARD_ASSETS, req, "no-cache")  # it fits this very version of the API


def _asset(assets: Mapping[str, tuple[str, str]], req: func.HttpRequest, caching: str) -> func.HttpResponse:
    asset = assets.get(req.route_params["asset"])
    if asset is None:
        return Problem(404, "There is no such file.").response()
    return _answer(_file(asset[0]), asset[1], caching)


def _answer(body: bytes, kind: str, caching: str, **headers: str) -> func.HttpResponse:
    return func.HttpResponse(
        body, mimetype=kind, charset="utf-8", headers={**SAFE, "Cache-Control": caching, **headers}
    )


@cache
def _file(name: str) -> bytes:
    return (STATIC / name).read_bytes()


def prefers_json(accept: str) -> bool:
    """Whether the client prefers JSON to HTML (RFC 9110, 12.5.1). Without a preference (`*/*`) it gets the page."""
    ranges = [_range(part) for part in accept.split(",")]
    return _quality(ranges, ("application", "json")) > _quality(ranges, ("text", "html"))


def _range(part: str) -> tuple[str, str, float]:
    """(type, subtype, quality). A range that cannot be read has the quality 0."""
    media, *parameters = (text.strip().lower() for text in part.split(";"))
    kind, _, subtype = media.partition("/")
    quality = 1.0
    for name, _, value in (parameter.partition("=") for parameter in parameters):
        if name.strip() == "q":
            quality = _number(value.strip())
    return kind, subtype, quality


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _quality(ranges: list[tuple[str, str, float]], media: tuple[str, str]) -> float:
    """The quality of the most specific range that includes the media type; 0 without one."""
    best = (0, 0.0)
    for kind, subtype, quality in ranges:
        if kind in {media[0], "*"} and subtype in {media[1], "*"}:
            best = max(best, (2 * (kind != "*") + (subtype != "*") + 1, quality))
    return best[1]
