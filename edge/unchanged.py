"""Answers that are polled: an ETag of the very bytes, and 304 for who has them already."""

from __future__ import annotations

import hashlib
import json

import azure.functions as func

CACHING = "private, no-cache"


def polled(req: func.HttpRequest, body: object) -> func.HttpResponse:
    """200 with the body as JSON and its ETag; 304 when `If-None-Match` names that ETag."""
    text = json.dumps(body, ensure_ascii=False)
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": CACHING}
    known = {each.strip().removeprefix("W/") for each in req.headers.get("If-None-Match", "").split(",")}
    if etag in known:
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(text, mimetype="application/json", headers=headers)
