"""`GET /api/health`: 200 when storage answers and the settings are whole, else 503 that says what to mend.

Anonymous, so it names settings and providers, never a value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import azure.functions as func

from edge.problems import json_response
from models.errors import Unavailable


async def report(
    faults: list[str], providers: Mapping[str, str], ping_storage: Callable[[], None]
) -> func.HttpResponse:
    """`faults`: sentences about settings; `providers`: what stands behind each need."""
    checks = dict(providers)
    if not faults:
        try:
            await asyncio.to_thread(ping_storage)
            checks["storage"] = "ok"
        except Unavailable as fault:
            checks["storage"] = "unavailable"
            faults = [str(fault)]
    status = "unavailable" if faults else "ok"
    return json_response({"status": status, "providers": checks, "faults": faults}, 503 if faults else 200)
