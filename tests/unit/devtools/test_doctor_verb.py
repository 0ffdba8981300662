"""`dev.py doctor`: each fault of a deployment is one line that says what to mend, and makes the exit status 1."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from devtools.api_client import Target
from devtools.doctor.__main__ import main
from devtools.doctor.checks import CHECKS, Finding, Level, check_context
from devtools.doctor.deployment import Deployment
from devtools.places import ROOT
from tests.support.servers import FreePorts, serving

KEY = "the-key"
HEALTH = {
    "status": "ok",
    "providers": {"storage": "ok", "payments": "configured", "mail": "configured", "push": "configured"},
    "stripe_key": "live",
    "faults": [],
    "sweep": {"at": "2026-11-26T09:30:00Z"},
}
PAGE = "<!doctype html><title>This link is not valid</title>"
ORDERS, SKUS, OVERVIEW = "/api/orders", "/api/inventory", "/api/operations/overview"
DURABLE, WEBHOOK, TRACK = "/runtime/webhooks/durabletask/instances", "/api/webhooks/stripe", "/api/track/doctor"
API = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
# What a deployment in Azure answers: the status and content with the key, and, if that differs, without it.
WELL: dict[str, tuple[int, Any, int]] = {
    "/api/health": (200, HEALTH, 200),
    "/api/openapi.json": (200, API, 200),
    ORDERS: (200, {"orders": [], "continuation": None}, 401),
    SKUS: (200, {"items": [{"sku": "OAK-SHELF"}], "continuation": None}, 401),
    OVERVIEW: (200, {"needs_you": []}, 401),
    DURABLE: (200, [], 401),
    WEBHOOK: (400, {"detail": "The signature is not one of ours."}, 400),
    TRACK: (404, PAGE, 404),
}


class _Handler(BaseHTTPRequestHandler):
    def _respond(self) -> None:
        answers, requests = self.server.answers, self.server.requests  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        requests.append((self.command, self.path))
        with_key, content, without = answers[self.path.partition("?")[0]]
        is_known = self.headers.get("x-functions-key") == KEY
        status = with_key if is_known else without
        body = (
            content.encode() if isinstance(content, str) else json.dumps(content if status == with_key else {}).encode()
        )
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _respond

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), _Handler)) as running:
        running.answers, running.requests = dict(WELL), []  # type: ignore[attr-defined]
        yield running


class Abroad(Target):
    """A deployment that counts as one in Azure."""

    @property
    def is_local(self) -> bool:
        return False


Examine = Callable[..., list[Finding]]


@pytest.fixture
def findings_of(server: ThreadingHTTPServer) -> Examine:
    """The findings that are not ok, of a deployment that answers as WELL, but for the named paths."""

    def examine(changes: dict[str, tuple[int, Any, int]] | None = None, key: str | None = KEY) -> list[Finding]:
        server.answers.update(changes or {})  # type: ignore[attr-defined]
        with Deployment(Abroad(f"http://127.0.0.1:{server.server_port}", key)) as deployment:
            context = check_context(deployment)
            findings = [finding for check in CHECKS for finding in check(context)]
        return [finding for finding in findings if finding.level != Level.OK]

    return examine


def test_a_deployment_that_is_well_has_nothing_to_mend(findings_of: Examine, server: ThreadingHTTPServer) -> None:
    assert findings_of() == []
    posts = [path for method, path in server.requests if method != "GET"]  # type: ignore[attr-defined]
    assert posts == [WEBHOOK], "it places no order and changes nothing"


def without_health(**changes: Any) -> dict[str, tuple[int, Any, int]]:
    return {"/api/health": (200, {**HEALTH, **changes}, 200)}


FAULTS = {
    "storage and settings": (
        {
            "/api/health": (503, {**HEALTH, "faults": ["SMTP_URL is missing.", "MAIL_FROM is missing."]}, 503),
            **dict.fromkeys([ORDERS, SKUS, OVERVIEW, WEBHOOK, TRACK], (503, {}, 503)),
        },
        [("health", "SMTP_URL is missing."), ("health", "MAIL_FROM is missing.")],
    ),
    "sweep": (
        without_health(sweep={"at": "2026-11-26T09:30:00Z", "not_mended": 1, "not_well_since": "2026-11-26T08:00:00Z"}),
        [
            (
                "sweep",
                "Since 2026-11-26T08:00:00Z each run has left something that it could not settle. The log names it.",
            )
        ],
    ),
    "open orders": (
        {ORDERS: (200, {}, 200)},
        [("orders", "GET /api/orders?top=1 needs no key: anybody can read the orders.")],
    ),
    "open Durable API": (
        {DURABLE: (200, [], 200)},
        [("Durable API", f"GET {DURABLE}?top=1 needs no key: anybody can read the orders.")],
    ),
    "a sign-in before the document of the API": (
        {"/api/openapi.json": (302, PAGE, 302)},
        [("API", "GET /api/openapi.json answered 302.")],
    ),
    "a route that is missing": (
        {DURABLE: (404, [], 404)},
        [("Durable API", f"GET {DURABLE}?top=1 without a key answered 404 and not 401.")],
    ),
    "no catalogue": (
        {SKUS: (200, {"items": []}, 401)},
        [("stock", "There is no article, so each order is rejected: PUT /api/inventory/{sku}.")],
    ),
    "stock that cannot be read": ({SKUS: (500, {}, 500)}, [("stock", "GET /api/inventory?top=1 answered 500.")]),
    "an overview that cannot be read": (
        {OVERVIEW: (500, {}, 500)},
        [("decisions", "GET /api/operations/overview answered 500.")],
    ),
    "a sign-in before the webhook": (
        {WEBHOOK: (302, {}, 302)},
        [
            (
                "webhooks",
                "An event without a signature was answered with 302 and not with 400: Stripe's events are lost.",
            )
        ],
    ),
    "a sign-in before the customers": (
        {TRACK: (401, {}, 401)},
        [("tracking", "GET /api/track answered 401: customers do not reach the tracking page.")],
    ),
}


@pytest.mark.parametrize("changes, expected", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_named(findings_of: Examine, changes: Any, expected: list[tuple[str, str]]) -> None:
    assert findings_of(changes) == [Finding(subject, Level.FAULT, sentence) for subject, sentence in expected]


NOTES = {
    "test key": (without_health(stripe_key="test"), "The Stripe key is a test key: no card is charged."),
    "no sweep yet": (
        without_health(sweep=None),
        "The sweep has not run yet. It runs on SWEEP_SCHEDULE: look again later.",
    ),
    "no push": (
        without_health(providers={**HEALTH["providers"], "push": "not configured"}),  # type: ignore[dict-item]
        "PUSH_CONNECTION is empty, so no push messages are sent.",
    ),
    "another commit": (
        {"/api/openapi.json": (200, {**API, "openapi": "3.0"}, 200)},
        "It differs from docs/openapi.json: another commit is deployed.",
    ),
}


@pytest.mark.parametrize("changes, sentence", NOTES.values(), ids=NOTES)
def test_what_may_be_meant_is_a_note(findings_of: Examine, changes: Any, sentence: str) -> None:
    assert [(finding.level, finding.sentence) for finding in findings_of(changes)] == [(Level.NOTE, sentence)]


def test_orders_that_wait_for_a_person_are_counted(findings_of: Examine) -> None:
    for count, words in ((1, "1 order waits for a person: "), (2, "2 orders wait for a person: ")):
        (finding,) = findings_of({OVERVIEW: (200, {"needs_you": [{}] * count}, 401)})
        assert finding.level == Level.NOTE and finding.sentence.startswith(words + "http://127.0.0.1:")


def test_without_a_key_it_says_what_it_did_not_look_at(findings_of: Examine) -> None:
    (finding,) = findings_of(key=None)
    assert finding.level == Level.NOTE and "--key, or ORDER_API_KEY" in finding.sentence
    assert [each.sentence for each in findings_of(key="another")] == ["The deployment refuses this function key."]


def test_a_fault_makes_the_exit_status_1(server: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--url", f"http://127.0.0.1:{server.server_port}", "--key", KEY]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.endswith("\nWell.\n")
    assert "\nok    sweep        Its last run, at 2026-11-26T09:30:00Z, settled all that it found.\n" in said
    server.answers[SKUS] = (200, {"items": []}, 401)  # type: ignore[attr-defined]
    assert main(words) == 1 and capsys.readouterr().out.endswith("\nNot well: 1 fault.\n")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 401, 403])
def test_a_sign_in_keeps_strangers_out_as_a_key_does(findings_of: Examine, status: int) -> None:
    assert findings_of({ORDERS: (200, WELL[ORDERS][1], status), DURABLE: (200, [], status)}) == []


def test_a_report_of_another_shape_is_not_the_order_api_s(
    server: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["/api/health"] = (200, {**HEALTH, "sweep": "yes"}, 200)  # type: ignore[attr-defined]
    assert main(["--url", f"http://127.0.0.1:{server.server_port}"]) == 1
    assert "The answer is not the order API's" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer", [(404, {}, 404), (200, ["else"], 200), (302, PAGE, 302), (200, {"providers": 1}, 200)]
)
def test_another_app_is_no_order_saga(
    server: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str], answer: tuple[int, Any, int]
) -> None:
    server.answers["/api/health"] = answer  # type: ignore[attr-defined]
    assert main(["--url", f"http://127.0.0.1:{server.server_port}"]) == 1
    assert f"answered GET /api/health with {answer[0]} and no report of its health" in capsys.readouterr().err


def test_a_deployment_that_does_not_answer_is_named(ports: FreePorts, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", f"http://127.0.0.1:{ports()}"]) == 1
    assert "does not answer (ConnectError): is --url right?" in capsys.readouterr().err
