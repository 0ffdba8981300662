"""`GET /api/health`: 200 when storage answers and the settings are whole, else 503 that says what to mend.

The route is anonymous, so the answer names settings and providers, never a value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import azure.functions as func

from api.problems import Problem, json_response
from models.errors import Unavailable

WHERE_STORAGE_FAILS = "Check the storage account, its network, and what AzureWebJobsStorage and the app's roles say."


async def report(
    faults: list[str], providers: Mapping[str, str], stripe_key: str, last_sweep: Callable[[], object]
) -> func.HttpResponse:
    """`faults`: sentences about settings. `providers`: whether each is configured. `stripe_key`: live, test or none.

    `last_sweep` reads the last report of the sweep, and raises Unavailable when storage does not answer.
    """
    checks, swept = dict(providers), None
    if not faults:
        try:
            swept = await asyncio.to_thread(last_sweep)
            checks["storage"] = "ok"
        except Unavailable as fault:
            checks["storage"] = "unavailable"
            faults = [f"{fault} {WHERE_STORAGE_FAILS}"]
    details = {"providers": checks, "stripe_key": stripe_key, "faults": faults, "sweep": swept}
    if faults:
        return Problem(503, " ".join(faults), more=details).response()
    return json_response({"status": "ok", **details})
