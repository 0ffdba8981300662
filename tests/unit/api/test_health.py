"""What health says of settings and of storage."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import azure.functions as func

from api.health import report
from models.errors import Unavailable

PROVIDERS = {"payments": "configured", "mail": "configured"}


def asked(faults: list[str], sweep: object = None, away: str = "") -> tuple[int, Any]:
    def last_sweep() -> object:
        if away:
            raise Unavailable(away)
        return sweep

    answer: func.HttpResponse = asyncio.run(report(faults, PROVIDERS, "test", last_sweep))
    return answer.status_code, json.loads(answer.get_body())


def test_storage_that_does_not_answer_is_a_503_that_says_what_to_check() -> None:
    status, body = asked([], away="Storage did not answer for the report of the sweep: ServiceRequestError.")
    assert status == 503 and body["providers"] == {**PROVIDERS, "storage": "unavailable"}
    (fault,) = body["faults"]
    assert fault.startswith("Storage did not answer for the report of the sweep: ServiceRequestError. Check ")
    assert "AzureWebJobsStorage" in fault and body["detail"] == fault


def test_wrong_settings_are_named_and_storage_is_not_asked() -> None:
    status, body = asked(["SHIPS_TO is not set."], away="It must not be asked.")
    assert (status, body["faults"], body["sweep"]) == (503, ["SHIPS_TO is not set."], None)


def test_health_that_is_well_has_the_last_sweep() -> None:
    status, body = asked([], sweep={"at": "2026-01-31T09:26:00Z"})
    assert (status, body["status"], body["sweep"]) == (200, "ok", {"at": "2026-01-31T09:26:00Z"})
    assert body["providers"]["storage"] == "ok" and body["faults"] == []
